"""`gptrace explain`: measure the topics on a prompt and a model, and put the claims into words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from gptrace.errors import NotFiniteError
from gptrace.model.build import LoadedModel
from gptrace.model.interrupts import interrupts_allowed
from gptrace.predict.explain.catalog import Catalog
from gptrace.predict.explain.chinese import CHINESE
from gptrace.predict.explain.english import ENGLISH
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.predict.explain.topics import TOPICS
from gptrace.predict.forward import batch_ids, check_room, guarded_forward
from gptrace.predict.nonfinite import with_origin
from gptrace.record import Explanation, Topic
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions

CATALOGS: Mapping[str, Catalog] = {"en": ENGLISH, "zh": CHINESE}


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
    """Return the claims of each topic in a language ("en", "zh"), measured on this prompt and model.

    `seed` is that of the sampled token; `head` names the output head where it cannot be found.
    """
    with measured_model(loaded, tokenizer, prompt, head=head, seed=seed) as model:
        (explanation,) = explanations_of(model, topics, (language,))
    return explanation


@contextmanager
def measured_model(
    loaded: LoadedModel, tokenizer: Tokenizer, prompt: Prompt, *, head: str | None, seed: int
) -> Iterator[MeasuredModel]:
    """Run the model on a prompt; it is undisturbed in the block, and can be run again there."""
    batch = batch_ids(loaded, [prompt])
    check_room(loaded, *batch.shape, rows=3 * batch.numel())  # logits in float32 and in float64
    try:
        with guarded_forward(loaded, batch), interrupts_allowed():
            yield MeasuredModel(loaded, tokenizer, prompt, head=head, seed=seed)
    except NotFiniteError as error:
        raise with_origin(error, loaded, [prompt.ids]) from None


def explanations_of(
    model: MeasuredModel, topics: Sequence[str], languages: Sequence[str]
) -> tuple[Explanation, ...]:
    """Measure the topics once, and return the claims in each language."""
    claims = {topic: TOPICS[topic](model) for topic in topics}
    prompt, loaded = model.decoder.displayable(model.prompt), model.loaded
    return tuple(
        Explanation(
            versions=versions(),
            model=model_info(loaded, model.decoder.weights),
            language=language,
            text=prompt.text,
            ids=prompt.ids,
            topics=tuple(
                Topic(topic, catalog.titles[topic], tuple(map(catalog.claim, claims[topic])))
                for topic in topics
            ),
            notes=tuple(model.decoder.notes),
            tokens=prompt.tokens,
        )
        for language, catalog in ((language, CATALOGS[language]) for language in languages)
    )
