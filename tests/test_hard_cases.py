"""Models and inputs that broke an answer once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from jsonschema import Draft202012Validator

import gptrace
from gptrace.errors import RunError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.record import Generation, Prompt
from gptrace.report.schemas import SCHEMAS
from tests.conftest import Outcome
from tests.test_explain import Course, flat, verdicts
from tests.test_hugging_face import SIZES

Cli = Callable[..., Outcome]
nn = torch.nn


def ids_of(found: Generation) -> list[int]:
    return [token.id for token in found.results[0].tokens]


def state_of(model: nn.Module) -> list[object]:
    return [
        (
            path,
            module.training,
            sorted(vars(module)),
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
        )
        for path, module in model.named_modules()
    ]


def test_a_lens_does_not_read_the_padding_of_its_neighbours(tiny: GPTModel) -> None:
    together = gptrace.lens(["Hello", "Hello, I am"], model=tiny).results
    for text, result in zip(["Hello", "Hello, I am"], together, strict=True):
        assert result.layers == gptrace.lens(text, model=tiny).results[0].layers


def test_threads_and_listeners_may_share_a_model(tiny: GPTModel) -> None:
    expected = ids_of(gptrace.generate("Hello, I am", model=tiny, max_new_tokens=12))
    top = gptrace.topk("Hello", model=tiny).results
    before = state_of(tiny)
    found: list[list[int]] = []

    class Listener:
        def begin(self, head: Generation, prompt: Prompt) -> None: ...

        def text(self, piece: str) -> None:
            assert gptrace.topk("Hello", model=tiny).results == top

    def work() -> None:
        found.append(
            ids_of(gptrace.generate("Hello, I am", model=tiny, max_new_tokens=12, listener=Listener()))
        )

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3
    assert state_of(tiny) == before


def test_what_a_listener_raises_is_its_own_and_leaves_no_trace() -> None:
    model = Course()
    before = state_of(model)

    class Tired(Exception): ...

    class Listener:
        def begin(self, head: Generation, prompt: Prompt) -> None: ...

        def text(self, piece: str) -> None:
            raise Tired

    with pytest.raises(Tired):
        gptrace.generate("Hello, I am", model=model, listener=Listener())
    assert state_of(model) == before


@pytest.mark.parametrize("command", ["topk", "loss", "generate", "lens", "explain"])
def test_every_answer_leaves_a_module_as_it_was(command: str) -> None:
    for model in (Course(), GPTModel({"emb_dim": 16, "n_heads": 2, "n_layers": 2, "context_length": 16})):
        model.train()
        model.eval() if command == "lens" else None
        before, random = state_of(model), torch.get_rng_state()
        getattr(gptrace, command)("Hello, I am", model=model)
        assert state_of(model) == before
        assert torch.equal(torch.get_rng_state(), random)


def test_a_model_with_other_blocks_is_still_a_model(tiny: GPTModel) -> None:
    tiny.trf_blocks[0] = nn.Identity()
    assert len(gptrace.topk(ids=[1, 2], model=tiny).results[0].candidates) == 5
    cached, plain = (ids_of(gptrace.generate(ids=[1, 2], model=tiny, cache=cache)) for cache in (True, False))
    assert cached == plain
    tiny.trf_blocks = nn.Identity()  # type: ignore[assignment]
    assert tiny(torch.tensor([[1]])).shape == (1, 1, 50257)
    assert len(gptrace.topk(ids=[1, 2], model=tiny).results[0].candidates) == 5


def test_ids_that_only_pad_the_vocabulary() -> None:
    config = {"vocab_size": 50304}
    found = gptrace.loss(ids=[1, 50300, 2], model="tiny", config=config)
    assert all(one.probability for one in found.results[0].tokens[1:])
    assert False not in flat(verdicts(gptrace.explain(ids=[1, 50300], model="tiny", config=config)))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_vocabulary_of_hardly_any_tokens(size: int) -> None:
    config = {"vocab_size": size}
    assert False not in flat(verdicts(gptrace.explain(ids=[0, 0, 0], model="tiny", config=config)))
    assert gptrace.lens(ids=[0, 0], model="tiny", config=config).results[0].layers[-1].rank_of_prediction == 1
    assert ids_of(gptrace.generate(ids=[0], model="tiny", config=config, max_new_tokens=2)) is not None


def test_a_head_in_a_container() -> None:
    class Contained(Course):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.Identity()  # type: ignore[assignment]
            self.head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 50257))  # type: ignore[assignment]

    model = Contained()
    found = gptrace.lens("Hello, I am", model=model)
    assert found.through == ("norm", "head.0", "head.1")
    explained = gptrace.explain("Hello, I am", model=model)
    assert "`head.0` brings every vector" in explained.topics[0].claims[4].text
    assert False not in flat(verdicts(explained))


def test_a_block_that_runs_again_and_again_has_no_layers() -> None:
    class Recurrent(Course):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([self.blocks[0]] * 3)

    with pytest.raises(RunError, match=r"blocks\.0 runs more than once"):
        gptrace.lens("Hello", model=Recurrent())


def test_a_wrong_head_is_refused(cli: Cli) -> None:
    for path in ("trf_blocks.0", "tok_emb", "trf_blocks.0.norm1"):
        for command in ("lens", "explain"):
            outcome = cli(command, "hi there", "-m", "tiny", "--head", path)
            outcome.is_error(2, f"--head '{path}' makes no logits", "out_head")


def changed(change: Callable[[Any], None]) -> Course:
    torch.manual_seed(0)
    model = Course()
    with torch.no_grad():
        change(model)
    return model


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.head.weight.mul_(1e5),  # gaps that exp cannot hold
        lambda model: model.head.weight.zero_(),  # a usual way to begin
        lambda model: model.norm.weight.zero_() + model.norm.bias.zero_(),  # nothing reaches the head
    ],
)
def test_extreme_weights_are_explained(change: Callable[[Any], None]) -> None:
    held = verdicts(gptrace.explain("Hello, I am", model=changed(change)))
    assert False not in flat(held), held


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("text", ["Hello", "Hello, I am"])
def test_a_model_that_looks_ahead_is_found_out_in_every_precision(dtype: torch.dtype, text: str) -> None:
    torch.manual_seed(1)
    model = Course("causal").to(dtype)
    assert verdicts(gptrace.explain(text, model=model))["last-dim"][1] is False
    assert verdicts(gptrace.explain(text, model=Course().to(dtype)))["last-dim"][1] is True


def test_what_follows_the_head_is_not_put_down_to_it() -> None:
    held = verdicts(gptrace.explain("Hello, I am", model=Course("softcap")))
    assert held["inference"][0] is True  # the head may still leave out all rows but the last
    assert held["projection"][1] is False
    assert held["training"] == [None]


def test_a_context_that_only_the_model_knows(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "full.py"
    path.write_text(
        "from tests.test_explain import Course\n"
        "class Told(Course):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.block_size = 32\n"
        "def quiet():\n"
        "    return Course()\n"
        "def told():\n"
        "    return Told()\n"
    )
    ids = " ".join(map(str, range(32)))
    for name in ("quiet", "told"):
        found = json.loads(cli("explain", "--ids", ids, "-m", f"{path}:{name}", "--json").out)
        assert found["topics"][1]["claims"][1]["holds"] is None
    done = cli("generate", "--ids", ids, "-m", f"{path}:told", "-n", "3", "--json")
    assert len(json.loads(done.out)["results"][0]["new_ids"]) == 3
    done = cli("loss", "--ids", f"{ids} 1 2 3", "-m", f"{path}:told", "--json")
    assert json.loads(done.out)["results"][0]["windows"] == 2


def test_numbers_that_are_none_keep_to_the_schema(cli: Cli, tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.out_head.weight[7] = torch.nan
    records = [
        ("lens", gptrace.lens("Hello, I am", model=tiny)),
        ("loss", gptrace.loss("Hello, I am", model=tiny)),
    ]
    for name, record in records:
        Draft202012Validator(SCHEMAS[name]).validate(json.loads(record.to_json()))
    assert records[1][1].to_dict()["results"][0]["tokens"][1]["rank"] is None


def test_a_line_too_deep_to_be_written_again_is_one_bad_line(process: Callable[..., Outcome]) -> None:
    deep = '{"text": "d", "x": ' + "[" * 600 + "]" * 600 + "}"
    lines = f'{deep}\n{{"text": "e", "x": [[1]]}}\n'
    for form in ("jsonl", "json"):
        done = process("topk", "-m", "tiny", "--input-format", "jsonl", "-f", form, stdin=lines.encode())
        results = (
            [json.loads(line) for line in done.out.splitlines()]
            if form == "jsonl"
            else json.loads(done.out)["results"]
        )
        assert "nested too deeply" in results[0]["error"]["message"]
        assert results[1]["x"] == [[1]]


def test_a_model_without_logits_for_some_prompts(tmp_path: Path, process: Callable[..., Outcome]) -> None:
    (tmp_path / "some.py").write_text(
        "import torch\n"
        "class Some(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e, self.h = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257)\n"
        "    def forward(self, x):\n"
        "        return None if x.shape[1] == 2 else self.h(self.e(x))\n"
    )
    done = process("topk", "--lines", "-f", "jsonl", "-m", "some.py:Some", stdin=b"a\na b\na b c\n")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert ["error" in result for result in found] == [False, True, False]


def test_nobody_is_blamed_for_nan_in_a_tensor_that_nobody_can_look_into() -> None:
    class Wrapped(torch.Tensor): ...

    layer = nn.ReLU()
    given = torch.tensor([torch.nan]).as_subclass(Wrapped)
    with gptrace.watch(layer, measure=["statistics"]) as trace:
        layer(given)
    assert not any("first to make NaN" in note for note in trace.notes)


def test_a_vocabulary_that_is_rounded_up_and_a_tokenizer_that_begins_with_bos(tmp_path: Path) -> None:
    from tests.test_hugging_face import byte_level

    made = byte_level()
    made.add_special_tokens(["<s>"])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>")
    fast.backend_tokenizer.post_processor = __import__("tokenizers").processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", fast.bos_token_id)]
    )
    fast.save_pretrained(tmp_path)
    config = transformers.LlamaConfig(**SIZES | {"vocab_size": len(fast) + 27}, num_attention_heads=4)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    found = gptrace.explain("hello there", model=f"hf:{tmp_path}")
    assert False not in flat(verdicts(found)), found
    assert "27 scores belong to no token" in found.topics[1].claims[0].measured
