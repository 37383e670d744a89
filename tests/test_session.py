"""Sessions: loaded once, used often, and equal to the one-shot functions."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import gptrace
from gptrace import Session, api
from gptrace.errors import DeviceError, InputError, ModelCodeError, OptionError, TextError
from gptrace.model import GPTConfig, GPTModel, build
from gptrace.model.quiet_torch import torch
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.hugging_face import HuggingFaceTokenizer
from tests.models.checked import Leaking
from tests.support import environment, reproducible

nn = torch.nn


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What `load` was called with."""
    seen: list[object] = []
    load = build.load

    def counted(model: Any) -> build.LoadedModel:
        seen.append(model)
        return load(model)

    monkeypatch.setattr(build, "load", counted)
    return seen


class Toy(nn.Module):
    """A model of one's own, with a vocabulary of 50 and an error for three tokens."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.e, self.h = nn.Embedding(50, width), nn.Linear(width, 50)

    def forward(self, x: torch.Tensor) -> Any:
        if x.shape[1] == 3:
            raise ValueError("three is too many")
        return self.h(self.e(x))


CALLS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "trace": lambda asked, model: asked.trace("Hello, I am", k=3, measure=["macs"], **model),
    "topk": lambda asked, model: asked.topk(["Hello", "Bye"], k=3, tokens=[" Paris"], **model),
    "loss": lambda asked, model: asked.loss("Hello, I am", **model),
    "generate": lambda asked, model: asked.generate("Hello", max_new_tokens=3, top_k=9, **model),
    "lens": lambda asked, model: asked.lens("Hello, I am", k=2, **model),
    "check": lambda asked, model: asked.check(only=["causal"], **model),
    "source": lambda asked, model: asked.source("Hello", **model),
    "page": lambda asked, model: asked.page("Hello", k=2, **model),
    "explain": lambda asked, model: asked.explain("Hello", topics=["last-dim", "inference"], **model),
}


def comparable(record: Any) -> Any:
    if isinstance(record, gptrace.Trace):
        return reproducible(record).to_dict()
    if isinstance(record, gptrace.Page):
        return comparable(record.trace) | record.to_dict() | {"trace": None}
    return {key: value for key, value in record.to_dict().items() if key != "seconds"}


def test_a_model_is_loaded_once_for_all_that_is_asked(loads: list[object]) -> None:
    session = Session("tiny", seed=7)
    assert (session.is_loaded, loads) == (False, [])
    for ask in CALLS.values():
        ask(session, {})
        ask(session, {})
    assert len(list(session.topk_stream(["Hello", "Bye"]).results)) == 2
    assert session.is_loaded
    assert session.model is session.model
    assert len(loads) == 1
    Session("tiny").tokens("Hello")
    assert len(loads) == 1


def test_threads_that_ask_at_once_load_it_once(loads: list[object]) -> None:
    session = Session("tiny")
    models: list[object] = []
    threads = [threading.Thread(target=lambda: models.append(session.model)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == len({id(model) for model in models}) == 1


@pytest.mark.parametrize("name", CALLS)
def test_a_session_returns_what_the_one_shot_function_returns(name: str) -> None:
    session = Session("tiny", seed=5, name="mine")
    for _ in range(2):  # the second time, too: nothing is left of the first
        once = CALLS[name](api, {"model": "tiny", "seed": 5, "name": "mine"})
        assert comparable(CALLS[name](session, {})) == comparable(once)
    assert comparable(once)["model"]["name"] == "mine"


def test_a_verdict_does_not_depend_on_what_was_asked_before() -> None:
    """The tokenizer that read a text for a model of its own vocabulary does not become that of the model."""
    session = Session(Leaking)
    fresh = session.check(only=["vocabulary"])
    assert fresh
    session.topk(ids=[1, 2], k=2)
    assert session.check(only=["vocabulary"]).checks == fresh.checks


@pytest.mark.parametrize("name", [*CALLS, "topk_stream", "tokens"])
def test_a_one_shot_function_takes_the_arguments_of_session_and_of_its_method(name: str) -> None:
    of_session = inspect.signature(Session).parameters
    of_method = dict(inspect.signature(getattr(Session, name)).parameters)
    del of_method["self"]
    parameters = inspect.signature(getattr(api, name)).parameters
    of_model = ["tokenizer"] if name == "tokens" else list(of_session)
    assert set(parameters) == {*of_method, *of_model}
    for parameter in parameters.values():
        declared = of_method.get(parameter.name) or of_session[parameter.name]
        if parameter.name != "seed":  # of a method: the session's unless it is given
            assert (parameter.default, parameter.annotation) == (declared.default, declared.annotation)
    first, *rest = parameters.values()
    assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {parameter.kind for parameter in rest} == {inspect.Parameter.KEYWORD_ONLY}


def test_the_arguments_of_the_model_are_those_of_session() -> None:
    declared = {name: one.annotation for name, one in inspect.signature(Session).parameters.items()}
    assert {
        name: hint.__forward_arg__ for name, hint in api.ModelArguments.__annotations__.items()
    } == declared


def test_the_seed_is_that_of_sampling_too() -> None:
    session = Session("tiny", seed=5)
    asked: dict[str, Any] = {"max_new_tokens": 8, "temperature": 2.0}
    default = session.generate("Hello", **asked)
    assert default.settings.seed == 5
    assert default.results == session.generate("Hello", seed=5, **asked).results
    assert default.results != session.generate("Hello", seed=6, **asked).results
    assert default.results != gptrace.generate("Hello", model=session.model, seed=6, **asked).results


def test_a_module_of_ones_own_is_left_as_it_is() -> None:
    module = Toy().train()
    session = Session(module, name="toy")
    assert session.model is module
    assert session.topk(ids=[1, 2], k=2).model.name == "toy"
    assert session.trace(ids=[1, 2]).model.class_name == "Toy"
    assert module.training
    assert not module._forward_hooks


def test_a_class_with_its_configuration() -> None:
    session = Session(Toy, config={"width": 16}, seed=3)
    assert tuple(session.trace(ids=[1]).calls[1].outputs[0].shape) == (1, 1, 16)
    torch.manual_seed(3)
    assert torch.equal(next(session.model.parameters()), next(Toy(16).parameters()))
    assert Session("tiny", config=GPTConfig(emb_dim=24, n_heads=2)).name == "tiny, changed"


def byte_level_tokenizer() -> Any:
    bytes_alone = Tokenizer(models.BPE())
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bytes_alone.train_from_iterator(
        ["low lower lowest"], trainers.BpeTrainer(vocab_size=262, initial_alphabet=alphabet)
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bytes_alone)


def test_a_transformers_model_with_its_tokenizer() -> None:
    tokenizer = byte_level_tokenizer()
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=48, num_hidden_layers=2, intermediate_size=100, num_attention_heads=4,
        vocab_size=len(tokenizer), max_position_embeddings=16,
    )  # fmt: skip
    module = transformers.LlamaForCausalLM(config).eval()
    session = Session(module, tokenizer=tokenizer)
    assert isinstance(session.tokenizer, HuggingFaceTokenizer)
    topk = session.topk("low lower", k=3)
    ids = tokenizer("low lower")["input_ids"]
    assert list(topk.results[0].ids) == ids
    with torch.no_grad():
        best = module(torch.tensor([ids])).logits[0, -1].topk(3).indices.tolist()
    assert [result.token.id for result in topk.results[0].candidates] == best
    assert topk.results[0].candidates[0].token.text is not None
    assert topk.notes == ()
    tokens = session.tokens("low lower")
    assert (list(tokens.results[0].ids), tokens.vocab_size) == (ids, len(tokenizer))
    assert tokens == gptrace.tokens("low lower", tokenizer=tokenizer)
    with pytest.raises(TextError, match="context holds 16"):
        session.trace("low " * 40)
    same = gptrace.topk("low lower", model=module, tokenizer=session.tokenizer, k=3)
    assert same.results == topk.results


@pytest.mark.parametrize("tokenizer", ["gpt2", 5, HuggingFaceTokenizer, object()])
def test_what_is_no_tokenizer_is_an_input_error(tokenizer: object) -> None:
    with pytest.raises(InputError, match="not a tokenizer"):
        Session("tiny", tokenizer=tokenizer)
    assert Session("tiny", tokenizer=GPT2).tokenizer is GPT2


@pytest.mark.parametrize(
    ("arguments", "kind", "part"),
    [
        ({"model": "tinny"}, InputError, "'tinny' is not a model"),
        ({"model": 5}, InputError, "model is of type int"),
        ({"model": "tiny", "device": "tpu"}, DeviceError, "'tpu'"),
        ({"model": "tiny", "dtype": "int8"}, OptionError, "'int8'"),
        ({"model": "tiny", "config": {"n_head": 2}}, InputError, "n_head"),
        ({"model": "nothing.py:GPT"}, InputError, "nothing.py"),
        ({"weights": "nothing.pt"}, InputError, "nothing.pt"),
        ({"model": Toy(), "seed": 7}, InputError, "seed cannot be set for a model"),
        (
            {"model": Toy(), "weights": "random", "threads": 1},
            InputError,
            "weights, threads cannot be set for a model",
        ),
    ],
)
def test_what_is_wrong_is_found_when_the_session_is_made(
    arguments: dict[str, Any], kind: type[InputError], part: str, loads: list[object]
) -> None:
    with pytest.raises(kind, match=part):
        Session(**arguments)
    assert loads == []


@pytest.mark.parametrize(
    ("ask", "part"),
    [
        (lambda session: session.trace("x " * 70), "context holds 64"),
        (lambda session: session.trace(ids=[50257]), "50257"),
        (lambda session: session.topk("a", k=50258), "k is 50258"),
        (lambda session: session.topk("a", tokens=["two words"]), "2 tokens"),
        (lambda session: session.topk("a", positions="first"), "'first'"),
        (lambda session: session.topk_stream(["a"], k=0), "k is 0"),
        (lambda session: session.topk_stream(["a"], temperature=0), "temperature is 0"),
        (lambda session: session.loss("a", stride=64), "stride is 64"),
        (lambda session: session.loss(["a", ""]), "the text is empty"),
        (lambda session: session.generate("a", top_p=2.0), "top_p is 2.0"),
        (lambda session: session.lens("a", ids=[1]), "either text or ids"),
        (lambda session: session.explain(["a", "b"]), "there are 2 texts"),
        (lambda session: session.explain("a", topics=["none"]), "'none'"),
    ],
)
def test_limits_and_options_are_checked_before_the_model_is_loaded(
    ask: Callable[[Session], object], part: str, loads: list[object]
) -> None:
    session = Session("tiny")
    with pytest.raises(InputError, match=part):
        ask(session)
    assert (session.is_loaded, loads) == (False, [])


def test_nothing_of_that_imports_torch() -> None:
    code = """
import sys, gptrace
session = gptrace.Session("tiny")
repr(session), session.name, session.limits, session.tokens("Hello")
for ask in (
    lambda: session.trace("x " * 70), lambda: session.topk("a", k=0), lambda: session.lens("a", k=10**6),
    lambda: session.loss("a", stride=64), lambda: gptrace.Session("tinny"), lambda: gptrace.trace(""),
    lambda: gptrace.Session(print, device="tpu"), lambda: gptrace.Session("tiny", device="meta").topk("a"),
):
    try:
        ask()
    except gptrace.GptraceError:
        continue
    sys.exit("no error")
sys.exit("torch" in sys.modules)
"""
    outcome = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_a_session_can_be_used_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Toy())
    before = session.topk(ids=[1, 2]).results
    for ask in (session.topk, session.trace, session.lens):
        with pytest.raises(ModelCodeError, match="three is too many"):
            ask(ids=[1, 2, 3])
    assert session.topk(ids=[1, 2]).results == before
    stream = session.topk_stream([[1, 2], [1, 2, 3], [1]]).results
    assert [result.problem is None for result in stream] == [True, False, True]

    def no_memory(*arguments: object) -> None:
        raise gptrace.GptraceError("no memory", "")

    other = Session("tiny")
    with monkeypatch.context() as patched:
        patched.setattr(build, "check_memory", no_memory)
        with pytest.raises(gptrace.GptraceError, match="no memory"):
            other.topk("Hello")
    assert not other.is_loaded
    assert other.topk("Hello").results[0].candidates


def test_what_a_session_says_of_itself(tmp_path: Path) -> None:
    session = Session("124M", name="mine", seed=9)
    assert repr(session) == "<Session mine, random weights (seed 9), on cpu, not loaded>"
    tiny = Session("tiny")
    tiny.topk("Hello")
    assert repr(tiny) == "<Session tiny, random weights (seed 123), on cpu, loaded>"
    assert repr(Session("small")) == "<Session small, trained weights, on cpu, not loaded>"
    assert repr(Session("tiny", device="meta")) == "<Session tiny, no weights, on meta, not loaded>"
    assert repr(Session(Toy())) == "<Session Toy, its own weights, on cpu, not loaded>"
    path = tmp_path / "model.pt"
    torch.save(tiny.model.state_dict(), path)
    assert repr(Session("tiny", weights=path)) == f"<Session tiny, weights from {path}, on cpu, not loaded>"
    assert Session("tiny", weights=path).topk("Hello").results == tiny.topk("Hello").results


def test_a_module_on_meta_has_shapes_alone() -> None:
    session = Session(GPTModel({"emb_dim": 8, "n_heads": 1, "n_layers": 1}).to("meta"))
    assert session.trace("Hello").predictions == ()
    with pytest.raises(InputError, match="device meta"):
        session.loss("Hello")
