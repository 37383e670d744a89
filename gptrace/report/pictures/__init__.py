"""Pictures of a trace: SVG, Mermaid and DOT. `scene.py` chooses their contents, the other files draw them."""

from __future__ import annotations

from gptrace.errors import OptionError
from gptrace.record import Trace
from gptrace.report.pictures.dot import to_dot
from gptrace.report.pictures.mermaid import to_mermaid
from gptrace.report.pictures.scene import scene_of
from gptrace.report.pictures.svg import to_svg
from gptrace.report.view import View

_FORMATS = ("svg", "mermaid", "dot")


def picture_of(trace: Trace, format: str, view: View) -> str:
    """Return a trace as "svg", "mermaid" or "dot"; raise an OptionError for options of tables."""
    if format not in _FORMATS:
        raise OptionError(f"{format!r} is not a format of a picture", f"pick one of {', '.join(_FORMATS)}")
    for option, value in (("--columns", view.columns), ("--type", view.type)):
        if value:
            raise OptionError(f"{option} is for tables, and {format} is a picture", f"leave out {option}")
    scene, language = scene_of(trace, view), view.language_of(trace)
    if format == "svg":
        return to_svg(scene, language, view.theme, landscape=view.landscape)
    return to_mermaid(scene, language) if format == "mermaid" else to_dot(scene, language)
