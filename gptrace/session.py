"""A Session: a model, its tokenizer and its limits, loaded once and used often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from gptrace import record
from gptrace.errors import GptraceError, InputError
from gptrace.measures import Measures
from gptrace.predict import validation
from gptrace.predict.prompt_stream import PromptStream
from gptrace.session_predictions import PredictingSession
from gptrace.session_runs import GivenPrompts
from gptrace.sharding.request import Mesh, Parallel, SpreadRequest
from gptrace.text.lines import PromptLines
from gptrace.text.prompt_source import Ids, PromptSource, Text
from gptrace.translation import LANGUAGES, checked_language, language_of_environment
from gptrace.verify.check.names import resolve_checks


class TracedPage(NamedTuple):
    """A page, and the error that ended the forward pass, if one did."""

    page: record.Page
    error: GptraceError | None


class Session(PredictingSession):
    """A model that is loaded at its first use and then kept, with one method for each thing to ask of it.

    What can be checked without torch is checked before torch is imported. The methods raise an InputError for
    what cannot be run, and a RunError where a run fails (a ModelCodeError where the model's own code raises).
    The session can be used again afterwards.

    >>> session = Session("tiny")
    >>> session
    <Session tiny, random weights (seed 123), on cpu, not loaded>
    >>> session.topk("Hello").results[0].candidates[0].token.text
    '57'
    >>> session.is_loaded
    True
    """

    def trace(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        truncate: bool = False, k: int | None = None, temperature: float = 1.0,
        measure: Iterable[str] | Measures = (), mesh: Mesh | None = None, rank: int | None = None,
        parallel: Parallel | None = None,
    ) -> record.Trace:  # fmt: skip
        """Run one batch of prompts and record every call of every submodule.

        text         one prompt, or a list of them
        ids          token ids in place of text: a list, or a list of lists
        special      read "<|endoftext|>" in a text as the special token (default: True)
        truncate     keep the last context_length tokens of a prompt that is longer (default: an InputError)
        k            number of next tokens to predict (default: 5)
        temperature  divisor of the logits before the softmax, above 0 (default: 1)
        measure      what to measure beside shapes: some of "ops", "macs", "memory", "statistics", or "all"
        mesh         a mesh of processes that the model is spread over, as in "fsdp=128,tp=8": one rank of it
                     is simulated, without values; under torchrun, each process is a rank and is measured
        rank         of the mesh, the one that is simulated (default: 0)
        parallel     the plan that shards it: a function (model, mesh) that returns it, or its name, as in
                     "plan.py:parallelize" (default: a plan for GPTModel, and that of transformers)

        Returns a Trace. When the model fails on the way, the error's `trace` holds the calls up to there.

        >>> Session("tiny").trace("Hello, I am").calls[1].outputs[0].shape  # tok_emb
        (1, 4, 48)
        """
        measures = Measures.of(measure)
        given = GivenPrompts(text, ids, special, truncate)
        request = SpreadRequest.of(mesh, rank, parallel)
        if request is not None:
            return self._spread_trace(given, request, k=k, temperature=temperature, measures=measures)
        prompts = self._prompts(given, k=k, temperature=temperature)
        loaded = self._load()
        from gptrace.predict.run import run_traced

        return run_traced(loaded, self.tokenizer, prompts, k=k, temperature=temperature, measures=measures)

    def page(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        truncate: bool = False, k: int | None = None, temperature: float = 1.0, check: bool = False,
        lang: str | None = None, mesh: Mesh | None = None, rank: int | None = None,
        parallel: Parallel | None = None,
    ) -> record.Page:  # fmt: skip
        """Trace one batch of prompts, and return the page that shows it in a browser or a notebook.

        text, ids, special, truncate, k, temperature, mesh, rank, parallel
                     as for `trace`
        check        also run `check`, and show what it finds (default: False)
        lang         language of the page, "en" or "zh" (default: that of GPTRACE_LANG or the locale)

        Everything is measured. A view that this model cannot have is left out, and `left_out` says why; of a
        model that is spread over a mesh, that is each view that needs more than the trace. Where the model
        fails on the way, the page shows the trace up to there, whose `error` is set.

        >>> [point.path for point in Session("tiny").page("Hello, I am").prompts[0].stream]
        ['drop_emb', 'trf_blocks.0.att', 'trf_blocks.0.ff', 'trf_blocks.1.att', 'trf_blocks.1.ff']
        """
        return self.traced_page(
            text, ids=ids, special=special, truncate=truncate, k=k, temperature=temperature, check=check,
            lang=lang, mesh=mesh, rank=rank, parallel=parallel,
        ).page  # fmt: skip

    def traced_page(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        truncate: bool = False, k: int | None = None, temperature: float = 1.0, check: bool = False,
        lang: str | None = None, mesh: Mesh | None = None, rank: int | None = None,
        parallel: Parallel | None = None,
    ) -> TracedPage:  # fmt: skip
        """Return the same as `page`, and the error of a model that fails on the way."""
        language = language_of_environment() if lang is None else checked_language(lang)
        try:
            trace = self.trace(
                text, ids=ids, special=special, truncate=truncate, k=k, temperature=temperature,
                measure="all", mesh=mesh, rank=rank, parallel=parallel,
            )  # fmt: skip
            failure = None
        except GptraceError as error:
            if not isinstance(error.trace, record.Trace):
                raise
            trace, failure = error.trace, error
        page = trace.page(lang=language)
        if failure is None and mesh is None:
            page = self._views(page, GivenPrompts(text, ids, special, truncate), k)
        return TracedPage(self._checked(page) if check else page, failure)

    def _checked(self, page: record.Page) -> record.Page:
        """Return the page with what the checks find; where they cannot run, it says why."""
        from gptrace.predict.page.left_out import ViewsLeftOut

        left_out = ViewsLeftOut()
        with left_out.where_impossible("failure"):
            languages = sorted(LANGUAGES, key=lambda language: language != page.language)
            found, translated = self._checks(None, resolve_checks(()), languages)
            page = replace(page, check=found, check_translated=translated)
        return replace(page, left_out=(*page.left_out, *left_out.records))

    def explain(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        truncate: bool = False, topics: Sequence[str] = (), lang: str = "en", seed: int | None = None,
        head: str | None = None,
    ) -> record.Explanation:  # fmt: skip
        """Explain how the model comes to its predictions on a text, with every claim checked on it.

        text, ids, special, truncate
                     as for `trace`, but one text
        topics       some of "flow", "attention", "last-dim", "projection", "probabilities", "training",
                     "inference" and "tying" (default: all)
        lang         language of the claims, "en" (default) or "zh"
        seed         seed of the token that is sampled (default: the session's)
        head         path of the output head (default: the module that makes the logits, where one is found)

        >>> explanation = Session("tiny").explain("Hello, I am", topics=["last-dim"])
        >>> explanation.topics[0].claims[0].measured
        "50,257 scores; 50,257 tokens in GPT-2's tokenizer"
        """
        topics = validation.resolve_topics(topics)
        checked_language(lang)
        self.check_has_numbers("explain")
        prompts = self._prompts(GivenPrompts(text, ids, special, truncate))
        if len(prompts) > 1:
            raise InputError(
                f"there are {len(prompts)} texts, and one is explained at a time", "give one of them"
            )
        loaded = self._load()
        from gptrace.predict.explain.run import run_explain
        from gptrace.verify.guilty_lines import with_guilty_lines

        explanation = run_explain(
            loaded, self.tokenizer, prompts[0], topics=topics, language=lang,
            seed=self.seed if seed is None else seed, head=head,
        )  # fmt: skip
        return with_guilty_lines([explanation], loaded, self._own_tokenizer(), self.seed)[0]

    def check(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        only: Sequence[str] = (), learns: bool = False, devices: bool = False, dtypes: bool = False,
        lang: str = "en",
    ) -> record.Check:  # fmt: skip
        """Check whether the model is right; a check that fails names the line of the model's code.

        text, ids, special
                     as for `trace`, but one text, or none: then the prompts are random ids
        only         names of checks, as `gptrace check --list` shows them (default: all but the next three)
        learns       also train a copy on one batch (the check "learns")
        devices      also compare devices, and implementations of attention (the check "devices")
        dtypes       also compare float32 and bfloat16 (the check "dtypes")
        lang         "en" (default) or "zh"

        A model with random weights is built again at a small size where that is possible; another one is
        copied. The record is true if no check fails.

        >>> bool(Session("tiny").check(only=["causal", "batch"]))
        True
        """
        asked = {"learns": learns, "devices": devices, "dtypes": dtypes}
        names = resolve_checks(only, [name for name, is_asked in asked.items() if is_asked])
        checked_language(lang)
        given = None if text is None and ids is None else GivenPrompts(text, ids, special)
        return self._checks(given, names, [lang])[0]

    def _checks(
        self, given: GivenPrompts | None, names: Sequence[str], languages: Sequence[str]
    ) -> list[record.Check]:
        """Run the named checks once, and tell what they find in each of the languages."""
        self.check_has_numbers("check")
        prompts = [] if given is None else self._prompts(given)
        if len(prompts) > 1:
            problem = f"there are {len(prompts)} texts, and a model is checked with one"
            raise InputError(problem, "give one of them")
        prompt = tuple(prompts[0].ids) if prompts else ()
        loaded = self._load()
        from gptrace.verify.check.engine import run_check

        own = self._own_tokenizer()
        return run_check(loaded, own, only=names, languages=languages, seed=self.seed, prompt=prompt)

    def source(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        truncate: bool = False, check: bool = False, lang: str = "en",
    ) -> record.Source:  # fmt: skip
        """Run one batch of prompts; return the model's own code, each line with the tensors that it makes.

        text, ids, special, truncate
                     as for `trace`
        check        also run `check`, and mark the lines that its failed checks name (default: False)
        lang         language of what the checks say, "en" (default) or "zh"

        When the model fails on the way, the error's `source` shows its code up to there.

        >>> source = Session("tiny").source("Hello, I am")
        >>> line = next(line for line in source.files[0].lines if "self.tok_emb(" in line.text)
        >>> line.made[0].shape
        (1, 4, 48)
        """
        checked_language(lang)
        prompts = self._prompts(GivenPrompts(text, ids, special, truncate))
        failed = self.check(lang=lang).failed if check else ()
        loaded = self._load()
        from gptrace.verify.source.run import run_source

        return run_source(loaded, prompts, failed)

    def tokens(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True
    ) -> record.Tokens:
        """Return the tokens of each prompt, without loading the model; the arguments are those of `trace`.

        >>> [token.text for token in Session().tokens("Hello, I am").results[0].tokens]
        ['Hello', ',', ' I', ' am']
        """
        prompts = PromptSource.from_arguments(text, ids, special=special).prompts(self.tokenizer)
        return self._tokens(PromptStream.of(prompts)).whole()

    def tokens_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True
    ) -> record.TokensStream:
        """Return the same as `tokens` for a stream of prompts, as `topk_stream` takes them.

        >>> stream = Session().tokens_stream(["Hello, I am", "", {"ids": [15496], "name": "a"}])
        >>> [len(result.tokens) for result in stream.results]
        [4, 0, 1]
        """
        return self._tokens(
            PromptStream.reading(record.TokenizedPrompt, prompts, self.tokenizer, None, special=special)
        )
