"""What comes from the Hugging Face hub, once: GPT-2's published weights, and any model named with `hf:`.

GPT-2's come at revisions that never change. huggingface_hub does the work: its cache, its progress bar,
HF_HOME, HF_HUB_OFFLINE, HF_TOKEN, HF_ENDPOINT; an interrupted download resumes. Looking whether GPT-2's are
at hand touches neither it nor the network.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, DownloadError
from gptrace.model.config import preset
from gptrace.wording import readable_bytes

# preset: (repository, revision)
PUBLISHED = {
    "gpt2-small": ("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
    "gpt2-medium": ("openai-community/gpt2-medium", "6dcaa7a952f72f9298047fd5137cd6e4f05f41da"),
    "gpt2-large": ("openai-community/gpt2-large", "32b71b12589c2f8d625668d2335a01cac3249519"),
    "gpt2-xl": ("openai-community/gpt2-xl", "15ea56dee5df4983c59b2538573817e1667135e2"),
}
_FILES = ("config.json", "model.safetensors")


def published(model: str) -> str:
    """Return the preset that a name or alias stands for, if its weights were published.

    >>> published("124M")
    'gpt2-small'
    """
    name = preset(model)[0]
    if name not in PUBLISHED:
        raise ConfigError(
            f"there are no published weights for {name}", f"there are for {', '.join(PUBLISHED)}"
        )
    return name


def folder_at_hand(name: str) -> Path | None:
    """Return the folder in the hub's cache that holds the weights of a preset, whole, or None."""
    repository, revision = PUBLISHED[name]
    folder = _cache() / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    return folder if all((folder / file).is_file() for file in _FILES) else None


def fetch(name: str, say: Callable[[str], None]) -> Path:
    """Return the folder with the weights of a preset, from the cache or from the hub.

    `say` gets one line with the size before anything is downloaded.
    """
    folder = folder_at_hand(name)
    if folder is not None:
        return folder
    huggingface_hub = _library(f"the weights of {name}", "hub")
    repository, revision = PUBLISHED[name]
    with _explained(repository):
        plans = [
            huggingface_hub.hf_hub_download(repository, file, revision=revision, dry_run=True)
            for file in _FILES
        ]
        say(_notice(plans, f"{repository} at revision {revision[:7]}"))
        paths = [huggingface_hub.hf_hub_download(repository, file, revision=revision) for file in _FILES]
    return Path(paths[0]).parent


def model_folder(where: str, say: Callable[[str], None], *, weights: bool) -> tuple[Path, dict[str, Any]]:
    """Return the folder of a model for transformers, and what a report says of where it is from.

    `where` is a folder, or OWNER/NAME on the hub, with @REVISION behind it or not; `weights` False leaves
    them where they are. The network is touched only for what is not in the hub's cache yet, after `say`.
    """
    folder = Path(where)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"--model hf:{where}: the folder has no config.json",
                "give the folder that save_pretrained() wrote",
            )
        return folder, {"source": "hugging_face", "path": where}
    repository, _, revision = where.partition("@")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repository) or repository.startswith("."):
        raise ConfigError(
            f"--model hf:{where} is neither a folder nor OWNER/NAME",
            "write hf:./my-model or hf:Qwen/Qwen3-0.6B",
        )
    folder = _fetch_repository(repository, revision or None, say, weights=weights)
    # A snapshot's folder is named after its commit.
    return folder, {"source": "hugging_face", "repository": repository, "revision": folder.name}


def _fetch_repository(
    repository: str, revision: str | None, say: Callable[[str], None], *, weights: bool
) -> Path:
    huggingface_hub = _library(f"the model {repository}", "hf")
    # Folders inside hold the same weights in other formats.
    options: dict[str, Any] = {"revision": revision, "ignore_patterns": ["*/*", "consolidated*"]}
    patterns = [*_BESIDE_WEIGHTS, *["*.safetensors"] * weights]
    with suppress(Exception):  # not there: for which reason will be seen below
        at_hand = huggingface_hub.snapshot_download(
            repository, allow_patterns=patterns, local_files_only=True, **options
        )
        if _is_whole(Path(at_hand), weights=weights):
            return Path(at_hand)
    with _explained(repository):
        plans = huggingface_hub.snapshot_download(
            repository, allow_patterns=patterns, dry_run=True, **options
        )
        if weights and not any(plan.filename.endswith(".safetensors") for plan in plans):
            patterns = [*_BESIDE_WEIGHTS, "pytorch_model*.bin"]
            plans = huggingface_hub.snapshot_download(
                repository, allow_patterns=patterns, dry_run=True, **options
            )
        if any(getattr(plan, "will_download", True) for plan in plans):
            say(_notice(plans, repository))
        folder = Path(huggingface_hub.snapshot_download(repository, allow_patterns=patterns, **options))
    if not _is_whole(folder, weights=weights):
        raise DownloadError(
            f"{repository} holds no {'weights' if (folder / 'config.json').is_file() else 'config.json'}",
            "is it a model for transformers? --weights random needs its config.json alone",
        )
    return folder


_BESIDE_WEIGHTS = ("*.json", "*.model", "*.txt")


def _is_whole(folder: Path, *, weights: bool) -> bool:
    """Tell whether a snapshot has what loading needs: a cache may hold only some of the files."""
    if not (folder / "config.json").is_file():
        return False
    indexes = [folder / "model.safetensors.index.json", folder / "pytorch_model.bin.index.json"]
    shards = [
        shard
        for index in indexes
        if index.is_file()
        for shard in set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
    ]
    single = any((folder / name).is_file() for name in ("model.safetensors", "pytorch_model.bin"))
    return not weights or single or (bool(shards) and all((folder / shard).is_file() for shard in shards))


def _library(what: str, extra: str) -> Any:
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # nothing moves where nobody watches
    try:
        import huggingface_hub
    except ImportError:
        raise DownloadError(
            f"fetching {what} needs huggingface_hub, which is not installed",
            f"pip install 'gptrace[{extra}]'",
        ) from None
    return huggingface_hub


def _notice(plans: Iterable[Any], what: str) -> str:
    size = readable_bytes(sum(plan.file_size for plan in plans if getattr(plan, "will_download", True)))
    return f"fetching {size} of {what}; this happens once"


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Turn what goes wrong on the way into one error that says why."""
    try:
        yield
    except Exception as error:  # of many libraries, for many reasons; the reason is what counts
        # Two that only say that the network failed: how it did stands behind them.
        vague = type(error).__name__ in ("DryRunError", "LocalEntryNotFoundError")
        first = error.__cause__ if vague and isinstance(error.__cause__, Exception) else error
        reason = " ".join(str(first).split())[:300]
        raise DownloadError(
            f"{repository} could not be fetched: {type(first).__name__}: {reason}", _advice(first)
        ) from None


def _advice(error: Exception) -> str:
    name = type(error).__name__
    if os.environ.get("HF_HUB_OFFLINE") or name == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set; unset it once to fetch the weights"
    if "NotFound" in name and "Local" not in name:
        return "is the name right? And is HF_ENDPOINT a mirror that lacks this repository?"
    return (
        "look at the network and at HF_ENDPOINT, then run the same command again: it goes on where it stopped"
    )


def _cache() -> Path:
    """Find the hub's cache as huggingface_hub does, without importing it."""
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    cache = (
        os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    )
    return Path(os.path.expandvars(os.path.expanduser(cache)))
