"""Every message of the code has a Chinese template, and every template a message."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable

import pytest

from gptrace.report.rich_tables import TERMINAL_LOOKS
from gptrace.translation.chinese import MESSAGES, PARSER, REPORTS, STRUCTURE
from tests.translation.templates import Template, messages, messages_of, report_templates

# Prose that no person is told, or not in the reader's language.
_NOT_TOLD = {
    # names of the package, of kernels, and of axes
    "mm bmm mv _int_mm _scaled_mm", "addmm addbmm addmv baddbmm _addmm_activation", "dot vdot",
    "linear mkldnn_linear", "sdpa (math)", "convolution _convolution convolution_overrideable",
    "height, width", "depth, height, width", "{}mask", "args[{}]", "id {}", "gptrace pull",
    # the names of cells, and of lines in them, for programs
    "cell {}", "{}, cell {}", "cell {}, line {}",
    # help pages, the version, and schemas, which stay in English
    "`Session` describes the parameters of the model, `Session.{}` the others.",
    "{}\n\n    NAME is one or more of {}.", "{}\n\n    NAME is one of {} (default: all).",
    "TEXT is one text, or '-' for stdin. Without TEXT the prompts are random ids.",
    "TEXT is one text or several, or '-' for stdin. Without TEXT, stdin is read if it is piped; else a "
    "sample prompt is used.",
    "With --mesh the model is sharded, and the trace says what one rank holds, computes and sends. Under "
    "torchrun each process is a rank, and is measured; otherwise one rank is simulated, without weights, "
    "GPUs or other processes.",
    "gptrace {}", "gptrace {}\n", "gptrace {} --json", "gptrace run --json", "gptrace run -o FILE.html",
    "null stands for NaN or an infinity",
    # the policy of a page
    "img-src data: blob:",
    # the text of a prompt, and units
    "Hello, I am", "{} ms", "{} inf",
    # the repr of a Session
    "its own weights", "no weights", "random weights (seed {})", "pretrained weights", "trained weights",
    "weights from {}",
    # values of records, which reports put into words
    "own code", "built in", "{}, changed", "{}({}), {} being {}", "input dtype", "output dtype", "step {}",
    "call of {}{}", "{} of {}", "{} because {}",
    "parameter bytes", "trainable parameters", "input here", "output here", "parameters here", "MACs here",
    "no message", "{} ranks",
    # what is said before anything can be translated
    "error: gptrace needs {}, which is not installed\nhint: pip install gptrace installs all that it needs; "
    "python -S hides what is installed\n",
    "error: {} is not in {}, which hides the library of that name\nhint: rename that file, or take its "
    "folder out of PYTHONPATH\n",
    # how the note on an output without logits begins
    "no next tokens: ",
    # the mark of shape comments, what else is in them, and the names of the sides of a diff
    "# gptrace: ", ", ... {} more", "{} (ran)", "{} (now)", "{} (with shapes)", "{} (without shapes)",
    "\n\\ No newline at end of file\n",
    # names in the code, and styles
    "another thread", "cuda:{}", "cpu:{},{}:{}", "a copy of the model", "not bold default", *TERMINAL_LOOKS,
    *TERMINAL_LOOKS.values(),
}  # fmt: skip


# Files whose templates are markup; what they say is made with `words`.
_MARKUP = (
    "report/html",
    "report/page/document.py",
    "report/stylesheet.py",
    "report/svg.py",
    "report/pictures/dot.py",
    "report/pictures/mermaid.py",
    "report/pictures/svg.py",
    "report/pictures/map_drawing.py",
)


def _is_markup(template: Template) -> bool:
    return template.place.startswith(_MARKUP) or any(mark in template.text for mark in ("\x08", "python\n"))


def told() -> list[Template]:
    """The messages that people are told."""
    return [each for each in messages() if each.text not in _NOT_TOLD and not _is_markup(each)]


def _pasted(templates: list[Template]) -> str:
    places: dict[str, str] = {}
    for template in templates:
        places.setdefault(template.text, template.place)
    return "\n".join(f'    {text!r}: "",  # {place}' for text, place in places.items())


@pytest.mark.parametrize(
    ("templates", "catalogue"), [(told, MESSAGES), (report_templates, REPORTS)], ids=["messages", "reports"]
)
def test_every_template_has_a_translation(
    templates: Callable[[], Iterable[Template]], catalogue: dict[str, str]
) -> None:
    missing = [template for template in templates() if template.text not in catalogue]
    if missing:
        pytest.fail(f"gptrace/translation/chinese lacks\n{_pasted(missing)}", pytrace=False)


def test_every_translation_has_a_template() -> None:
    said = {template.text for template in told()} | set(PARSER) | set(STRUCTURE)
    unused = [text for text in MESSAGES if text not in said]
    unused += [text for text in REPORTS if text not in {template.text for template in report_templates()}]
    assert unused == []
    known = {template.text for template in messages()}
    looks = {*TERMINAL_LOOKS, *TERMINAL_LOOKS.values()}
    assert {text for text in _NOT_TOLD - known if text not in looks} == set()


def holes(template: str) -> list[tuple[str, str | None]]:
    return [
        (field, conversion)
        for _, field, _, conversion in string.Formatter().parse(template)
        if field is not None
    ]


@pytest.mark.parametrize("catalogue", [MESSAGES, REPORTS], ids=["messages", "reports"])
def test_a_translation_has_the_holes_of_its_template(catalogue: dict[str, str]) -> None:
    for english, chinese in catalogue.items():
        count, given = len(holes(english)), [field for field, _ in holes(chinese)]
        numbers = [int(field) for field in given if field] or list(range(len(given)))
        assert bool(all(given)) or not any(given), f"numbered and plain holes are mixed: {chinese}"
        assert set(numbers) <= set(range(count)), chinese
        left_out = set(range(count)) - set(numbers)
        assert not left_out or english in _HOLES_LEFT_OUT, f"holes {left_out} of {english!r}: {chinese}"


# The English text alone names the purpose.
_HOLES_LEFT_OUT = {"device meta has shapes, but no numbers to {} with"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise TextError(f"{what} is empty", "drop it")', ["{} is empty", "drop it"]),
        (
            "notes.append(f\"{n} token{'s' if n > 1 else ''} of {name}\")",
            ["{} tokens of {}", "{} token of {}"],
        ),
        ('hint = "give it" + f"; the value is {value:.3g}"', ["give it", "; the value is {}"]),
        ('raise OptionError(f"a{b}", "drop")', ["drop"]),
        ('def f():\n    """Return a text."""\n    return re.search("is not found", x)', []),
        ('x = "vocab_size"; y = {"emb_dim": 3}; z = option("--k", "Number of tokens.")', []),
        ('assert "no such file" in text', []),
    ],
)
def test_what_a_message_is(source: str, found: list[str]) -> None:
    assert messages_of(source) == found
