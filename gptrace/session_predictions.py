"""The methods of a Session that predict: for prompts that are given, and for streams of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gptrace import record
from gptrace.predict import validation
from gptrace.session_runs import GivenPrompts, SessionRuns, StreamedPrompts
from gptrace.text.lines import PromptLines
from gptrace.text.prompt_source import Ids, Text

if TYPE_CHECKING:
    from gptrace.predict.generate import Listener
    from gptrace.predict.loss import Progress


class PredictingSession(SessionRuns):
    """What a Session predicts."""

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

        >>> from gptrace import Session
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

        >>> from gptrace import Session
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

        >>> from gptrace import Session
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

        >>> from gptrace import Session
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

        >>> from gptrace import Session
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

        >>> from gptrace import Session
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

        >>> from gptrace import Session
        >>> [layer.path for layer in Session("tiny").lens("Hello, I am").results[0].layers]
        ['trf_blocks.0', 'trf_blocks.1']
        """
        return self._lens(GivenPrompts(text, ids, special, truncate), k=k, head=head).whole()

    def lens_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True, truncate: bool = False,
        k: int | None = None, head: str | None = None,
    ) -> record.LensStream:  # fmt: skip
        """Return the same as `lens` for a stream of prompts, as `topk_stream` takes them.

        >>> from gptrace import Session
        >>> stream = Session("tiny").lens_stream(["Hello, I am", ""])
        >>> [len(result.layers) for result in stream.results]
        [2, 0]
        """
        return self._lens(StreamedPrompts(prompts, special, truncate), k=k, head=head)
