"""A Predictor: predictions for batches of rows, in whatever process a data engine sends them to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Sized
from numbers import Number
from pathlib import Path
from typing import Any, Literal

from gptrace.errors import InputError, OptionError
from gptrace.model.selection import AUTO
from gptrace.model.weights.packaged import model_to_predict
from gptrace.predict import validation
from gptrace.record.writing import item_dicts
from gptrace.session import Session
from gptrace.wording import quoted_value

# The columns that each task adds, beside "error".
_ADDED = {"topk": ("candidates",), "loss": ("loss", "perplexity", "tokens")}
_UNSCORED = dict.fromkeys(("id", "text", "bytes", "log_probability", "probability", "rank"))

# A forked process has the locks of its parent's threads, but not the threads. If it runs several of its own,
# torch may wait for these for ever.
_forked: list[int] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forked.append(os.getpid()))


class Predictor:
    """Predictions for each row of a batch, for `map` functions that run in other processes.

    A Predictor holds its options alone, so its pickle is small. Each process loads the model at its first
    batch and keeps it. A batch is a mapping of columns, as `datasets.map(batched=True)` and Ray Data pass it,
    or a list of rows; a mapping is one row where its text is no list, or its ids are numbers. A list of ids
    that are neither numbers nor lists, such as missing values, is a column if all other values are lists as
    long as it. Every column is kept, and the columns of the task are added:

    topk   candidates: a list for each row, with rank, id, text, bytes, logit, probability, log_probability
    loss   loss and perplexity, and tokens: a list with the log_probability and the rank of each token
    error  why a row has no result, "" where it has one; a bad row never raises

    >>> predict = Predictor("topk", model="tiny", k=2)
    >>> rows = predict([{"id": 7, "text": "Hello"}, {"id": 8, "text": ""}])
    >>> [(row["id"], len(row["candidates"]), row["error"]) for row in rows]
    [(7, 2, ''), (8, 0, 'the text is empty: a prompt needs at least one character')]
    """

    def __init__(
        self,
        task: Literal["topk", "loss"],
        *,
        model: str | None = None,
        weights: str | Path | None = None,
        config: Mapping[str, Any] | str | None = None,
        seed: int | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        threads: int | None = None,
        k: int | None = None,
        temperature: float = 1.0,
        stride: int | None = None,
        text: str = "text",
        ids: str | None = None,
        special: bool = True,
        truncate: bool = False,
        batch_size: int | None = None,
    ) -> None:
        """Check the options without torch; raise an InputError for a wrong one.

        task         "topk" or "loss"
        model, weights, config, seed, device, dtype, threads
                     as for `Session`, but a model by its name: a module would travel with every pickle.
                     The dtype "auto" is picked once, by a measurement in the process that makes the Predictor
        k, temperature
                     of topk, as for `Session.topk`
        stride       of loss, as for `Session.loss`
        text         the column of the prompts
        ids          the column of token ids, which are run in place of text
        special      read "<|endoftext|>" in a text as the special token
        truncate     of topk: keep the last context_length tokens of a longer text
        batch_size   prompts in a batch of the model (default: as many as fit)
        """
        if task not in _ADDED:
            raise OptionError(f"task is {quoted_value(task)}", f"pick one of {', '.join(_ADDED)}")
        if model is not None and not isinstance(model, str):
            raise InputError(
                f"model is of type {type(model).__name__}, which would travel with every pickle",
                "give its name, as in model='tiny' or model='model.py:GPT'",
            )
        validation.check_temperature(temperature)
        validation.check_batch_size(batch_size)
        validation.check_k(k)  # the size of the vocabulary may be known only when it is loaded
        self._task = task
        self._model = {
            "model": model_to_predict(model, weights, config), "weights": weights, "config": config,
            "device": device, "dtype": dtype, "threads": threads,
        }  # fmt: skip
        if seed is not None:
            self._model["seed"] = seed
        self._text, self._ids = text, ids
        of_task: dict[str, dict[str, Any]] = {
            "topk": {"k": k, "temperature": temperature, "truncate": truncate},
            "loss": {"stride": stride},
        }
        self._options = {"special": special, "batch_size": batch_size, **of_task[task]}
        self._session: Session | None = None
        session = self._loaded_later()
        if dtype == AUTO:  # picked here, so that all processes compute in the same dtype
            self._model["dtype"] = session.settled_dtype()
            self._session = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None}

    def __repr__(self) -> str:
        return f"<Predictor {self._task}, {self._loaded_later()!r}>"

    def __call__(self, batch: Any) -> Any:
        """Return the batch with the columns of the task: columns for columns, rows for rows, a row for a row.

        Raises an InputError where the batch has no column of prompts, or has one of those that are added; and
        a GptraceError where the model cannot be loaded.
        """
        if isinstance(batch, Mapping):
            prompts = self._column(batch)
            if self._is_row(prompts, batch):
                return self._rows([batch])[0]
            added = self._results(prompts)
            return {**batch, **{name: [row[name] for row in added] for name in self._added}}
        return self._rows(list(batch))

    @property
    def _added(self) -> tuple[str, ...]:
        return (*_ADDED[self._task], "error")

    def _rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        added = self._results([self._column(row) for row in rows])
        return [{**row, **more} for row, more in zip(rows, added, strict=True)]

    def _column(self, batch: Mapping[str, Any]) -> Any:
        """Return the prompts of a mapping of columns, or the prompt of a row."""
        name = self._text if self._ids is None else self._ids
        if name not in batch:
            listed = ", ".join(map(str, batch))
            option = "text" if self._ids is None else "ids"
            raise InputError(
                f"there is no column {name!r}; there are {listed}",
                f"name it, as in {option}={next(iter(batch), name)!r}",
            )
        taken = [added for added in self._added if added in batch]
        if taken:
            raise InputError(f"the column {taken[0]!r} is there already", "rename or drop it before")
        return batch[name]

    def _is_row(self, prompts: Any, batch: Mapping[str, Any]) -> bool:
        """Tell whether a mapping is one row, whose text or ids are `prompts`; otherwise it holds columns."""
        if not _is_list(prompts) or self._ids is None:
            return not _is_list(prompts)
        if any(map(_is_list, prompts)):
            return False
        # NaN, which is not itself, is a missing value.
        are_numbers = [isinstance(each, Number) and each == each for each in prompts]
        if len(batch) == 1 or (are_numbers and all(are_numbers)):
            return any(are_numbers)
        # No ids of a row, and none of several: the other values tell how many rows these are.
        return any(not _is_list(each) or len(each) != len(are_numbers) for each in batch.values())

    def _results(self, prompts: Iterable[Any]) -> list[dict[str, Any]]:
        """Return what is added to each row."""
        key = "text" if self._ids is None else "ids"
        values = [{key: _plain(prompt)} for prompt in prompts]
        rows = []
        stream = getattr(self._loaded_later(), f"{self._task}_stream")(values, **self._options)
        for result in item_dicts(stream):
            problem = result.get("error")
            error = f"{problem['message']}: {problem['hint']}" if problem else ""
            if self._task == "loss":
                # A column of an Arrow table has one type, so the first token has the keys of the others.
                result["tokens"] = [_UNSCORED | token for token in result["tokens"]]
            rows.append({**{name: result[name] for name in _ADDED[self._task]}, "error": error})
        return rows

    def _loaded_later(self) -> Session:
        """Return the session of this process, which loads the model at its first batch."""
        if self._session is None:
            threads = self._model["threads"] or (1 if _forked else None)
            self._session = Session(**{**self._model, "threads": threads})
        return self._session


def _is_list(value: Any) -> bool:
    """Tell whether a value is a list, an array or the like, and no string or mapping."""
    if isinstance(value, str | bytes | bytearray | Mapping):
        return False
    return isinstance(value, Iterable) and isinstance(value, Sized) and getattr(value, "ndim", 1) > 0


def _plain(prompt: Any) -> Any:
    """Return a value of an array, such as a string of numpy's, as Python's own."""
    return str(prompt) if isinstance(prompt, str) else prompt
