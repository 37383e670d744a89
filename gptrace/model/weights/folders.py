"""The folder of a model of transformers is checked before that library reads it."""

from __future__ import annotations

from pathlib import Path

from gptrace.errors import ConfigError, WeightsError
from gptrace.input_files import InputFile
from gptrace.model.weights.torch_files import check_torch_file

_READ_AS_TEXT = {".json", ".txt", ".model", ".jinja", ".tiktoken"}
_WEIGHTS = {".safetensors", ".bin"}
# The largest tokenizer.json of a published model has 33 MiB; as objects it takes ten times that.
_LARGEST_TEXT = 128 << 20
_HINT = "give the folder that save_pretrained() wrote"


def check_folder(folder: Path, location: str) -> None:
    """Raise ConfigError or WeightsError for files that transformers would read without end.

    These are devices and pipes, texts of more than 128 MiB, and weights that unpack to many times their size.
    `location` is what the user gave after `hf:`.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix in _READ_AS_TEXT | _WEIGHTS)
    except OSError as error:
        raise ConfigError(f"--model hf:{location}: {error.strerror}", _HINT) from None
    for file in files:
        name = f"{file.name} of --model hf:{location}"
        if not file.exists() or file.is_dir():  # a link that leads nowhere; a folder is never read
            continue
        is_text = file.suffix in _READ_AS_TEXT
        error_class = ConfigError if is_text else WeightsError
        InputFile(file, name, _HINT, error_class).size(_LARGEST_TEXT if is_text else None)
        if file.name.startswith("pytorch_model") and file.suffix == ".bin":
            check_torch_file(file, name)
