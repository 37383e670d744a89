"""The colours of the SVG of a trace, each on light and on dark: those of the page's map."""

from __future__ import annotations

COLORS = {
    "ground": ("#f7f8fa", "#0f1216"),
    "surface": ("#ffffff", "#171b21"),
    "raised": ("#eef1f5", "#222831"),
    "ink": ("#1a1f26", "#e7eaef"),
    "quiet": ("#576070", "#a3adbb"),
    "line": ("#8b95a5", "#6c7889"),
    "skip": ("#b9c3d2", "#4a5667"),
    "accent": ("#1b57c4", "#8ab4ff"),
    "accent-soft": ("#dfe9fb", "#1d3157"),
    "bad": ("#b3261e", "#ff8f86"),
    "bad-soft": ("#fbe4e2", "#45201f"),
    "tokens-soft": ("#fbe3ef", "#4a1a33"),
}
_AXES = {
    "batch": ("#6a4bb5", "#b9a3f5"),
    "seq_len": ("#18703a", "#74d193"),
    "emb_dim": ("#1560a8", "#82bcf5"),
    "vocab_size": ("#b0206a", "#f58bbd"),
    "n_heads": ("#8f5200", "#e9b266"),
    "head_dim": ("#0b7285", "#66cfe0"),
    "ff_dim": ("#a13b1e", "#f39f83"),
    "context_length": ("#58640a", "#c5cf62"),
}
_OTHER_AXES = (
    ("#7c4a1e", "#d9ad86"), ("#8a2f9b", "#dd96ea"), ("#3d5a6c", "#a3bfd1"), ("#9c2740", "#f294a4"),
)  # fmt: skip


class Colors:
    """The colours of one theme. Axes without a colour of their own get one when they are first asked for."""

    def __init__(self, theme: str) -> None:
        self._number = int(theme == "dark")
        self._axes = dict(_AXES)

    def __getitem__(self, name: str) -> str:
        return COLORS[name][self._number]

    def axis(self, name: str) -> str:
        """Return the colour of an axis; a size without a name has none of its own."""
        if name.isdigit():
            return self["quiet"]
        if name not in self._axes:
            self._axes[name] = _OTHER_AXES[(len(self._axes) - len(_AXES)) % len(_OTHER_AXES)]
        return self._axes[name][self._number]
