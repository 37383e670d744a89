"""PyTorch's own files are checked before torch reads them: it trusts the sizes that they claim.

Since version 1.6 such a file is a zip archive of a pickle and of raw numbers; before, it was a pickle alone.
"""

from __future__ import annotations

import mmap
import zipfile
from contextlib import suppress
from pathlib import Path

from gptrace.errors import WeightsError
from gptrace.wording import quoted_value, readable_bytes

# The pickle names each tensor, in some 100 bytes, and holds no numbers. Each byte may make an object.
_LARGEST_PICKLE = 8 << 20
# What torch wrote before version 1.6 begins with this number, after the version of the pickle.
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
# Of what torch lets a pickle call, this alone takes memory that is not in the file: bytearray(10**12).
_ALLOCATES = b"bytearray\n"
_SAVE = "save the state dict again with torch.save(model.state_dict(), path)"


def check_torch_file(path: Path, name: str) -> bool:
    """Tell whether a file begins as PyTorch's files do; one that is damaged later passes, and torch says so.

    Raises WeightsError for a file that would take many times its size in memory; errors call it `name`.
    """
    with path.open("rb") as file:
        start = file.read(4 + len(_MAGIC))
    if not start.startswith(b"PK"):
        is_old_file = start[4:] == _MAGIC
        _check_pickle(path, name, is_old_file=is_old_file)
        return is_old_file
    with suppress(zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError):
        _check_archive(path, name)
    return True


def _check_archive(path: Path, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                unpacked = readable_bytes(entry.file_size)
                raise WeightsError(
                    f"{name}: it holds {quoted_value(entry.filename)} compressed ({unpacked} unpacked), "
                    "which torch.save never does",
                    _SAVE,
                )
            if not entry.filename.endswith(".pkl"):
                continue
            if entry.file_size > _LARGEST_PICKLE:
                problem = f"{name}: its list of tensors has {readable_bytes(entry.file_size)}"
                raise WeightsError(problem, "give a file that holds a state dict alone, best as safetensors")
            if _ALLOCATES in archive.read(entry):
                raise _refused(name)


def _check_pickle(path: Path, name: str, *, is_old_file: bool) -> None:
    size = path.stat().st_size
    if not is_old_file and size > _LARGEST_PICKLE:
        raise WeightsError(f"{name}: it is neither a safetensors file nor a PyTorch file", _SAVE)
    if not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_ALLOCATES) >= 0:
            raise _refused(name)


def _refused(name: str) -> WeightsError:
    return WeightsError(f"{name}: the file wants to run bytearray, so it was not loaded", _SAVE)
