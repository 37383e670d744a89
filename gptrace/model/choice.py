"""Which model to run, as the command line or a caller of the API says it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, DeviceError, OptionError
from gptrace.model.config import GPTConfig, parse_setting, preset, read_config_file, shown

DEFAULT_MODEL = "gpt2-small"
DEFAULT_SEED = 123
DTYPES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}  # bytes of one number
DEVICES = ("cpu", "cuda", "mps", "meta", "auto")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that can be built: name for people, sizes, seed of the random weights, where and in what."""

    name: str
    config: GPTConfig
    seed: int = DEFAULT_SEED
    device: str = "cpu"
    dtype: str = "float32"

    def parameter_bytes(self) -> int:
        """Return the bytes that the parameters take at the peak of building: they are drawn in float32."""
        drawn = self.config.parameter_count() * max(DTYPES["float32"], DTYPES[self.dtype])
        return 0 if self.device == "meta" else drawn


def choose(
    model: str = DEFAULT_MODEL,
    *,
    config: str | Path | Mapping[str, Any] | GPTConfig | None = None,
    settings: Sequence[str] = (),
    seed: int = DEFAULT_SEED,
    device: str = "cpu",
    dtype: str = "float32",
) -> ModelChoice:
    """Check everything that can be checked before torch is there.

    `config` (a file, a mapping or a GPTConfig) goes on top of the preset, `settings` ("KEY=VALUE") on top
    of that.

    >>> choose("tiny", settings=["n_layers=3"]).config.n_layers
    3
    """
    if not isinstance(device, str):
        device = str(device)  # a torch.device
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise OptionError(f"seed is {seed!r}", "pick a whole number")
    name, sizes = preset(model)
    own = sizes
    if isinstance(config, GPTConfig):
        sizes = config
    elif config is not None:
        if not isinstance(config, Mapping | str | Path):
            raise ConfigError(f"config is a {type(config).__name__}", "give a file, a dict or a GPTConfig")
        keys = config if isinstance(config, Mapping) else read_config_file(Path(config))
        sizes = GPTConfig.from_mapping(keys, base=sizes)
    sizes = GPTConfig.from_mapping(dict(map(parse_setting, settings)), base=sizes)
    if device.partition(":")[0] not in DEVICES:
        raise DeviceError(f"{device!r} is not a device", f"pick one of {', '.join(DEVICES)}, or cuda:N")
    if dtype not in DTYPES:
        raise OptionError(f"{dtype!r} is not a dtype", f"pick one of {', '.join(DTYPES)}")
    if not -(2**63) <= seed < 2**64:
        raise OptionError(f"seed {shown(seed)} does not fit into 64 bits", "pick a seed from 0 to 2**64 - 1")
    return ModelChoice(name if sizes == own else f"{name}, changed", sizes, seed, device, dtype)
