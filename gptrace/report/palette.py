"""The colours of documents and pictures, on light and on dark, and how each role of a text looks there."""

from __future__ import annotations

from dataclasses import dataclass

# Each on light and on dark. Text on `paper`, `surface` or a tint has a contrast of at least 4.5 to 1.
COLORS = {
    "paper": ("#ffffff", "#15181e"),
    "surface": ("#f4f5f7", "#20252d"),  # behind code and heads of tables
    "rule": ("#c8ced6", "#454d59"),
    "focus": ("#0b5cad", "#7db8ff"),
    "ink": ("#1c2128", "#e6e8eb"),
    "quiet": ("#57606a", "#a3adb8"),
    "pink": ("#9c2773", "#f29bd2"),
    "teal": ("#0a6478", "#71cbe0"),
    "green": ("#14693a", "#6fd09a"),
    "red": ("#b3261e", "#ff9188"),
    "amber": ("#7d5200", "#e8bb62"),
    # Ranks: the nearer to the first, the stronger.
    "near-1": ("#86d5bb", "#1d6b57"),
    "near-10": ("#bfe9dc", "#1c4a42"),
    "near-100": ("#e6f6f1", "#1e302f"),
    # Surprisal: the more surprising, the stronger.
    "surprise-1": ("#fff3cf", "#35301d"),
    "surprise-2": ("#ffdf9e", "#55441b"),
    "surprise-3": ("#ffbe7d", "#73481b"),
    "surprise-4": ("#ff9c75", "#8a3d20"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a text looks: names of colours, and whether it is bold or underlined.

    Colour is never alone: what a tint means is also told by weight or line.
    """

    color: str = "ink"
    background: str = ""
    bold: bool = False
    underline: str = ""  # a line of CSS: "dotted", "solid" or "double"


LOOKS = {
    "": Look(),
    "strong": Look(bold=True),
    "quiet": Look("quiet"),
    "code": Look(bold=True),
    "prompt": Look("quiet"),
    "continuation": Look(bold=True),
    "changed": Look("pink", bold=True),
    "operation": Look("teal"),
    "bar": Look("pink"),
    "error": Look("red"),
    "failed": Look("red", bold=True),
    "holds": Look("green", bold=True),
    "fails": Look("red", bold=True),
    "figures": Look("teal"),
    "rank 1": Look(background="near-1", bold=True),
    "rank 10": Look(background="near-10"),
    "rank 100": Look(background="near-100", underline="dotted"),
    "likely": Look(),
    "fairly likely": Look(background="surprise-1"),
    "possible": Look(background="surprise-2", underline="dotted"),
    "unlikely": Look(background="surprise-3", underline="solid"),
    "very unlikely": Look(background="surprise-4", underline="double"),
    "keyword": Look("pink"),
    "string": Look("green"),
    "comment": Look("quiet"),
    "literal": Look("teal"),
    "definition": Look(bold=True),
}


def color_of(name: str, theme: str) -> str:
    """Return a colour of a theme in hexadecimal.

    >>> color_of("paper", "light")
    '#ffffff'
    """
    return COLORS[name][theme == "dark"]
