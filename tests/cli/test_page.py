"""`gptrace run -o page.html` and `--open`; `gptrace show` of what was kept."""

from __future__ import annotations

import base64
import webbrowser
import zlib
from pathlib import Path

import msgspec
import pytest

import gptrace
from tests.support import Cli

BROKEN = """
import torch
class GPT(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb = torch.nn.Embedding(50257, 8)
        self.out_head = torch.nn.Linear(9, 50257)
    def forward(self, ids):
        return self.out_head(self.tok_emb(ids))
"""


class Browser:
    """A browser that notes what it opens."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return True


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    browser = Browser()
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    return browser


def data_of(document: str) -> str:
    return document.partition('id="gptrace-page">')[2].partition("</script>")[0]


def test_the_html_of_run_is_a_page(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert cli("run", "Hello", "-m", "tiny", "-o", str(file), "--lang", "zh", "--theme", "dark").code == 0
    assert file.read_text().startswith('<!doctype html>\n<html lang="zh-CN" data-theme="dark">')
    assert data_of(file.read_text())
    printed = cli("run", "Hello", "-m", "tiny", "-f", "html", "--depth", "1")
    assert (printed.code, printed.err) == (0, "")
    assert data_of(printed.out)


def test_a_model_that_fails_has_a_page_and_exit_code_1(cli: Cli, tmp_path: Path) -> None:
    model, file = tmp_path / "broken.py", tmp_path / "page.html"
    model.write_text(BROKEN)
    outcome = cli("run", "Hello", "-m", f"{model}:GPT", "-o", str(file))
    outcome.is_error(1, "cannot be multiplied")
    assert "raised in out_head" in file.read_text()
    assert data_of(file.read_text())


def test_the_page_has_what_the_checks_find(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    leaky = f"{Path(__file__).parents[2] / 'docs/examples/leaky.py'}:GPT"
    assert cli("run", "Hello", "-m", leaky, "--check", "-o", str(file), "--lang", "zh").code == 1
    page = msgspec.json.decode(zlib.decompress(base64.b64decode(data_of(file.read_text()))))
    verdicts = {
        check["language"]: [one["name"] for one in check["checks"] if one["holds"] is False]
        for check in (page["check"], page["check_translated"])
    }
    assert (page["check"]["language"], verdicts["zh"]) == ("zh", verdicts["en"])
    assert "causal" in verdicts["en"]


@pytest.mark.parametrize("options", [[], ["--json"], ["-o", "trace.json"], ["-f", "svg"]])
def test_checks_are_shown_on_a_page_alone(cli: Cli, options: list[str]) -> None:
    outcome = cli("run", "Hello", "-m", "tiny", "--check", *options)
    outcome.is_error(2, "--check shows its findings on a page")
    assert "gptrace check" in outcome.err


def test_a_kept_trace_and_a_kept_page_become_html(cli: Cli, tmp_path: Path) -> None:
    kept, file = tmp_path / "kept.json", tmp_path / "page.html"
    page = gptrace.page("Hello", model="tiny", lang="en")
    for report in (page, page.trace):
        kept.write_text(report.to_json())
        assert cli("show", str(kept), "-o", str(file)).code == 0
        assert data_of(file.read_text())
    kept.write_text(page.to_json())
    assert cli("show", str(kept), "-o", str(file)).code == 0
    assert cli("show", str(kept), "-f", "json").out == kept.read_text() + "\n"
    table = cli("show", str(kept), "--columns", "output,macs", "--depth", "1")
    assert (table.code, "2,467,824" in table.out, "MultiHeadAttention" in table.out) == (0, True, False)


def test_open_shows_the_page_that_was_written(
    cli: Cli, tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("run", "Hello", "-m", "tiny", "--open")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "note: the page is in gptrace.html\n")
    assert data_of((tmp_path / "gptrace.html").read_text())
    file = tmp_path / "my page.html"
    assert cli("run", "Hello", "-m", "tiny", "--open", "-o", str(file)).code == 0
    assert browser.opened == [(tmp_path / "gptrace.html").as_uri(), file.as_uri()]
    (tmp_path / "broken.py").write_text(BROKEN)
    assert cli("run", "Hello", "-m", "broken.py:GPT", "--open").code == 1
    assert len(browser.opened) == 3  # a failure is worth looking at


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (["--json"], "--json"),
        (["-f", "csv"], "--format csv"),
        (["-o", "trace.json"], "--output trace.json"),
        (["-o", "-"], "--output -"),
    ],
)
def test_open_is_for_html_alone(cli: Cli, browser: Browser, options: list[str], given: str) -> None:
    outcome = cli("run", "Hello", "-m", "tiny", "--open", *options)
    outcome.is_error(2, f"--open opens an HTML file, but there is also {given}")
    assert f"drop {given}, or --open" in outcome.err
    assert not browser.opened


def test_open_and_expect_do_not_go_together(cli: Cli, tmp_path: Path, browser: Browser) -> None:
    kept = tmp_path / "kept.json"
    assert cli("run", "Hello", "-m", "tiny", "-o", str(kept)).code == 0
    cli("run", "Hello", "-m", "tiny", "--open", "--expect", str(kept)).is_error(2, "--expect a difference")


@pytest.mark.parametrize("found", ["none", "of the terminal"])
def test_without_a_browser_the_page_is_written_and_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    def get() -> webbrowser.BaseBrowser:
        if found == "none":
            raise webbrowser.Error("could not locate runnable browser")
        return webbrowser.GenericBrowser("w3m")

    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(webbrowser, "get", get)
    file = tmp_path / "page.html"
    outcome = cli("run", "Hello", "-m", "tiny", "--open", "-o", str(file))
    outcome.is_error(1, "--open: no browser is found here")
    assert f"the page is in {file}: open it in a browser" in outcome.err
    assert file.exists()
