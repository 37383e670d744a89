"""`gptrace explain`: the figures of a prompt and a model, judged and put into words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from types import ModuleType

from gptrace.model.build import LoadedModel
from gptrace.predict.explain import chinese, english, verdicts
from gptrace.predict.explain.facts import Facts
from gptrace.predict.explain.measure import facts_of
from gptrace.predict.explain.subject import Subject
from gptrace.predict.forward import batch_ids, check_room, isolated_forward
from gptrace.predict.logit_decoder import weights_info
from gptrace.record import Claim, Explanation, Prompt, Topic
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions

_LANGUAGES: dict[str, ModuleType] = {"en": english, "zh": chinese}


def run_explain(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompt: Prompt,
    *,
    topics: Sequence[str],
    language: str,
    seed: int,
    head: str | None,
) -> Explanation:
    """Measure everything on this prompt and model, and tell of the `topics`."""
    batch = batch_ids(loaded, [prompt])
    check_room(loaded, *batch.shape, rows=3 * batch.numel())  # as float64, too
    with isolated_forward(loaded, batch):
        subject = Subject(loaded, tokenizer, prompt, head)
        facts = facts_of(subject, seed)
    weights = weights_info(loaded, subject.logits, subject.reading.padding_rows)
    words = _LANGUAGES[language]
    return Explanation(
        versions=versions(),
        model=model_info(loaded.module, loaded.name, weights),
        language=language,
        prompt=subject.reading.displayable(prompt),
        topics=tuple(Topic(topic, words.TITLES[topic], claims_of(facts, topic, words)) for topic in topics),
        notes=tuple(subject.reading.notes),
    )


def claims_of(facts: Facts, topic: str, words: ModuleType) -> tuple[Claim, ...]:
    """Put the figures of a topic into words, each claim with its verdict."""
    name = topic.replace("-", "_")
    say: Callable[[Facts], list[tuple[str, str]]] = getattr(words, name)
    judge: Callable[[Facts], list[bool | None]] = getattr(verdicts, name)
    said, judged = say(facts), judge(facts)
    # Of a topic that does not apply one sentence is said, and nothing is judged.
    pairs = zip_longest(said, judged[: len(said)])
    return tuple(Claim(text, measured, holds) for (text, measured), holds in pairs)
