"""Downloads from the Hugging Face hub: GPT-2's published weights at fixed revisions, and models named `hf:…`.

huggingface_hub does the work: its cache, its progress bar, HF_HOME, HF_HUB_OFFLINE, HF_TOKEN and HF_ENDPOINT
apply, and files that are whole are kept. Looking for GPT-2's weights in the cache needs neither that
library nor the network.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, DownloadError, GptraceError, WeightsError
from gptrace.model.config import preset
from gptrace.model.weights.folders import check_folder
from gptrace.model.weights.hub_guard import check_files, run_guarded
from gptrace.model.weights.hub_sizes import AGAIN, ENDPOINT, Sizes
from gptrace.model.weights.packaged import PACKAGED
from gptrace.text.hugging_face import HUB_VARIABLES
from gptrace.wording import line_without_passwords, quoted_value, readable_bytes, suggestion

# preset: (repository, revision)
PUBLISHED = {
    "gpt2-small": ("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
    "gpt2-medium": ("openai-community/gpt2-medium", "6dcaa7a952f72f9298047fd5137cd6e4f05f41da"),
    "gpt2-large": ("openai-community/gpt2-large", "32b71b12589c2f8d625668d2335a01cac3249519"),
    "gpt2-xl": ("openai-community/gpt2-xl", "15ea56dee5df4983c59b2538573817e1667135e2"),
}
_FILES = ("config.json", "model.safetensors")
_NAMES = "write hf:./my-model or hf:Qwen/Qwen3-0.6B"
_SMALL_FILES = ("*.json", "*.model", "*.txt")  # configuration and tokenizer


def published(model: str) -> str:
    """Return the name of the preset called `model`; raise ConfigError if its weights were not published.

    >>> published("124M")
    'gpt2-small'
    """
    try:
        name = preset(model)[0]
    except ConfigError as error:
        raise ConfigError(error.message, suggestion(model, PUBLISHED)) from None
    if name in PACKAGED:
        hint = f"pick one of {', '.join(PUBLISHED)}"
        raise ConfigError(f"the weights of {name} are in the package already", hint)
    if name not in PUBLISHED:
        raise ConfigError(f"there are no published weights for {name}", f"pick one of {', '.join(PUBLISHED)}")
    return name


def folder_at_hand(name: str) -> Path | None:
    """Return the folder in the hub's cache with the complete weights of a preset, or None."""
    repository, revision = PUBLISHED[name]
    folder = _cache() / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    # Path.is_file raises where a folder may not be entered.
    return folder if all(os.path.isfile(folder / file) for file in _FILES) else None


def fetch(name: str, say: Callable[[str], None]) -> Path:
    """Return the folder with the weights of a preset, from the cache or from the hub.

    `say` gets one line with the size before a download. Raises DownloadError where that fails.
    """
    folder = folder_at_hand(name)
    if folder is not None:
        return folder
    huggingface_hub = _library(f"the weights of {name}")
    repository, revision = PUBLISHED[name]
    download = partial(huggingface_hub.hf_hub_download, repository, revision=revision)

    def fetch_files(sizes: Sizes) -> Path:
        files = [download(file, dry_run=True) for file in _FILES]
        for file in files:
            if file.commit_hash != revision:
                sent = quoted_value(file.commit_hash)
                raise DownloadError(
                    f"the server sent {repository} at revision {sent}, not {revision!r}", ENDPOINT
                )
        say(_notice(sizes.expect(files), f"{repository} at revision {revision[:7]}"))
        config, _ = (Path(download(name)) for name in _FILES)
        return config.parent

    with _explained(repository):
        folder = run_guarded(fetch_files, _cache(), say)
        check_files(folder)
    return folder


def model_folder(location: str, say: Callable[[str], None], *, weights: bool) -> tuple[Path, dict[str, Any]]:
    """Return the folder of a model for transformers, and its origin for reports.

    location   a folder, or OWNER/NAME or OWNER/NAME@REVISION on the hub
    say        gets one line with the size before a download
    weights    False downloads everything but the weights

    Only files that are not in the hub's cache are downloaded. Raises ConfigError for a location that is
    neither, DownloadError where the download fails.
    """
    folder = Path(location)
    if folder.is_dir():
        check_folder(folder, location)
        if not (folder / "config.json").is_file():
            hint = "give the folder that save_pretrained() wrote"
            raise ConfigError(f"--model hf:{location}: the folder has no config.json", hint)
        if weights:
            _has_weights(folder)  # refuses an index that leads out of the folder
        return folder, {"source": "hugging_face", "path": location}
    repository, _, revision = location.partition("@")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repository) or repository.startswith("."):
        raise ConfigError(f"--model hf:{location} is neither a folder nor OWNER/NAME", _NAMES)
    if revision:
        _check_revision(revision, location)
    folder = _fetch_repository(repository, revision or None, say, weights=weights)
    check_folder(folder, location)
    # The hub's cache names the folder of a snapshot after its commit.
    return folder, {"source": "hugging_face", "repository": repository, "revision": folder.name}


def _check_revision(revision: str, location: str) -> None:
    """Raise ConfigError for a name that git does not allow; the library makes a path of it."""
    parts = revision.split("/")
    is_name = all(re.fullmatch(r"[^\0-\x20\x7f~^:?*[\\]+", part) for part in parts)
    if not is_name or ".." in revision or any(part.startswith(".") for part in parts):
        problem = f"--model hf:{location}: {quoted_value(revision)} is not a valid revision"
        raise ConfigError(problem, "name a branch, a tag or a commit, such as hf:Qwen/Qwen3-0.6B@main")


def _fetch_repository(
    repository: str, revision: str | None, say: Callable[[str], None], *, weights: bool
) -> Path:
    library = _library(f"the model {repository}")
    # Subfolders hold the same weights in other formats.
    ignored = ["*/*", "consolidated*"]
    download = partial(library.snapshot_download, repository, revision=revision, ignore_patterns=ignored)
    patterns = [*_SMALL_FILES, *["*.safetensors"] * weights]
    with suppress(Exception):  # not in the cache; the download below reports other problems
        folder = Path(download(allow_patterns=patterns, local_files_only=True))
        if _is_complete(folder, weights=weights):
            return folder

    def fetch_files(sizes: Sizes) -> Path:
        wanted = patterns
        files = download(allow_patterns=wanted, dry_run=True)
        if weights and not any(file.filename.endswith(".safetensors") for file in files):
            wanted = [*_SMALL_FILES, "pytorch_model*.bin"]
            files = download(allow_patterns=wanted, dry_run=True)
        size = sizes.expect(files)
        if size:
            say(_notice(size, repository))
        return Path(download(allow_patterns=wanted))

    with _explained(repository):
        folder = run_guarded(fetch_files, _cache(), say)
        check_files(folder)
    if not _is_complete(folder, weights=weights):
        raise DownloadError(
            f"{repository} holds no {'weights' if (folder / 'config.json').is_file() else 'config.json'}",
            "is it a model for transformers? --weights random needs only its config.json",
        )
    return folder


def _is_complete(folder: Path, *, weights: bool) -> bool:
    """Tell whether a snapshot has all files that loading needs; the cache may hold only some."""
    return (folder / "config.json").is_file() and (not weights or _has_weights(folder))


def _has_weights(folder: Path) -> bool:
    singles = [folder / "model.safetensors", folder / "pytorch_model.bin"]
    indexes = [index for single in singles if (index := Path(f"{single}.index.json")).is_file()]
    shards = {shard for index in indexes for shard in _shards(index)}
    if any(single.is_file() for single in singles):
        return True
    return bool(shards) and all((folder / shard).is_file() for shard in shards)


def _shards(index: Path) -> set[str]:
    """Return the names of the shards in an index; raise WeightsError for one that is not beside it."""
    hint = "download it again, completely"
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = set(map(str, weight_map.values()))
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise WeightsError(f"{index} has no weight_map of names", hint) from None
    for shard in sorted(shards):
        if Path(shard).name != shard:  # a path could lead anywhere
            raise WeightsError(f"{index}: the shard {quoted_value(shard)} is not beside it", hint)
    return shards


def _library(what: str) -> Any:
    try:
        import huggingface_hub

        huggingface_hub.snapshot_download  # noqa: B018 - it is imported when it is first asked for
    except ImportError:
        hint = "pip install huggingface_hub"  # not gptrace[hub]: it may run from a checkout
        raise DownloadError(f"fetching {what} needs huggingface_hub, which is not installed", hint) from None
    except Exception as error:  # it reads its variables then
        reason = line_without_passwords(error)
        problem = f"huggingface_hub cannot be imported: {type(error).__name__}: {reason}"
        raise DownloadError(problem, HUB_VARIABLES) from None
    return huggingface_hub


def _notice(size: int, what: str) -> str:
    return f"fetching {readable_bytes(size)} of {what}; this happens once"


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Turn any exception in the block into a DownloadError with its reason."""
    try:
        yield
    except GptraceError:
        raise
    except Exception as error:  # several libraries raise many classes here
        # These two only say that the network failed; their cause says how.
        is_vague = type(error).__name__ in ("DryRunError", "LocalEntryNotFoundError")
        cause = error.__cause__ if is_vague and isinstance(error.__cause__, Exception) else error
        name = type(cause).__name__
        if name == "HFValidationError":
            raise ConfigError(f"--model hf:{repository} is neither a folder nor OWNER/NAME", _NAMES) from None
        problem = f"{repository} could not be fetched: {name}: {line_without_passwords(cause)}"
        raise DownloadError(problem, _hint(cause)) from None


def _hint(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, OSError) and error.filename:  # a file here; errors of the network name none
        return "the folder of the hub's cache has to be yours to read and write: HF_HOME names another one"
    if os.environ.get("HF_HUB_OFFLINE") or name == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set; unset it once to fetch the weights"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if name == "RepositoryNotFoundError" and status == 401:  # so that nobody learns what is private
        return "is the name right? A private repository needs HF_TOKEN; a mirror in HF_ENDPOINT may lack it"
    if ("NotFound" in name and "Local" not in name) or status == 404:
        return "is the name right? And is HF_ENDPOINT a mirror that lacks this repository?"
    if status in (401, 403):
        return "it may need an account: ask for access on its page of the hub, and set HF_TOKEN to your token"
    return AGAIN


def _cache() -> Path:
    """Return the folder of the hub's cache, found as huggingface_hub finds it, without importing that."""
    get = os.environ.get
    home = get("HF_HOME") or os.path.join(get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = get("HF_HUB_CACHE") or get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(cache)))
