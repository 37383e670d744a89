"""Put the shapes of a Source into the files themselves, as comments; code is never changed."""

from __future__ import annotations

import ast
import difflib
import io
import os
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gptrace.errors import InputError, OptionError, RunError
from gptrace.input_files import InputFile
from gptrace.model.user_code_errors import LIBRARIES
from gptrace.notebook_cells import cell_of
from gptrace.record import CodeFile, CodeLine, Source, TensorSpec
from gptrace.verify.source.comments import with_comments, without_comments
from gptrace.wording import bracketed, enumerated

_LARGEST = 16 << 20  # bytes of a source file
_NO_LINE_BREAK = "\n\\ No newline at end of file\n"  # what `patch` expects after such a line
_SHAPES = 3  # different shapes in one comment


class ChangedFileError(RunError):
    """A file is not as it ran any more; `diff` says how."""

    def __init__(self, name: str, diff: str) -> None:
        super().__init__(
            f"{name!r} has changed since the model was loaded, and is left as it is", "run the command again"
        )
        self.diff = diff


@dataclass(frozen=True)
class CommentedFile:
    """A file as it is and as it is with the comments, or without them where they are taken out.

    comments  how many are put in, or taken out
    refused   lines that can take no comment
    foreign   lines with a comment that begins as those of gptrace do, and is not one: it stays
    """

    path: Path
    name: str
    before: bytes
    after: bytes
    comments: int
    refused: Sequence[int] = ()
    foreign: Sequence[int] = ()
    has_comments: bool = True

    @property
    def diff(self) -> str:
        """The change as a unified diff; "" without any."""
        encoding = _encoding(self.before, self.name)
        before, after = (_lines(data.decode(encoding)) for data in (self.before, self.after))
        now = f"{self.name} (with shapes)" if self.has_comments else f"{self.name} (without shapes)"
        lines = difflib.unified_diff(before, after, self.name, now)
        return "".join(line if line.endswith(("\n", "\r")) else f"{line}{_NO_LINE_BREAK}" for line in lines)


def commented_files(source: Source, *, remove: bool = False) -> list[CommentedFile]:
    """Return the files of a source with its shapes as comments, or without any; nothing is written.

    Raises OptionError where none of the files is the user's own, InputError for a file that cannot be read,
    ChangedFileError for one that has changed since the model was loaded.
    """
    own = [file for file in source.files if not _objection(file.file)]
    if not own:
        reasons = "; ".join(files_without_comments(source)) or "no line of the model's own code ran"
        raise OptionError(
            f"no file takes comments: {reasons}",
            "copy it into a .py file, and name the copy: gptrace source --model FILE.py:OBJECT",
        )
    return [_commented(file, remove=remove) for file in own]


def files_without_comments(source: Source) -> list[str]:
    """Return why files of a source take no comments, with the names of those that it holds for."""
    names: dict[str, list[str]] = {}
    for file in source.files:
        cell = cell_of(file.file)
        names.setdefault(_objection(file.file), []).append(cell.file if cell is not None else file.file)
    for hidden in source.not_shown:
        names.setdefault(hidden.why, []).append(hidden.file)
    return [f"{enumerated(dict.fromkeys(files), 5)}: {why}" for why, files in names.items() if why]


def _objection(file: str) -> str:
    """Say why a file takes no comments; a virtual environment, whose files take none, may be a link."""
    if cell_of(file) is not None or re.fullmatch(r"cell \d+", file):
        return "code of a notebook"
    if not Path(file).is_file():
        return "no such file"
    package = os.path.abspath(__file__).rpartition(f"{os.sep}verify{os.sep}")[0] + os.sep
    folders = [folder.rstrip(os.sep) for folder in (*LIBRARIES, package)]
    libraries = tuple(name + os.sep for folder in folders for name in (folder, os.path.realpath(folder)))
    paths = (os.path.abspath(file), os.path.realpath(file))
    return "part of an installed package" if any(path.startswith(libraries) for path in paths) else ""


def _commented(file: CodeFile, *, remove: bool) -> CommentedFile:
    path = Path(os.path.realpath(file.file))
    before = InputFile(path, file.file, "name a file that can be read").raw(_LARGEST)
    encoding = _encoding(before, file.file)
    text = before.decode(encoding)
    lines = _lines(text)
    made = {line.line: comment for line in file.lines if (comment := _comment(line))}
    try:
        bare = without_comments(lines)
        _refuse_changed(file, bare)
        changed, refused, foreign = with_comments(lines, {} if remove else made)
    except SyntaxError as error:
        raise InputError(
            f"{file.file!r} is no Python that can be read: {error}", "correct it first"
        ) from None
    after = "".join(changed)
    if ast.dump(ast.parse(after)) != ast.dump(ast.parse(text)):
        raise RunError(
            f"shape comments would change the code of {file.file!r}", "this is a mistake in gptrace"
        )
    if remove:
        count = sum(line != without for line, without in zip(lines, bare, strict=True))
    else:
        count = len(made) - len(refused)
    data = after.encode(encoding, "backslashreplace")
    return CommentedFile(path, file.file, before, data, count, refused, foreign, has_comments=not remove)


def _refuse_changed(file: CodeFile, lines: Sequence[str]) -> None:
    """Raise a ChangedFileError where the lines that ran are not those of the file any more."""
    ran = {line.line: line.text for line in file.lines}
    texts = dict(enumerate((line.rstrip("\r\n") for line in lines), 1))
    now = {number: texts.get(number, "") for number in ran}
    if now != ran:
        as_it_ran, as_it_is = ([f"{text}\n" for text in side.values()] for side in (ran, now))
        name = file.file
        diff = difflib.unified_diff(as_it_ran, as_it_is, f"{name} (ran)", f"{name} (now)")
        raise ChangedFileError(name, "".join(diff))


def _comment(line: CodeLine) -> str:
    """Return the shapes of a line as one comment: those of its arguments with their names."""
    texts = [f"{_argument(spec.name)}{_shape(spec)}" for spec in line.arguments]
    made = list(dict.fromkeys(_shape(spec) for spec in line.made))
    shown = [*dict.fromkeys(texts), *made]
    rest = f", ... {len(shown) - _SHAPES} more" if len(shown) > _SHAPES else ""
    return ", ".join(shown[:_SHAPES]) + rest


def _argument(name: str) -> str:
    """Return the name before a shape; "" for one with spaces, such as a key, which would be no name."""
    return f"{name} " if re.fullmatch(r"[^\s\[,]\S*", name) else ""


def _shape(spec: TensorSpec) -> str:
    names, sizes = bracketed(spec.dims), bracketed(spec.shape)
    return names if names == sizes else f"{names} {sizes}"


def _encoding(data: bytes, name: str) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError as error:
        raise InputError(f"the encoding of {name!r} is unknown: {error}", "save it as UTF-8") from None


def _lines(text: str) -> list[str]:
    """Return the lines with their ends, split where Python splits them."""
    return list(io.StringIO(text, newline=""))
