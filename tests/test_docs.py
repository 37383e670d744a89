"""README and docs: every example prints what the page shows, in both languages; no link is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from gptrace.cli.app import COMMANDS, app
from tests.doc_examples import (
    DOCS,
    ROOT,
    Block,
    blocks,
    chinese_page,
    complaints,
    english_pages,
    failed_doctests,
    matches,
    needs_a_shell,
    pages,
    refreshed,
    run_commands,
)

# The 124M model runs where the line names no other, or a GPT-2.
_RUNS_124M = re.compile(
    r"gptrace (run|explain|check|source) (?!.*(-m|--model) (?!gpt))|gptrace .*(-m|--model) gpt"
)
CONTRIBUTING = ROOT / "CONTRIBUTING.md"


def _marks(block: Block) -> list[pytest.MarkDecorator]:
    marks = []
    lines = [command.line for command in block.commands()]
    if any(map(needs_a_shell, lines)):
        marks.append(pytest.mark.processes)
    if any(map(_RUNS_124M.match, lines)):
        marks.append(pytest.mark.slow)
    return marks


def console_examples() -> list[object]:
    """The console blocks of all pages; one that several pages show runs once."""
    examples: dict[tuple[str, str], object] = {}
    for page in pages():
        for block in blocks(page, "console"):
            name = f"{page.relative_to(ROOT)}:{block.line}"
            alike = block._replace(line=0)
            example = pytest.param(alike, id=name, marks=_marks(alike))
            examples.setdefault((alike.text, alike.options), example)
    return list(examples.values())


@pytest.mark.parametrize("block", console_examples())
def test_a_command_prints_what_the_page_shows(block: Block) -> None:
    problems = complaints(block)
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


@pytest.mark.parametrize("page", [page for page in english_pages() if blocks(page, "python")], ids=str)
def test_python_prints_what_the_page_shows(page: Path) -> None:
    report = failed_doctests(page)
    if report:
        pytest.fail(report, pytrace=False)


@pytest.mark.parametrize("english", english_pages(), ids=lambda page: page.name)
def test_both_languages_have_the_same_sections_and_examples(english: Path) -> None:
    chinese = chinese_page(english)
    assert _heading_levels(english) == _heading_levels(chinese)
    for language in ("console", "python", "sh", "json", "text"):
        in_english, in_chinese = (
            [_without_words(block) for block in blocks(page, language) if not _is_explanation(block)]
            for page in (english, chinese)
        )
        assert in_english == in_chinese


def test_every_page_has_its_twin_in_the_other_language() -> None:
    assert {page.name for page in DOCS.glob("*.md")} == {page.name for page in (DOCS / "zh").glob("*.md")}


@pytest.mark.parametrize("page", [*pages(), CONTRIBUTING], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize(
    "page",
    [DOCS / "architecture.md", DOCS / "zh" / "architecture.md", CONTRIBUTING],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_file_that_is_named_exists(page: Path) -> None:
    names = re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", page.read_text(encoding="utf-8"))
    missing = [
        name
        for name in names
        if not (ROOT / name).exists() and not any((ROOT / "gptrace").glob(f"**/{name.rstrip('/')}"))
    ]
    assert len(names) > 5
    assert missing == []


@pytest.mark.parametrize("page", [DOCS / "commands.md", DOCS / "zh" / "commands.md"], ids=str)
def test_every_command_option_and_variable_is_documented(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"\n## gptrace {name}\n" not in text] == []
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = [option for command in commands.values() for option in command.params]
    names = {max(option.opts, key=len) for option in options if option.param_type_name == "option"}
    variables = {str(option.envvar) for option in options if getattr(option, "envvar", None)}
    assert sorted(name for name in (names | variables) - {"--help"} if name not in text) == []


def test_a_wrong_example_is_noticed() -> None:
    assert matches("a\n...\nc\n", "a\nb\nc\n")
    assert matches("a\n...\nc\n...\n", "a\nb\nc\nd\n")
    assert matches("in ... ms\n", "in 2.5 ms\n")
    assert not matches("a\nb\n", "a\nc\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a\n...\na\n", "a\n")
    assert not matches("...\nc\n...\n", "a\nb\n")
    assert complaints(Block("console", "$ echo a\nb\n", 0)) == ["$ echo a\nprints:\na\n"]
    assert len(complaints(Block("console", "$ (exit 3)\n", 0))) == 1
    assert complaints(Block("console", "$ (exit 3)\n", 0, "exit 3")) == []
    assert complaints(Block("console", "$ (exit 3)\n$ echo $?\n3\n", 0)) == []


def test_the_two_streams_are_kept_apart() -> None:
    shown = '$ gptrace tokens ""\nerror: the text is empty\nhint: give text as an argument, as in "Hello"\n'
    assert complaints(Block("console", shown, 0, "exit 2, stderr")) == []
    assert run_commands(Block("console", shown, 0))[0].stdout == ""


def test_examples_are_refreshed_where_they_are_not_shortened() -> None:
    page = "text\n```console\n$ echo a\nb\n$ echo c\n...\n$ echo d\ne...\n```\nmore\n"
    text, found = refreshed(page)
    assert text == page.replace("\nb\n", "\na\n")
    assert found == ["$ echo d\nprints:\nd\n"]


def _heading_levels(page: Path) -> list[str]:
    return re.findall("^#+ ", _without_code(page), re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall("^#+ (.*)$", _without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _without_words(block: Block) -> tuple[str, str]:
    """A block without its comments, which are in the language of the page."""
    return re.sub(r"[ \t]+# .*$", "", block.text, flags=re.MULTILINE), block.options


def _is_explanation(block: Block) -> bool:
    return "gptrace explain" in block.text
