"""Places in the source code of a model: the lines that operations come from."""

from __future__ import annotations

from types import FrameType
from typing import NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import LIBRARIES

_TORCH = torch.__file__.rpartition("/")[0]
_NOT_THE_MODEL = (
    _TORCH, "<frozen", "<eval_with_key>", __file__.rpartition("/verify/")[0] + "/verify/",
    __file__.rpartition("/verify/")[0] + "/tracing/",
)  # fmt: skip


class Place(NamedTuple):
    """A line of source code, and the function that it is in; file "" where no line is known.

    `begin` is the first line of that function. `outer` is the line of the module's forward that led there,
    where the function is a helper.
    """

    file: str = ""
    line: int = 0
    function: str = ""
    begin: int = 0
    outer: Place | None = None


NOWHERE = Place()


def find_place(frame: FrameType | None) -> Place:
    """Return the line of the model's code that led to a frame: the innermost one outside torch and here."""
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_MODEL):
        frame = frame.f_back
    if frame is None:
        return NOWHERE
    inner, outer = frame, frame
    while outer.f_back is not None and not outer.f_back.f_code.co_filename.startswith(_NOT_THE_MODEL):
        outer = outer.f_back
    return _place(inner)._replace(outer=None if outer is inner else _place(outer))


def _place(frame: FrameType) -> Place:
    code = frame.f_code
    return Place(code.co_filename, frame.f_lineno, code.co_qualname, code.co_firstlineno)


def find_place_of_class(custom: type) -> Place:
    """Return the line of the backward method of a torch.autograd.Function."""
    code = getattr(getattr(custom, "backward", None), "__code__", None)
    return Place() if code is None else Place(code.co_filename, code.co_firstlineno, code.co_qualname)


def is_raised_at(error: BaseException, place: Place) -> bool:
    """Tell whether the line of a place raised an exception itself, and no function that it calls."""
    traceback = (error.__cause__ or error).__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and (traceback.tb_frame.f_code.co_filename, traceback.tb_lineno) == (
        place.file,
        place.line,
    )


def find_place_of_error(error: BaseException) -> Place:
    """Return the line of the model's code that raised an exception, or the cause of it.

    It is the line that called a library, unless the model itself is of one.
    """
    traceback, place = (error.__cause__ or error).__traceback__, Place()
    while traceback is not None:
        code = traceback.tb_frame.f_code
        is_library = code.co_filename.startswith(LIBRARIES)
        has_better = is_library and place.file and not place.file.startswith(LIBRARIES)
        if not code.co_filename.startswith(_NOT_THE_MODEL) and not has_better:
            place = Place(code.co_filename, traceback.tb_lineno, code.co_qualname, code.co_firstlineno)
        traceback = traceback.tb_next
    return place
