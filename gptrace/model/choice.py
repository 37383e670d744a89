"""Which model to run, as the command line or a caller of the API says it. No torch here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, DeviceError, OptionError, WeightsError
from gptrace.model.config import GPTConfig, check_keys, parse_setting, preset, read_config_file, shown
from gptrace.model.weights import hub

DEFAULT_MODEL = "gpt2-small"
DEFAULT_SEED = 123
DTYPES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}  # bytes of one number
DEVICES = ("cpu", "cuda", "mps", "meta", "auto")
_log = logging.getLogger("gptrace").info
RANDOM = "random"
PRETRAINED = "pretrained"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that can be built: name for people, sizes, weights, where and in what it runs.

    `config` is None where a weight file decides the sizes: then `preset` (when a model was named) and
    `keys` (of --config and --set) are what it has to agree with. `origin` is what a report says of published
    weights.
    """

    name: str
    config: GPTConfig | None
    seed: int = DEFAULT_SEED
    device: str = "cpu"
    dtype: str = "float32"
    weights: Path | None = None
    preset: GPTConfig | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    def parameter_bytes(self) -> int:
        """Return the bytes that random parameters take at the peak of building: they are drawn in float32."""
        if self.config is None or self.device == "meta":
            return 0
        return self.config.parameter_count() * max(DTYPES["float32"], DTYPES[self.dtype])


def choose(
    model: str | None = None,
    *,
    weights: str | Path = RANDOM,
    config: str | Path | Mapping[str, Any] | GPTConfig | None = None,
    settings: Sequence[str] = (),
    seed: int = DEFAULT_SEED,
    device: str = "cpu",
    dtype: str = "float32",
    say: Callable[[str], None] = _log,
) -> ModelChoice:
    """Check everything that can be checked before torch is there.

    `config` (a file, a mapping or a GPTConfig) goes on top of the preset, `settings` ("KEY=VALUE") on top
    of that. Weights that are not random decide every size that `model` does not name; `say` gets a line
    before pretrained ones are downloaded.

    >>> choose("tiny", settings=["n_layers=3"]).config.n_layers
    3
    """
    device, dtype = str(device), str(dtype).removeprefix("torch.")  # torch's own are welcome too
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise OptionError(f"seed is {seed!r}", "pick a whole number")
    if device.partition(":")[0] not in DEVICES:
        raise DeviceError(f"{device!r} is not a device", f"pick one of {', '.join(DEVICES)}, or cuda:N")
    if dtype not in DTYPES:
        raise OptionError(f"{dtype!r} is not a dtype", f"pick one of {', '.join(DTYPES)}")
    if not -(2**63) <= seed < 2**64:
        raise OptionError(f"seed {shown(seed)} does not fit into 64 bits", "pick a seed from 0 to 2**64 - 1")
    if not isinstance(weights, str | Path) or not str(weights):
        raise OptionError(
            f"weights are {weights!r}", "give random, pretrained, or the path of a file or folder"
        )
    keys = _keys(config) | dict(map(parse_setting, settings))
    if str(weights) == RANDOM:
        name, sizes = preset(model or DEFAULT_MODEL)
        changed = GPTConfig.from_mapping(keys, base=sizes)
        return ModelChoice(name if changed == sizes else f"{name}, changed", changed, seed, device, dtype)
    check_keys(keys)
    if str(weights) == PRETRAINED:
        name = hub.published(model or DEFAULT_MODEL)
        folder = hub.fetch(name, say)
        repository, revision = hub.PUBLISHED[name]
        origin = {"source": PRETRAINED, "repository": repository, "revision": revision}
        return ModelChoice(name, None, seed, device, dtype, weights=folder, keys=keys, origin=origin)
    path = Path(weights)
    if not _exists(path):
        raise WeightsError(
            f"--weights {path}: there is nothing",
            "give random, pretrained, or the path of a weight file or folder",
        )
    name, named = preset(model) if model is not None else (path.name, None)
    return ModelChoice(name, None, seed, device, dtype, weights=path, preset=named, keys=keys)


def _keys(config: str | Path | Mapping[str, Any] | GPTConfig | None) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, GPTConfig):
        return config.to_dict()
    if not isinstance(config, Mapping | str | Path):
        raise ConfigError(f"config is a {type(config).__name__}", "give a file, a dict or a GPTConfig")
    return dict(config) if isinstance(config, Mapping) else read_config_file(Path(config))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError) as error:  # a name too long, a folder that may not be searched
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WeightsError(
            f"--weights {shown(str(path))}: {reason}", "give the path of a file or folder"
        ) from None
