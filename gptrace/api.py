"""The Python functions, and what the commands call: text → tokens → model → trace → predictions."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Unpack

import gptrace
from gptrace import prepare
from gptrace.errors import InputError, OptionError
from gptrace.measures import Measures
from gptrace.model.config import PRESETS
from gptrace.model.selection import DEFAULT_SEED, ModelSelection
from gptrace.model.weights import hub
from gptrace.predict.validation import (
    DEFAULT_NEW_TOKENS,
    POSITIONS,
    check_batch_size,
    check_language,
    generation_settings,
    resolve_topics,
)  # fmt: skip
from gptrace.prepare import (
    BuildOptions,
    Ids,
    Model,
    Options,
    Ready,
    Text,
    check_has_numbers,
    given_of,
    ids_of_tokens,
    model_of,
)
from gptrace.record import (
    Explanation,
    Generation,
    Lens,
    Loss,
    Preset,
    PresetParameters,
    Presets,
    PublishedWeights,
    TokenizedPrompt,
    Tokens,
    TopK,
    TopKStream,
    Trace,
)
from gptrace.text import encoding
from gptrace.text.lines import PromptLines
from gptrace.text.prompts import PromptSource

if TYPE_CHECKING:
    from gptrace.model.build import Module
    from gptrace.predict.generate import Listener


def trace(
    text: Text | None = None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    truncate: bool = False,
    model: Model = None,
    k: int | None = None,
    temperature: float = 1.0,
    measure: Iterable[str] | Measures = (),
    **options: Unpack[Options],
) -> Trace:
    """Run `text` (one prompt or several) through a model and record every call of every submodule.

    `ids` are token ids in place of text, one list or a list of lists. `special`: read "<|endoftext|>" in the
    text as the special token. `truncate`: keep the last context_length tokens of a prompt that is too long.

    `model` is a preset's name ("gpt2-small" unless `weights` decide), "FILE.py:OBJECT",
    "package.module:OBJECT" or "hf:FOLDER"; or a module of your own, which is left as it was, its class, or a
    function that makes one. It gets token ids `[batch, seq_len]`. `options` are those of `Options`.

    `k` next tokens are predicted, 5 unless it is given. `measure` names what else to take: "ops", "macs",
    "memory", "statistics", or "all". Raises an InputError for what cannot be run, a ModelCodeError for what
    the model's own code raises.

    >>> trace("Hello, I am", model="tiny").calls[1].outputs[0].shape  # tok_emb
    (1, 4, 48)
    """
    measures = Measures.of(measure)
    given, chosen = given_of(text, ids, special=special), model_of(model, {**options})
    ready = prepare.ready(given, chosen, k=k, temperature=temperature, truncate=truncate)
    from gptrace.predict.run import run_traced

    return run_traced(
        ready.loaded, ready.tokenizer, ready.prompts, k=k, temperature=temperature, measures=measures
    )


def topk(
    text: Text | None = None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    truncate: bool = False,
    model: Model = None,
    k: int | None = None,
    temperature: float = 1.0,
    positions: str = "last",
    tokens: Sequence[str] = (),
    batch_size: int | None = None,
    **options: Unpack[Options],
) -> TopK:
    """Return the `k` most likely next tokens of each prompt; the first arguments are those of `trace`.

    `positions` "all" gives them at every position, too; `tokens` are texts of one token each whose rank and
    probability are wanted in any case. Prompts of near lengths run together, `batch_size` of them at most.

    >>> len(topk("Hello", k=3, model="tiny").results[0].candidates)
    3
    """
    given, chosen = given_of(text, ids, special=special), model_of(model, {**options})
    ready = _ready_to_ask(given, chosen, k, temperature, truncate, positions, batch_size)
    from gptrace.predict.topk import StreamedPrompt, TopKRequest, run_topk

    asked = TopKRequest(k, temperature, positions == "all", ids_of_tokens(tokens, ready.tokenizer))
    questions = [StreamedPrompt(index, prompt) for index, prompt in enumerate(ready.prompts)]
    found = run_topk(ready.loaded, ready.tokenizer, questions, asked, batch_size)
    return found.whole()


def topk_stream(
    prompts: Iterable[object] | PromptLines,
    *,
    special: bool = True,
    truncate: bool = False,
    model: Model = None,
    k: int | None = None,
    temperature: float = 1.0,
    positions: str = "last",
    tokens: Sequence[str] = (),
    batch_size: int | None = None,
    **options: Unpack[Options],
) -> TopKStream:
    """Return what `topk` does for a stream of prompts, however many they are.

    A prompt is a text, a list of ids, or a mapping with "text" or "ids" whose other keys go into the `extra`
    of its result. The `results` come one by one, in the order of the prompts; these are read ahead, by a
    thousand at most. One that cannot be run has a `problem` in the place of candidates.

    >>> found = topk_stream(["Hello", "", [15496, 11]], k=2, model="tiny")
    >>> [len(result.candidates) for result in found.results]
    [2, 0, 2]
    """
    chosen = model_of(model, {**options})
    ready = _ready_to_ask(None, chosen, k, temperature, truncate, positions, batch_size)
    from gptrace.predict.topk import TopKRequest, read_prompts, run_topk

    asked = TopKRequest(k, temperature, positions == "all", ids_of_tokens(tokens, ready.tokenizer))
    questions = read_prompts(prompts, ready.tokenizer, ready.limits, special=special, truncate=truncate)
    waits = prompts.waits if isinstance(prompts, PromptLines) else lambda: False
    return run_topk(
        ready.loaded, ready.tokenizer, questions, asked, batch_size, waits=waits, continue_on_error=True
    )


def loss(
    text: Text | None = None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    model: Model = None,
    stride: int | None = None,
    batch_size: int | None = None,
    **options: Unpack[Options],
) -> Loss:
    """Return how well a model expects each token of each text: its cross-entropy, in nats, and perplexity.

    A text longer than the context goes through in windows, each `stride` tokens further than the one before
    (half a context unless it is given). The other arguments are those of `trace`.

    >>> round(loss("Hello, I am", model="tiny").total.loss, 4)
    10.7746
    """
    given, chosen = given_of(text, ids, special=special), model_of(model, {**options})
    check_has_numbers(chosen, "predict")
    check_batch_size(batch_size)
    ready = prepare.ready(given, chosen, slides=True)
    from gptrace.predict.loss import run_loss

    return run_loss(
        ready.loaded, ready.tokenizer, ready.prompts, context_length=ready.limits.context_length,
        stride=stride, batch_size=batch_size,
    )  # fmt: skip


def generate(
    text: Text | None = None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    model: Model = None,
    max_new_tokens: int = DEFAULT_NEW_TOKENS,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: str | Sequence[str] = (),
    seed: int = DEFAULT_SEED,
    cache: bool = True,
    trace: bool = False,
    listener: Listener | None = None,
    **options: Unpack[BuildOptions],
) -> Generation:
    """Continue each text by up to `max_new_tokens` tokens: the likeliest ones, or sampled ones.

    They are sampled where `temperature` (above 0), `top_k` or `top_p` is given, from `seed`, which random
    weights come from, too. It ends before a `stop` text, and at the end-of-text token. Without `cache` each
    step runs all tokens again, which comes to the same ones. `trace` notes the shapes of each step; a
    `listener` hears each piece of text as it comes. The other arguments are those of `trace`.

    >>> generate("Hello, I am", model="tiny", max_new_tokens=2).results[0].text
    ' RAND rises'
    """
    settings = generation_settings(
        max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed,
        stop=stop, cache=cache,
    )  # fmt: skip
    given = given_of(text, ids, special=special)
    chosen = model_of(model, {**options}, seed=seed)
    check_has_numbers(chosen, "go on")
    ready = prepare.ready(given, chosen, slides=True)
    from gptrace.predict.generate import run_generate

    return run_generate(
        ready.loaded, ready.tokenizer, ready.prompts, settings,
        context_length=ready.limits.context_length, trace=trace, listener=listener,
    )  # fmt: skip


def lens(
    text: Text | None = None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    truncate: bool = False,
    model: Model = None,
    k: int | None = None,
    head: str | None = None,
    **options: Unpack[Options],
) -> Lens:
    """Return what each layer would predict if it were the last, at each position of each text.

    What leaves a block goes through the final norm and the output head; `head` is the path of the latter
    where it cannot be found. The last layer has to come to what the model itself predicts: a RunError says
    so where it does not. The other arguments are those of `trace`.

    >>> [layer.path for layer in lens("Hello, I am", model="tiny").results[0].layers]
    ['trf_blocks.0', 'trf_blocks.1']
    """
    given, chosen = given_of(text, ids, special=special), model_of(model, {**options})
    check_has_numbers(chosen, "predict")
    ready = prepare.ready(given, chosen, k=k, truncate=truncate)
    from gptrace.predict.lens import run_lens

    return run_lens(ready.loaded, ready.tokenizer, ready.prompts, k=k, head=head)


def explain(
    text: Text | None = None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    truncate: bool = False,
    model: Model = None,
    topics: Sequence[str] = (),
    language: str = "en",
    seed: int = DEFAULT_SEED,
    head: str | None = None,
    **options: Unpack[BuildOptions],
) -> Explanation:
    """Explain on a text how a model comes to its predictions, with every claim measured on it just now.

    `topics` are some of "flow", "last-dim", "projection", "probabilities", "training", "inference" and
    "tying"; all of them unless some are named. `language` is "en" or "zh". `head` is the path of the output
    head where it cannot be found; `seed` is that of the sampled token. The other arguments are those of
    `trace`, but there is one text.

    >>> explain("Hello, I am", model="tiny", topics=["last-dim"]).topics[0].claims[0].measured
    "50,257 scores; 50,257 tokens in GPT-2's tokenizer"
    """
    wanted = resolve_topics(topics)
    check_language(language)
    given, chosen = given_of(text, ids, special=special), model_of(model, {**options}, seed=seed)
    check_has_numbers(chosen, "explain")
    ready = prepare.ready(given, chosen, truncate=truncate)
    if len(ready.prompts) > 1:
        raise InputError(
            f"there are {len(ready.prompts)} texts, and one is explained at a time", "give one of them"
        )
    from gptrace.predict.explain.run import run_explain

    return run_explain(
        ready.loaded, ready.tokenizer, ready.prompts[0], topics=wanted, language=language, seed=seed,
        head=head,
    )  # fmt: skip


def tokens(text: Text | None = None, *, ids: Ids | None = None, special: bool = True) -> Tokens:
    """Return the GPT-2 tokens of each prompt, without torch.

    >>> [token.text for token in tokens("Hello, I am").results[0].tokens]
    ['Hello', ',', ' I', ' am']
    """
    return tokens_of(given_of(text, ids, special=special))


def tokens_of(given: PromptSource) -> Tokens:
    """Return the record that `gptrace tokens` prints."""
    versions = {
        "gptrace": gptrace.__version__,
        "tiktoken": encoding.tiktoken_version(),
        "python": platform.python_version(),
    }
    return Tokens(
        versions,
        encoding.NAME,
        encoding.VOCAB_SIZE,
        tuple(
            TokenizedPrompt(index, prompt.text, prompt.ids, prompt.tokens)
            for index, prompt in enumerate(given.prompts())
        ),
    )


def presets() -> Presets:
    """Return the models that have a name, with their sizes, without torch.

    >>> presets().models[0].parameters.total
    163009536
    """
    versions = {"gptrace": gptrace.__version__, "python": platform.python_version()}
    models = []
    for name, (aliases, config) in PRESETS.items():
        count = config.parameter_count()
        head = config.vocab_size * config.emb_dim
        published = PublishedWeights(hub.folder_at_hand(name) is not None) if name in hub.PUBLISHED else None
        parameters = PresetParameters(count, count - head)
        models.append(Preset(name, aliases, config.to_dict(), parameters, 4 * count, published))
    return Presets(versions, tuple(models))


def _ready_to_ask(
    given: PromptSource | None,
    model: ModelSelection | Module,
    k: int | None,
    temperature: float,
    truncate: bool,
    positions: str,
    batch_size: int | None,
) -> Ready:
    check_has_numbers(model, "predict")
    if positions not in POSITIONS:
        raise OptionError(f"positions are {positions!r}", f"pick one of {', '.join(POSITIONS)}")
    check_batch_size(batch_size)
    return prepare.ready(given, model, k=k, temperature=temperature, truncate=truncate)
