"""A Session: a model, its tokenizer and its limits, loaded once and used often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gptrace import record
from gptrace.errors import InputError
from gptrace.measures import Measures
from gptrace.predict import validation
from gptrace.predict.prompt_stream import PromptStream
from gptrace.session_runs import GivenPrompts, SessionRuns, StreamedPrompts
from gptrace.text.lines import PromptLines
from gptrace.text.prompt_source import Ids, PromptSource, Text
from gptrace.translation import checked_language
from gptrace.verify.check.names import resolve_checks

if TYPE_CHECKING:
    from gptrace.predict.generate import Listener
    from gptrace.predict.loss import Progress


class Session(SessionRuns):
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
        measure: Iterable[str] | Measures = (),
    ) -> record.Trace:  # fmt: skip
        """Run one batch of prompts and record every call of every submodule.

        text         one prompt, or a list of them
        ids          token ids in place of text: a list, or a list of lists
        special      read "<|endoftext|>" in a text as the special token (default: True)
        truncate     keep the last context_length tokens of a prompt that is longer (default: an InputError)
        k            number of next tokens to predict (default: 5)
        temperature  divisor of the logits before the softmax, above 0 (default: 1)
        measure      what to measure beside shapes: some of "ops", "macs", "memory", "statistics", or "all"

        Returns a Trace. When the model fails on the way, the error's `trace` holds the calls up to there.

        >>> Session("tiny").trace("Hello, I am").calls[1].outputs[0].shape  # tok_emb
        (1, 4, 48)
        """
        measures = Measures.of(measure)
        prompts = self._prompts(GivenPrompts(text, ids, special, truncate), k=k, temperature=temperature)
        loaded = self._load()
        from gptrace.predict.run import run_traced

        return run_traced(loaded, self.tokenizer, prompts, k=k, temperature=temperature, measures=measures)

    def topk(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        truncate: bool = False, k: int | None = None, temperature: float = 1.0, positions: str = "last",
        tokens: Sequence[str] = (), batch_size: int | None = None,
    ) -> record.TopK:  # fmt: skip
        """Return the most likely next tokens of each prompt.

        text, ids, special, truncate, k, temperature
                     as for `trace`
        positions    predict after the "last" token (default), or after "all" tokens
        tokens       texts of one token each, whose rank and probability are returned too
        batch_size   prompts in a batch (default: as many as fit into 1,024 tokens on a CPU, 16,384 elsewhere)

        >>> len(Session("tiny").topk("Hello", k=3).results[0].candidates)
        3
        """
        return self._topk(
            GivenPrompts(text, ids, special, truncate), k=k, temperature=temperature, positions=positions,
            tokens=tokens, batch_size=batch_size,
        ).whole()  # fmt: skip

    def topk_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True, truncate: bool = False,
        k: int | None = None, temperature: float = 1.0, positions: str = "last",
        tokens: Sequence[str] = (), batch_size: int | None = None,
    ) -> record.TopKStream:  # fmt: skip
        """Return the same as `topk` for a stream of prompts of any length, in constant memory.

        prompts      each a text, a list of ids, or a mapping with "text" or "ids" whose other keys go into
                     the `extra` of its result; 16 batches at most are read ahead
        special, truncate, k, temperature, positions, tokens, batch_size
                     as for `topk`

        The `results` are an iterator in the order of the prompts. A prompt that cannot be run has a `problem`
        in place of candidates.

        >>> stream = Session("tiny").topk_stream(["Hello", "", [15496, 11]], k=2)
        >>> [len(result.candidates) for result in stream.results]
        [2, 0, 2]
        """
        return self._topk(
            StreamedPrompts(prompts, special, truncate), k=k, temperature=temperature, positions=positions,
            tokens=tokens, batch_size=batch_size,
        )  # fmt: skip

    def loss(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        stride: int | None = None, batch_size: int | None = None, progress: Progress | None = None,
    ) -> record.Loss:  # fmt: skip
        """Return the cross-entropy of each token of each text, in nats, and the perplexity.

        text, ids, special
                     as for `trace`; a text that is longer than the context goes through in windows
        stride       tokens from one window to the next (default: half a context); a smaller
                     stride takes longer and gives each token more context
        batch_size   windows in a batch (default: as many as fit into 1,024 tokens on a CPU, 16,384 elsewhere)
        progress     function that is called with how many windows are scored so far, and with how many there
                     are, which for a stream is None

        >>> round(Session("tiny").loss("Hello, I am").total.loss, 4)
        10.7746
        """
        return self._loss(
            GivenPrompts(text, ids, special), stride=stride, batch_size=batch_size, progress=progress
        ).whole()

    def loss_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True, stride: int | None = None,
        batch_size: int | None = None, progress: Progress | None = None,
    ) -> record.LossStream:  # fmt: skip
        """Return the same as `loss` for a stream of prompts, as `topk_stream` takes them.

        >>> stream = Session("tiny").loss_stream(["Hello, I am", ""])
        >>> [result.problem is None for result in stream.results]
        [True, False]
        """
        return self._loss(
            StreamedPrompts(prompts, special), stride=stride, batch_size=batch_size, progress=progress
        )

    def generate(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        max_new_tokens: int = validation.DEFAULT_NEW_TOKENS, temperature: float | None = None,
        top_k: int | None = None, top_p: float | None = None, stop: str | Sequence[str] = (),
        seed: int | None = None, cache: bool = True, trace: bool = False,
        listener: Listener | None = None,
    ) -> record.Generation:  # fmt: skip
        """Continue each text with the most likely token each time, or with sampled ones.

        text, ids, special
                     as for `trace`; the model sees the last context_length tokens of a longer text
        max_new_tokens
                     tokens to add at most (default: 20); the end-of-text token ends a text earlier
        temperature  0 is greedy; above 0 tokens are sampled from softmax(logits / temperature) (default: 0,
                     or 1 with top_k or top_p)
        top_k        sample from this many of the most likely tokens (default: all)
        top_p        sample from the fewest tokens whose probabilities reach this sum, up to 1 (default: 1)
        stop         a text, or several, to end before
        seed         seed of the sampling (default: the session's)
        cache        keep the keys and values of earlier tokens (default: True); without, each step runs all
                     tokens again and picks the same ones
        trace        record the shapes of each step (default: False)
        listener     object whose `begin` is called with each prompt, and `text` with each new piece of text

        >>> Session("tiny").generate("Hello, I am", max_new_tokens=2).results[0].text
        ' RAND rises'
        """
        return self._generate(
            GivenPrompts(text, ids, special), max_new_tokens=max_new_tokens, temperature=temperature,
            top_k=top_k, top_p=top_p, stop=stop, seed=seed, cache=cache, trace=trace, listener=listener,
        ).whole()  # fmt: skip

    def generate_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True,
        max_new_tokens: int = validation.DEFAULT_NEW_TOKENS, temperature: float | None = None,
        top_k: int | None = None, top_p: float | None = None, stop: str | Sequence[str] = (),
        seed: int | None = None, cache: bool = True, trace: bool = False,
    ) -> record.GenerationStream:  # fmt: skip
        """Return the same as `generate` for a stream of prompts, as `topk_stream` takes them.

        >>> stream = Session("tiny").generate_stream(["Hello, I am", ""], max_new_tokens=2)
        >>> [result.text for result in stream.results]
        [' RAND rises', None]
        """
        return self._generate(
            StreamedPrompts(prompts, special), max_new_tokens=max_new_tokens, temperature=temperature,
            top_k=top_k, top_p=top_p, stop=stop, seed=seed, cache=cache, trace=trace,
        )  # fmt: skip

    def lens(
        self, text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
        truncate: bool = False, k: int | None = None, head: str | None = None,
    ) -> record.Lens:  # fmt: skip
        """Return the tokens that each layer would predict if it were the last, at each position of each text.

        The output of a block goes through the final norm and the output head.

        text, ids, special, truncate, k
                     as for `trace`
        head         path of the output head (default: the module that makes the logits, where one is found)

        Raises a RunError if the last layer's logits are not those of the model itself.

        >>> [layer.path for layer in Session("tiny").lens("Hello, I am").results[0].layers]
        ['trf_blocks.0', 'trf_blocks.1']
        """
        return self._lens(GivenPrompts(text, ids, special, truncate), k=k, head=head).whole()

    def lens_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True, truncate: bool = False,
        k: int | None = None, head: str | None = None,
    ) -> record.LensStream:  # fmt: skip
        """Return the same as `lens` for a stream of prompts, as `topk_stream` takes them.

        >>> stream = Session("tiny").lens_stream(["Hello, I am", ""])
        >>> [len(result.layers) for result in stream.results]
        [2, 0]
        """
        return self._lens(StreamedPrompts(prompts, special, truncate), k=k, head=head)

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
        return with_guilty_lines(explanation, loaded, self._own_tokenizer(), self.seed)

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
        self.check_has_numbers("check")
        prompt: tuple[int, ...] = ()
        if text is not None or ids is not None:
            prompts = self._prompts(GivenPrompts(text, ids, special))
            if len(prompts) > 1:
                problem = f"there are {len(prompts)} texts, and a model is checked with one"
                raise InputError(problem, "give one of them")
            prompt = tuple(prompts[0].ids)
        loaded = self._load()
        from gptrace.verify.check.engine import run_check

        own = self._own_tokenizer()
        return run_check(loaded, own, only=names, language=lang, seed=self.seed, prompt=prompt)

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
