"""`gptrace check`: run the checks on a model, and put what they find into words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from string import Formatter
from types import MappingProxyType

from gptrace.errors import GptraceError
from gptrace.model.build import LoadedModel
from gptrace.model.dtypes import dtype_name
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import is_of_user_code, short_path
from gptrace.notebook_cells import cell_of
from gptrace.record import Check, CheckResult, SourceLine
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions
from gptrace.translation import in_language, recorded
from gptrace.verify.check import finding
from gptrace.verify.check.axes import axes_after, axes_before
from gptrace.verify.check.building import make_subject
from gptrace.verify.check.catalog import ALL_NAMES, Catalog
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding
from gptrace.verify.check.names import CATALOGS
from gptrace.verify.check.own_names import own_names
from gptrace.verify.check.places import Place, find_place_of_error
from gptrace.verify.check.sizes import check_large_enough
from gptrace.verify.check.source_code import text_of
from gptrace.verify.check.subject import CannotRunError, Subject
from gptrace.wording import described, one_line

# What a sentence may mention that has words of its own.
_WORDS = ("error", "how", "name", "line")
CHECKS: Mapping[str, finding.Check] = MappingProxyType({
    name: import_module(f"gptrace.verify.check.checks.{name.replace('-', '_')}").check for name in ALL_NAMES
})  # fmt: skip


def run_check(
    loaded: LoadedModel, tokenizer: Tokenizer | None, *, only: Sequence[str], languages: Sequence[str],
    seed: int, prompt: tuple[int, ...] = (),
) -> list[Check]:  # fmt: skip
    """Return the outcome of the checks named `only`, in their order, told in each of the languages.

    `tokenizer` is that which belongs to the model, None where it has none. Prompts begin with the ids of
    `prompt`, and go on with random ids. Raises a ConfigError for a model that takes too few tokens or ids, a
    NoLogitsError for one that cannot be run, or gives no logits.
    """
    check_large_enough(loaded)
    subject = make_subject(loaded, seed, prompt)
    experiments = Experiments(subject, tokenizer)
    found = {name: find(name, experiments) for name in only}
    model = model_info(loaded)
    return [
        Check(
            versions=versions(),
            model=model,
            language=language,
            checks=tuple(_result(name, each, experiments, language) for name, each in found.items()),
            notes=tuple(_notes(subject, CATALOGS[language])),
        )
        for language in languages
    ]


def _notes(subject: Subject, catalog: Catalog) -> Iterator[str]:
    """Yield how the model that was checked differs from the one that was loaded."""
    architecture = subject.loaded.architecture
    settings = {} if architecture is None else architecture.settings
    smaller = {name: size for name, size in subject.settings.items() if settings.get(name, size) != size}
    if smaller:
        sizes = ", ".join(f"{name} {size}" for name, size in smaller.items())
        yield catalog.shared["small_size"].format(sizes=sizes)
    if subject.prompt:
        count = min(len(subject.prompt), subject.length)
        yield catalog.shared["text"].format(count=count, total=len(subject.prompt))
    first = next((p for p in subject.module.parameters() if p.is_floating_point()), None)
    if first is not None and first.dtype != torch.float64:
        yield catalog.shared["own_dtype"].format(dtype=dtype_name(first.dtype))


def find(name: str, experiments: Experiments) -> Finding:
    """Run one check; a model that cannot be run in its way is not judged."""
    try:
        return CHECKS[name](experiments)
    except CannotRunError as error:
        return finding.unjudged("not_run", error)
    except GptraceError as error:
        return finding.unjudged("not_run", error=one_line(error.message, 160))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what is odd in a model must not take the other checks away
        if os.environ.get("GPTRACE_DEBUG") == "1":
            raise
        # The model's code runs outside of its forward pass too, such as in the hooks of a backward pass.
        key = "not_run" if is_of_user_code(error) else "failed"
        return finding.unjudged(key, error)


def _result(name: str, found: Finding, experiments: Experiments, language: str) -> CheckResult:
    catalog = CATALOGS[language]
    raised = _raised(found.raised) if found.raised is not None else {}
    figures = {
        key: in_language(recorded(str(figure)), language) if key in _WORDS else figure
        for key, figure in {**raised, **found.figures}.items()
    }
    text = catalog.sentence(name, found.key).format(**{"name": "", **figures})
    if found.holds is None:
        source = None if found.raised is None else _source(find_place_of_error(found.raised))
        if source is not None:
            text += f" ({source.place}: {source.text})"
        return CheckResult(
            name, None, catalog.invariants[name], reason=text, source=source, applies=found.applies
        )
    blame = found.blame
    if blame is None:
        return CheckResult(name, found.holds, text, found.figure, found.tolerance)
    details = {"operation": "", "name": "", **blame.details, **own_names(blame.place)}
    likely, *advice = catalog.likely[blame.key]
    instead = next(text for text in advice if _fields(text) <= details.keys())
    return CheckResult(
        name, found.holds, text, found.figure, found.tolerance, path=blame.path,
        operation=blame.operation.name if blame.operation is not None else "",
        before=axes_before(experiments, blame.operation), after=axes_after(experiments, blame.operation),
        source=_source(blame.place), likely=likely.format(**details), instead=instead.format(**details),
    )  # fmt: skip


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _raised(error: BaseException) -> dict[str, str]:
    """Return what an exception says, as a figure; a CannotRunError says what the model raised."""
    return {"error": one_line(error if isinstance(error, CannotRunError) else described(error), 160)}


def _source(place: Place) -> SourceLine | None:
    if not place.file:
        return None
    cell = cell_of(place.file)
    file = place.file if cell is None else cell.file
    number = None if cell is None else cell.number
    return SourceLine(short_path(file), place.line, text_of(place), place.function, number)
