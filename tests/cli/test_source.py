"""`gptrace source` on the command line: comments in files, exit codes, what cannot be combined."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import gptrace
from gptrace.record.source import Source
from gptrace.session import Session
from tests.support import Cli, to_json

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(EXAMPLES / "model.py", tmp_path / "model.py"))


def test_comments_are_shown_then_written_then_up_to_date(cli: Cli, model: Path) -> None:
    arguments = ("source", "Hello, I am", "-m", f"{model}:GPT")
    before = model.read_text(encoding="utf-8")
    difference = cli(*arguments, "--diff")
    assert (difference.code, model.read_text(encoding="utf-8")) == (0, before)
    assert "+            x = block(x)  # gptrace: [batch, seq_len, n_embd] [1, 4, 48]" in difference.out
    written = cli(*arguments, "--write", "--json")
    assert "11 shape comments are now in" in written.err
    assert all("# gptrace" not in line["text"] for line in to_json(written)["files"][0]["lines"])
    after = model.read_text(encoding="utf-8")
    assert after.count("# gptrace: ") == 11
    copy = model.with_name("copy.py")  # another name, since the first file is imported already
    copy.write_text(after, encoding="utf-8")
    again = cli("source", "Hello, I am", "-m", f"{copy}:GPT", "--write")
    assert "up to date" in again.err
    assert copy.read_text(encoding="utf-8") == after


UNTIDY = (
    ("x = block(x)\n", "x = block(x)   # mine\t \n"),
    ("B, T, C = x.shape\n", "B, T, C = x.shape   \n"),
    ("return self.lm_head(self.ln_f(x))\n", "return self.lm_head(self.ln_f(x))  "),
)


def test_remove_gives_the_file_of_before_byte_by_byte(cli: Cli, model: Path) -> None:
    text = model.read_text(encoding="utf-8")
    for old, new in UNTIDY:
        assert old in text
        text = text.replace(old, new)
    before = ("\ufeff" + text).encode().replace(b"\n", b"\r\n")
    model.write_bytes(before)
    arguments = ("source", "Hello, I am", "-m", f"{model}:GPT")
    assert cli(*arguments, "--write").code == 0
    assert model.read_bytes().count(b"# gptrace: ") == 11
    difference = cli(*arguments, "--remove", "--diff")
    assert "-            x = block(x)   # mine\t   # gptrace: [batch," in difference.out
    assert "11 shape comments were taken out of" in cli(*arguments, "--remove").err
    assert model.read_bytes() == before
    assert "0 shape comments were taken out of" in cli(*arguments, "--remove").err
    assert model.read_bytes() == before


def test_remove_leaves_comments_of_people_and_works_where_the_model_fails(cli: Cli, tmp_path: Path) -> None:
    model = Path(shutil.copy(EXAMPLES / "broken.py", tmp_path / "failing.py"))
    text = model.read_text(encoding="utf-8")
    line = "return self.out_head(self.final_norm(self.ff(x)))"
    model.write_text(text.replace(line, f"{line}  # gptrace: look at this  # gptrace: [batch] [1]"))
    outcome = cli("source", "Hello", "-m", f"{model}:GPT", "--remove")
    assert outcome.code == 1
    assert "1 shape comment was taken out of" in outcome.err
    assert "comments that gptrace did not write stay in" in outcome.err
    assert model.read_text() == text.replace(line, f"{line}  # gptrace: look at this")


def test_a_diff_keeps_the_line_breaks_of_the_file(cli: Cli, model: Path) -> None:
    windows = model.with_name("windows.py")
    windows.write_bytes(model.read_bytes().replace(b"\n", b"\r\n"))
    difference = cli("source", "Hello, I am", "-m", f"{windows}:GPT", "--diff")
    assert "-            x = block(x)\r\n" in difference.out


def test_a_file_that_is_read_only_or_has_other_names_is_left_alone(cli: Cli, model: Path) -> None:
    before = model.read_bytes()
    arguments = ("source", "Hello", "-m", f"{model}:GPT", "--write")
    model.chmod(0o444)
    cli(*arguments).is_error(1, "cannot be written: it is read-only", "chmod u+w")
    model.chmod(0o640)
    other = model.with_name("other.py")
    other.hardlink_to(model)
    cli(*arguments).is_error(1, "it has other names (hard links)")
    assert model.read_bytes() == before
    other.unlink()
    assert cli(*arguments).code == 0
    assert (model.read_bytes() != before, model.stat().st_mode & 0o777) == (True, 0o640)


def test_a_file_that_changes_while_the_model_runs_is_left_alone(
    cli: Cli, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Session.source

    def source(session: Session, *arguments: object, **options: object) -> Source:
        record = whole(session, *arguments, **options)  # type: ignore[arg-type]
        model.write_text(model.read_text(encoding="utf-8").replace("x = block(x)", "x = block(x) * 2"))
        return record

    monkeypatch.setattr(gptrace.session.Session, "source", source)
    for option in ("--write", "--diff"):
        outcome = cli("source", "Hello", "-m", f"{model}:GPT", option)
        outcome.is_error(1, "has changed since the model was loaded", shows="+            x = block(x) * 2")
        assert "# gptrace" not in model.read_text(encoding="utf-8")


def test_a_failing_model_shows_its_line_and_ends_with_its_error(cli: Cli) -> None:
    outcome = cli("source", "Hello", "-m", f"{EXAMPLES / 'broken.py'}:GPT", "--width", "80")
    outcome.is_error(1, "RuntimeError", shows="out_head: Linear expects")
    assert "✗ RuntimeError" in outcome.out
    report = cli("source", "Hello", "-m", f"{EXAMPLES / 'broken.py'}:GPT", "--json")
    assert report.code == 1
    assert '"failed": true' in report.out


def test_a_wrong_line_is_marked_and_counts_as_failure(cli: Cli) -> None:
    outcome = cli("source", "Hello", "-m", f"{EXAMPLES / 'leaky.py'}:GPT", "--check", "--lang", "zh")
    assert outcome.code == 1
    assert "✗ causal" in outcome.out
    assert cli("source", "Hello", "-m", f"{EXAMPLES / 'leaky.py'}:GPT").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--write", "--diff"], "--write and --diff are both given"),
        (["--write", "--remove"], "--write and --remove are both given"),
        (["--diff", "--json"], "--diff is plain text on stdout"),
        (["--write"], "gpt.py: part of an installed package"),
        (["--remove"], "gpt.py: part of an installed package"),
        (["--diff"], "gpt.py: part of an installed package"),
    ],
)
def test_what_cannot_be_asked(cli: Cli, options: list[str], message: str) -> None:
    cli("source", "Hello", "-m", "tiny", *options).is_error(2, message)
