"""Losses, generations and lenses against transformers, on the same weights, and against what they mean."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

import gptrace
from gptrace.errors import OptionError, RunError
from gptrace.model import GPTModel
from gptrace.model.gpt import attend
from gptrace.model.quiet_torch import torch
from gptrace.predict.sampling import probabilities
from gptrace.record import Generation, Token
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import decode
from tests.models.hugging_face import save_family
from tests.models.small_gpt import SmallGPT
from tests.support import fingerprint, ids_of

nn = torch.nn


@pytest.mark.parametrize("prompt", [[50, 60, 70], [5], list(range(200, 230))])
def test_greedy_tokens_are_those_of_transformers(gpt2: tuple[Path, Any], prompt: list[int]) -> None:
    folder, reference = gpt2
    count = 32 - len(prompt)
    expected = reference.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=count,
        do_sample=False, pad_token_id=0,
    )[0, len(prompt) :].tolist()  # fmt: skip
    for cache in (True, False):
        generation = gptrace.generate(ids=prompt, weights=folder, max_new_tokens=count, cache=cache)
        assert [token.id for token in generation.results[0].tokens] == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gemma2", "opt", "gpt-neox", "qwen3"])
def test_greedy_tokens_of_other_families(name: str, tmp_path: Path) -> None:
    reference = save_family(tmp_path, name)
    expected = reference.generate(
        torch.tensor([[3, 4, 5]]), attention_mask=torch.ones(1, 3), max_new_tokens=12, do_sample=False,
        pad_token_id=0,
    )[0, 3:].tolist()  # fmt: skip
    for cache in (True, False):
        generation = gptrace.generate(ids=[3, 4, 5], model=f"hf:{tmp_path}", max_new_tokens=12, cache=cache)
        assert [token.id for token in generation.results[0].tokens] == expected


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_cache_changes_no_token_and_a_window_slides_as_in_the_course(attention: str) -> None:
    config = {"context_length": 12, "attention": attention}
    with_cache = gptrace.generate("Hello, I am", model="tiny", config=config, max_new_tokens=40)
    without = gptrace.generate("Hello, I am", model="tiny", config=config, max_new_tokens=40, cache=False)
    ids = [token.id for token in with_cache.results[0].tokens]
    assert ids == [token.id for token in without.results[0].tokens]
    torch.manual_seed(123)
    model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, **config}).eval()
    expected = [15496, 11, 314, 716]
    with torch.no_grad():
        for _ in range(40):  # the course's generate_text_simple
            expected.append(int(model(torch.tensor([expected[-12:]]))[0, -1].argmax()))
    assert ids == expected[4:]
    longer = gptrace.generate(ids=list(range(30)), model=model, max_new_tokens=3)
    again = gptrace.generate(ids=list(range(18, 30)), model=model, max_new_tokens=3)
    assert longer.results[0].tokens == again.results[0].tokens


class AverageAttention(nn.Module):
    """A user's attention: each token gets the average of the tokens that it may see."""

    def __init__(self, att: Any, *, causal: bool) -> None:
        super().__init__()
        self.W_value, self.causal = att.W_value, causal

    def forward(self, x: torch.Tensor) -> Any:
        ones = torch.ones(x.shape[1], x.shape[1])
        weights = ones.tril() if self.causal else ones
        return weights / weights.sum(1, keepdim=True) @ self.W_value(x) * 30


def without_scaling(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dropout: nn.Dropout) -> Any:
    """A user's function in place of `attend`; it assumes that there are as many queries as keys."""
    ones = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool)
    return (q @ k.transpose(2, 3) * 40).masked_fill(ones.triu(1), -torch.inf).softmax(-1) @ v * 30


@pytest.mark.parametrize("replacement", ["module", "block", "function"])
def test_attention_of_the_users_own_is_run_without_a_cache(replacement: str) -> None:
    torch.manual_seed(0)
    model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2}).eval()
    block: Any = model.trf_blocks[1]
    if replacement == "module":
        block.att = AverageAttention(block.att, causal=True)
    elif replacement == "block":
        model.trf_blocks[1] = AverageAttention(block.att, causal=True)
    else:
        block.att.attend = without_scaling
    expected = [15496, 11, 314, 716]
    with torch.no_grad():
        for _ in range(12):
            expected.append(int(model(torch.tensor([expected]))[0, -1].argmax()))
    for cache in (True, False):
        result = gptrace.generate("Hello, I am", model=model, max_new_tokens=12, cache=cache).results[0]
        assert [token.id for token in result.tokens] == expected[4:]
    traced = gptrace.generate("Hello, I am", model=model, max_new_tokens=3, trace=True).results[0]
    assert [token.id for token in traced.tokens] == expected[4:7]
    assert [step.cached for step in traced.steps] == [0, 0, 0]


def test_attention_of_the_users_own_sees_no_padding() -> None:
    model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2}).eval()
    block: Any = model.trf_blocks[1]
    block.att = AverageAttention(block.att, causal=False)
    together = gptrace.topk(["Hello", "Hello, I am a model"], model=model, k=1).results
    alone = gptrace.topk("Hello", model=model, k=1).results
    assert together[0].candidates[0].logit == pytest.approx(alone[0].candidates[0].logit, abs=1e-5)


def test_the_published_greedy_tokens(gpt2_small: GPTModel) -> None:
    generation = gptrace.generate("Hello, I am", model=gpt2_small, max_new_tokens=6)
    assert [token.id for token in generation.results[0].tokens] == [27018, 24086, 47843, 30961, 42348, 7267]
    assert generation.results[0].text == " Featureiman Byeswickattribute argue"
    block: Any = gpt2_small.trf_blocks[0]
    assert block.att.attend is attend
    assert "forward" not in vars(gpt2_small)


def test_each_step_with_a_cache_takes_one_token() -> None:
    generation = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=3, trace=True)
    plain = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=3)
    result = generation.results[0]
    assert result.tokens == plain.results[0].tokens
    assert [step.cached for step in result.steps] == [0, 4, 5]
    assert [step.flow[0].shape for step in result.steps] == [(1, 4), (1, 1), (1, 1)]
    attention = result.steps[2].attention
    assert attention is not None
    assert [spec.shape for spec in attention.inputs] == [(1, 4, 1, 12), (1, 4, 12, 6)]
    assert [spec.dims for spec in (*attention.inputs, *attention.outputs)] == [
        ("batch", "n_heads", "seq_len", "head_dim"),
        ("batch", "n_heads", "head_dim", "cached+seq_len"),
        ("batch", "n_heads", "seq_len", "cached+seq_len"),
    ]
    uncached = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=3, trace=True, cache=False)
    assert [step.flow[0].shape for step in uncached.results[0].steps] == [(1, 4), (1, 5), (1, 6)]


class Fused(torch.nn.Module):
    """Fused attention with more queries than keys; with `own_cache`, it keeps keys of its own."""

    def __init__(self, own_cache: bool) -> None:
        super().__init__()
        self.own_cache, self.kept = own_cache, 0
        self.emb, self.head = torch.nn.Embedding(20, 64), torch.nn.Linear(64, 20)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.emb(ids)
        queries, keys = x.view(1, -1, 8, 8).transpose(1, 2), x[..., :16].reshape(1, -1, 2, 8).transpose(1, 2)
        if self.own_cache:
            keys = torch.cat([keys, keys[:, :, :1]], dim=2)
        x = nn.functional.scaled_dot_product_attention(queries, keys, keys, enable_gqa=True)
        logits: torch.Tensor = self.head(x.transpose(1, 2).reshape(1, -1, 64))
        return logits


def test_fused_attention_is_no_product_and_a_cache_of_the_users_own_is_not_counted() -> None:
    generation = gptrace.generate(ids=[1, 2, 3], model=Fused(own_cache=False), max_new_tokens=2, trace=True)
    assert [step.cached for step in generation.results[0].steps] == [0, 0]
    shown = str(generation)
    assert "Queries, keys, values" in shown
    assert "[1, 8, 3, 8], [1, 2, 3, 8], [1, 2, 3, 8] → [1, 8, 3, 8]" in shown
    assert " @ " not in shown
    cached = gptrace.generate(ids=[1, 2, 3], model=Fused(own_cache=True), max_new_tokens=2, trace=True)
    assert [step.cached for step in cached.results[0].steps] == [None, None]
    assert "cached" not in cached.to_dict()["results"][0]["steps"][0]


class ValuesFirst(torch.nn.Module):
    """Scores by einsum: the only product of two matrices is that of weights and values."""

    def __init__(self) -> None:
        super().__init__()
        self.emb, self.head = torch.nn.Embedding(20, 8), torch.nn.Linear(8, 20)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.emb(ids)[:, None]
        weights = torch.einsum("bhtd,bhsd->bhts", x, x).softmax(-1)
        logits: torch.Tensor = self.head((weights @ x)[:, 0])
        return logits


def test_a_product_with_values_is_none_of_queries_and_keys() -> None:
    step = gptrace.generate(ids=[1, 2], model=ValuesFirst(), max_new_tokens=1, trace=True).results[0].steps[0]
    assert step.attention is None


def test_logits_are_those_of_the_model_and_no_hidden_states(tmp_path: Path) -> None:
    config = transformers.Qwen2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, vocab_size=60,
    )  # fmt: skip
    transformers.Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    generation = gptrace.generate(ids=[3, 4, 5], model=f"hf:{tmp_path}", max_new_tokens=2, trace=True)
    steps = generation.results[0].steps
    assert [step.logits for step in steps] == [(1, 1, 60), (1, 1, 60)]
    assert [step.cached for step in steps] == [0, 3]


@pytest.mark.parametrize(("window", "cached"), [(None, [0, 5, 6, 7]), (4, [0, 3, 3, 3])])
def test_steps_say_what_the_cache_holds_and_axes_without_names_are_their_sizes(
    window: int | None, cached: list[int], tmp_path: Path
) -> None:
    config = transformers.MistralConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=48, vocab_size=60, sliding_window=window,
    )  # fmt: skip
    transformers.MistralForCausalLM(config).save_pretrained(tmp_path)
    generation = gptrace.generate(ids=[3, 4, 5, 6, 7], model=f"hf:{tmp_path}", max_new_tokens=4, trace=True)
    steps = generation.results[0].steps
    assert [step.cached for step in steps] == cached
    for step in steps:
        assert step.attention is not None
        shaped: list[Any] = [*step.attention.inputs, *step.attention.outputs, *step.flow]
        axes = [axis for each in shaped for axis in zip(each.dims, each.shape, strict=True)]
        assert all(int(name) == size for name, size in axes if name.isdigit())


def test_the_names_of_axes_are_those_of_the_steps_that_have_them() -> None:
    shown = str(
        gptrace.generate(
            "Hello, I am a", model="tiny", config={"context_length": 8}, max_new_tokens=6, trace=True
        )
    )
    legends = [line for line in shown.splitlines() if "queries @ keys: " in line]
    assert [line.partition(", ")[0] for line in legends] == ["step 1", "steps 2 to 4", "steps 5 to 6"]
    assert ["cached+seq_len" in line for line in legends] == [False, True, False]


def test_sampling_leaves_what_top_k_and_top_p_say() -> None:
    logits = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log()
    assert probabilities(logits).tolist() == pytest.approx([0.4, 0.3, 0.15, 0.1, 0.05])
    assert probabilities(logits, top_k=2).tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0, 0])
    assert probabilities(logits, top_p=0.6).tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0, 0])
    assert probabilities(logits, top_p=0.71).tolist() == pytest.approx([8 / 17, 6 / 17, 3 / 17, 0, 0])
    assert probabilities(logits, top_p=1e-9).tolist() == [1, 0, 0, 0, 0]
    warped = transformers.TopPLogitsWarper(0.8)(
        None, transformers.TopKLogitsWarper(4)(None, logits[None] / 0.7)
    )
    expected = warped[0].softmax(-1).tolist()
    assert probabilities(logits, temperature=0.7, top_k=4, top_p=0.8).tolist() == pytest.approx(expected)


@pytest.mark.slow
def test_samples_come_as_often_as_they_should_and_from_the_seed() -> None:
    generation = [
        gptrace.generate(
            ids=[1], model="tiny", max_new_tokens=1, top_k=2, seed=seed, config={"vocab_size": 50}
        )
        for seed in range(3)
    ]
    again = gptrace.generate(
        ids=[1], model="tiny", max_new_tokens=1, top_k=2, seed=2, config={"vocab_size": 50}
    )
    assert again.results == generation[2].results
    model = GPTModel(
        {"emb_dim": 8, "n_heads": 2, "n_layers": 1, "vocab_size": 20, "context_length": 8}
    ).eval()
    with torch.no_grad():
        chances = model(torch.tensor([[1]]))[0, -1].softmax(-1)
    drawn = [
        gptrace.generate(ids=[1], model=model, max_new_tokens=1, temperature=1.0, seed=seed)
        .results[0]
        .tokens[0]
        for seed in range(600)
    ]
    counts = torch.bincount(torch.tensor([token.id for token in drawn]), minlength=20)
    statistic = float(((counts - 600 * chances) ** 2 / (600 * chances)).sum())
    assert statistic < 50  # chi-squared with 19 degrees of freedom: beyond this once in ten thousand


def test_where_it_stops() -> None:
    whole = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=6).results[0]
    assert whole.text == decode(whole.tokens)
    assert whole.text is not None
    stop = whole.text[3:9]
    stopped = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=6, stop=["never", stop]).results[0]
    assert (stopped.text, stopped.stopped_by) == (whole.text[:3], "stop")
    assert len(stopped.tokens) < 6


def test_the_end_of_text_ends_it(tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.out_head.weight[50256] = 100 * tiny.out_head.weight[46920]  # what " RAND" would have been
    result = gptrace.generate("Hello, I am", model=tiny).results[0]
    assert (result.stopped_by, [token.id for token in result.tokens]) == ("end_of_text", [50256])
    assert result.text == ""


class Constant(nn.Module):
    """Gives one token whatever comes before."""

    def __init__(self, token_id: int, vocab_size: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(vocab_size))
        self.scores.data[token_id] = 5

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.scores.expand(*ids.shape, -1)


class Numbers:
    """A tokenizer of a caller's own, with the methods that it must have and no more."""

    padding_rows = staticmethod(lambda vocab_size: 0)
    size = staticmethod(lambda: 50_300)
    description = staticmethod(lambda: "numbers")
    matches_vocab_size = staticmethod(lambda vocab_size: vocab_size == 50_300)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        return [int(word) for word in text.split()]

    encode_alone = encode

    def token(self, token_id: int) -> Token:
        return Token(token_id, f" {token_id}", f" {token_id}".encode())


class EndingNumbers(Numbers):
    end_ids = (7,)


def ending_words() -> Any:
    words = Tokenizer(models.WordLevel({str(number): number for number in range(50_300)}, unk_token="0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="0", eos_token="7")


@pytest.mark.parametrize(("make", "ends"), [(Numbers, []), (EndingNumbers, [7]), (ending_words, [7])])
def test_a_text_ends_where_the_tokenizer_of_the_session_says(
    make: Callable[[], object], ends: list[int]
) -> None:
    tokenizer = make()
    for token_id in (7, 50256):
        session = gptrace.Session(Constant(token_id, 50_300).eval(), tokenizer=tokenizer)
        result = session.generate("1 2", max_new_tokens=3).results[0]
        expected = ("end_of_text", "") if token_id in ends else ("max_new_tokens", f" {token_id}" * 3)
        assert (result.stopped_by, result.text) == expected


def test_text_is_heard_as_it_comes_and_in_whole_characters() -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def begin(self, head: gptrace.record.Generation, prompt: Prompt) -> None:
            assert head.results == ()
            self.heard.append(f"<{prompt.text}>")

        def text(self, piece: str) -> None:
            self.heard.append(piece)

    listener = Listener()
    generation = gptrace.generate(["Hello"], model="tiny", max_new_tokens=8, listener=listener)
    assert listener.heard[0] == "<Hello>"
    assert "".join(listener.heard[1:]) == generation.results[0].text
    assert sum(bool(piece) for piece in listener.heard) > 5


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"stop": ""}, "a stop is ''"),
        ({"stop": "a\udcff"}, "which is not Unicode text"),
    ],
)
def test_wrong_ways_to_go_on(options: dict[str, Any], part: str) -> None:
    with pytest.raises(OptionError, match=part):
        gptrace.generate("Hello", model="tiny", **options)


def test_nan_has_no_next_token(tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.out_head.weight.fill_(torch.nan)
    with pytest.raises(RunError, match="the greatest logit is nan"):
        gptrace.generate("Hello", model=tiny)


def test_threads_and_listeners_may_share_a_model(tiny: GPTModel) -> None:
    expected = ids_of(gptrace.generate("Hello, I am", model=tiny, max_new_tokens=12))
    top = gptrace.topk("Hello", model=tiny).results
    before = fingerprint(tiny)
    generated: list[list[int]] = []

    class Listener:
        def begin(self, head: Generation, prompt: Prompt) -> None: ...

        def text(self, piece: str) -> None:
            assert gptrace.topk("Hello", model=tiny).results == top

    def work() -> None:
        generated.append(
            ids_of(gptrace.generate("Hello, I am", model=tiny, max_new_tokens=12, listener=Listener()))
        )

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert generated == [expected] * 3
    assert fingerprint(tiny) == before


def test_what_a_listener_raises_is_its_own_and_leaves_no_trace() -> None:
    model = SmallGPT()
    before = fingerprint(model)

    class Tired(Exception): ...

    class Listener:
        def begin(self, head: Generation, prompt: Prompt) -> None: ...

        def text(self, piece: str) -> None:
            raise Tired

    with pytest.raises(Tired):
        gptrace.generate("Hello, I am", model=model, listener=Listener())
    assert fingerprint(model) == before


def test_a_step_beyond_the_context_reports_no_cache() -> None:
    generation = gptrace.generate(
        ids=range(10), model="tiny", config={"context_length": 12}, max_new_tokens=5, trace=True
    )
    steps = generation.results[0].steps
    assert [step.cached for step in steps] == [0, 10, 11, 0, 0]
    assert [step.flow[0].shape for step in steps] == [(1, 10), (1, 1), (1, 1), (1, 12), (1, 12)]


def _mamba(folder: Path, version: int) -> Any:
    """Save a small Mamba, whose cache is not called past_key_values; return it."""
    sizes: dict[str, Any] = {
        "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 100, "state_size": 8, "expand": 2,
        "eos_token_id": None,
    }  # fmt: skip
    torch.manual_seed(3)
    config: Any = (
        transformers.MambaConfig(**sizes)
        if version == 1
        else transformers.Mamba2Config(**sizes, num_heads=4, head_dim=16, n_groups=1, chunk_size=4)
    )
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():  # so that the prompt matters to every token
        for parameter in model.parameters():
            parameter.mul_(4)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("version", [1, 2])
def test_a_cache_by_another_name_remembers_the_prompt(version: int, tmp_path: Path) -> None:
    model = _mamba(tmp_path, version)
    ids = [5, 17, 42, 8, 61]
    expected: list[int] = []
    with torch.no_grad():
        for _ in range(12):
            logits = model(torch.tensor([ids + expected]), use_cache=False).logits
            expected.append(int(logits[0, -1].argmax()))
    for cache in (True, False):
        generation = gptrace.generate(ids=ids, model=model, max_new_tokens=12, cache=cache)
        assert [token.id for token in generation.results[0].tokens] == expected
        assert not any("cache" in note for note in generation.notes)


@pytest.mark.parametrize("fault", ["forgets", "raises"])
@pytest.mark.parametrize("trace", [False, True])
def test_a_cache_that_fails_is_given_up_with_a_note(fault: str, trace: bool, gpt2: tuple[Path, Any]) -> None:
    _, model = gpt2
    plain = model.forward

    def forward(input_ids: Any, past_key_values: Any = None, **rest: Any) -> Any:
        if past_key_values is not None and fault == "raises":
            raise ValueError("no such cache")
        return plain(input_ids, **rest)  # with "forgets", each step sees its own token alone

    model.forward = forward
    try:
        with_cache = gptrace.generate(ids=[50, 60, 70], model=model, max_new_tokens=6, trace=trace)
    finally:
        del model.forward
    without = gptrace.generate(ids=[50, 60, 70], model=model, max_new_tokens=6, cache=False)
    assert ids_of(with_cache) == ids_of(without)
    (note,) = [note for note in with_cache.notes if "cache" in note]
    assert ("no such cache" if fault == "raises" else "differ by up to") in note
    assert [step.cached for step in with_cache.results[0].steps] == [0] * (6 if trace else 0)


_LONG_ROPE = {
    "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
    "factor": 4.0, "original_max_position_embeddings": 16,
}  # fmt: skip
_DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 8.0}


def _with_changing_rope(name: str) -> Any:
    """A small model whose rotary frequencies change beyond 16 tokens: once, or with each token."""
    sizes: dict[str, Any] = {
        "vocab_size": 151, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1,
        "eos_token_id": 2, "max_position_embeddings": 64,
    }  # fmt: skip
    if name == "phi3":
        config: Any = transformers.Phi3Config(
            **sizes, original_max_position_embeddings=16, rope_parameters=_LONG_ROPE
        )
    elif name == "llama":
        config = transformers.LlamaConfig(**sizes, rope_parameters=_LONG_ROPE)
    elif name == "modernbert-decoder":  # each kind of layer has settings of its own
        config = transformers.ModernBertDecoderConfig(
            **sizes, rope_parameters={"full_attention": _LONG_ROPE, "sliding_attention": _LONG_ROPE}
        )
    else:  # the context length of the language model does not limit what the whole model reads
        text = transformers.LlamaConfig(**sizes | {"max_position_embeddings": 16}, rope_parameters=_DYNAMIC)
        vision = transformers.CLIPVisionConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16,
            patch_size=8,
        )  # fmt: skip
        config = transformers.LlavaConfig(text_config=text, vision_config=vision)
    auto = transformers.AutoModelForImageTextToText if name == "llava" else transformers.AutoModelForCausalLM
    torch.manual_seed(1)
    model = auto.from_config(config).eval()
    with torch.no_grad():  # so that the positions of all tokens matter
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    model.generation_config.eos_token_id = None
    return model


@pytest.mark.parametrize("name", ["phi3", "llama", "modernbert-decoder", "llava"])
def test_cached_keys_are_dropped_where_the_rotary_frequencies_change(name: str) -> None:
    model, other = _with_changing_rope(name), _with_changing_rope(name)  # a run may leave its frequencies
    ids = [5, 9, 3, 77, 20, 6, 8, 9, 100, 4, 11, 12]
    expected = list(ids)
    with torch.no_grad():
        for _ in range(12):
            expected.append(int(other(torch.tensor([expected]), use_cache=False).logits[0, -1].argmax()))
    if name == "phi3":  # other models of transformers go on with the old keys
        mask = torch.ones(1, len(ids))
        generated = other.generate(
            torch.tensor([ids]), attention_mask=mask, max_new_tokens=12, do_sample=False
        )
        assert generated[0].tolist() == expected
    generation = gptrace.generate(ids=[ids, ids], model=model, max_new_tokens=12)
    for result in generation.results:
        assert [token.id for token in result.tokens] == expected[12:]
    assert not any("cache" in note for note in generation.notes)
    traced = gptrace.generate(ids=ids, model=model, max_new_tokens=8, trace=True).results[0]
    beyond = [0, 0, 0] if name == "llava" else [0, 17, 18]
    assert [step.cached for step in traced.steps] == [0, 12, 13, 14, 15, *beyond]


class CachingAttention(torch.nn.Module):
    """An attention of a user's own, which keeps the keys of all calls where no run restores them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = [torch.zeros(1, 2, 0, 24)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.view(1, -1, 2, 24).transpose(1, 2)
        self.kept[0] = torch.cat([self.kept[0], heads], dim=2)
        attended = torch.nn.functional.scaled_dot_product_attention(heads, self.kept[0], self.kept[0])
        return attended.transpose(1, 2).reshape(x.shape)


def test_the_cache_of_an_attention_in_a_gpt_is_not_counted_as_none(tiny: GPTModel) -> None:
    for block in tiny.trf_blocks:
        block.att = CachingAttention()
    generation = gptrace.generate("Hello, I am", model=tiny, max_new_tokens=2, trace=True)
    assert [step.cached for step in generation.results[0].steps] == [0, None]
