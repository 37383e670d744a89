"""Write the weights of a run as the package has them: int8, with a scale for each row."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from safetensors.torch import load_file, save_file

from training.quantization import quantized


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, write the file, and print its size and its sha256."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    weights = "weights.safetensors of a run of training.train"
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help=weights)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the file to write")
    options = parser.parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(quantized(load_file(options.weights)), options.output)
    options.output.chmod(0o644)  # the library leaves it to its owner alone
    content = options.output.read_bytes()
    print(f"{len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
