"""The one stylesheet of documents and of what notebooks show, and the policy that allows it and no script."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from gptrace.report.palette import COLORS, LOOKS, Look

# The switches of JupyterLab, VS Code, Sphinx and Colab, which count more than the reader's system.
_LIGHT = ('[data-theme="light"]', '[data-jp-theme-light="true"]', ".vscode-light", '[theme="light"]')
_DARK = (
    '[data-theme="dark"]', '[data-jp-theme-light="false"]', ".vscode-dark", ".vscode-high-contrast",
    '[theme="dark"]',
)  # fmt: skip
_ROOT = ".gptrace"
# Notebooks style tables and headings by up to two classes and three elements.
_STRONGER_ROOT = ".gptrace.gptrace.gptrace"


@cache
def style_of_page() -> str:
    """Return the stylesheet of a document of its own."""
    return _compact(f"{_colors()}{_roles()}{_text('document.css')}{_text('page.css')}")


@cache
def style_of_element() -> str:
    """Return the stylesheet of an element in a notebook, whose rules reach nothing outside of it."""
    rules = _compact(f"{_colors()}{_roles()}{_text('document.css')}")
    return rules.replace(f"{_ROOT} ", f"{_STRONGER_ROOT} ")


@cache
def policy() -> str:
    """Return the content policy of a document: its stylesheet, and nothing else."""
    digest = b64encode(sha256(style_of_page().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def class_of(role: str) -> str:
    """Return the class of a role.

    >>> class_of("very unlikely")
    'very-unlikely'
    """
    return role.replace(" ", "-")


def _colors() -> str:
    """Return the custom properties; print is light, whatever the screen is."""
    light, dark = (_properties(index) for index in (0, 1))
    switched_light, switched_dark = (
        ",".join(f"{switch} {_ROOT}" for switch in switches) for switches in (_LIGHT, _DARK)
    )
    return (
        f"{_ROOT}{{{light};color-scheme:light}}"
        f"@media screen and (prefers-color-scheme:dark){{{_ROOT}{{{dark};color-scheme:dark}}}}"
        f"@media screen{{{switched_light}{{{light};color-scheme:light}}"
        f"{switched_dark}{{{dark};color-scheme:dark}}"
        f'{_ROOT}[data-theme="light"]{{{light};color-scheme:light}}'
        f'{_ROOT}[data-theme="dark"]{{{dark};color-scheme:dark}}}}'
    )


def _properties(index: int) -> str:
    return ";".join(f"--{name}:{pair[index]}" for name, pair in COLORS.items())


def _roles() -> str:
    return "".join(f"{_ROOT} .{class_of(role)}{{{_look(look)}}}" for role, look in LOOKS.items() if role)


def _look(look: Look) -> str:
    declarations = [f"color:var(--{look.color})"]
    declarations += [f"background:var(--{look.background})"] if look.background else []
    declarations += ["font-weight:600"] if look.bold else []
    declarations += [f"text-decoration:underline {look.underline} 1px"] if look.underline else []
    return ";".join(declarations)


def _text(name: str) -> str:
    return files("gptrace.report").joinpath("styles", name).read_text("utf-8")


def _compact(css: str) -> str:
    """Leave out comments and the spaces that mean nothing."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r" ?([{};,>]) ?", r"\1", css).strip()
