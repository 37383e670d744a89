"""`python -m tests.zoo [NAME]...`: ask about all architectures, or those named, and print what was found."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import transformers

from tests.zoo.checks import Findings, examine
from tests.zoo.known import UNAVAILABLE
from tests.zoo.small_models import architectures, small_model
from tests.zoo.verdicts import mistakes


def main(names: list[str]) -> int:
    """Examine architectures one by one; return 1 if anything is wrong."""
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    wrong = 0
    for name in names or architectures():
        if name in UNAVAILABLE:
            print(f"{name:26} not run: {_reason(name)}", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            findings = examine(name, Path(folder))
        _show(findings)
        wrong += bool(mistakes(findings))
    asked = [name for name in names or architectures() if name not in UNAVAILABLE]
    print(f"{len(asked)} architectures asked, {wrong} with mistakes; not run: {len(UNAVAILABLE)}")
    return int(wrong > 0)


def _show(findings: Findings) -> None:
    print(f"{findings.name:26} agreed: {' '.join(findings.agreed)}")
    lines = [f"refused {question}: {words}" for question, words in findings.refused.items()]
    lines += [f"✗ {', '.join(findings.denied)}"] if findings.denied else []
    lines += [f"note {note}" for note in findings.notes]
    lines += [f"MISTAKE {mistake}" for mistake in mistakes(findings)]
    for text in lines:
        print(f"    {text[:400]}")
    sys.stdout.flush()


def _reason(name: str) -> str:
    try:
        small_model(name)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return "it can be built after all: take it from UNAVAILABLE"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
