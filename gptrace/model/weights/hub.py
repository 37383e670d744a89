"""GPT-2's published weights, fetched once from the Hugging Face hub, at revisions that never change.

huggingface_hub does the work: its cache, its progress bar, HF_HOME, HF_HUB_OFFLINE, HF_TOKEN, HF_ENDPOINT; an
interrupted download resumes. Looking whether weights are at hand touches neither it nor the network.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, DownloadError
from gptrace.model.config import preset
from gptrace.model.memory import readable_bytes

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
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # nothing moves where nobody watches
    try:
        import huggingface_hub
    except ImportError:
        raise DownloadError(
            f"fetching the weights of {name} needs huggingface_hub, which is not installed",
            "pip install 'gptrace[hub]'",
        ) from None
    repository, revision = PUBLISHED[name]
    try:
        plans: Any = [
            huggingface_hub.hf_hub_download(repository, file, revision=revision, dry_run=True)
            for file in _FILES
        ]
        size = readable_bytes(sum(plan.file_size for plan in plans))
        say(f"fetching {size} of {repository} at revision {revision[:7]}; this happens once")
        paths = [huggingface_hub.hf_hub_download(repository, file, revision=revision) for file in _FILES]
    except Exception as error:  # of many libraries, for many reasons; the reason is what counts
        reason = " ".join(str(error).split())[:300]
        raise DownloadError(
            f"{repository} could not be fetched: {type(error).__name__}: {reason}", _advice(error)
        ) from None
    return Path(paths[0]).parent


def _advice(error: Exception) -> str:
    name = type(error).__name__
    if os.environ.get("HF_HUB_OFFLINE") or name == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set; unset it once to fetch the weights"
    if "NotFound" in name and "Local" not in name:
        return "is HF_ENDPOINT a mirror that lacks this repository?"
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
