"""Traces made by hand → graphs: boxes, folds, and edges that say what the trace says and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from gptrace.graph import graph_of
from gptrace.graph.uses import TensorUses
from gptrace.record import Origin
from gptrace.record.graph import Graph
from tests.graph.explained import Explanation
from tests.graph.recording import Recording, Tensor, parameter


def drawn(recording: Recording) -> Graph:
    """The graph of a recording, of which every edge and every recorded use is explained."""
    trace = recording.trace()
    graph = graph_of(trace)
    explanation = Explanation(trace, graph)
    assert (explanation.unexplained, explanation.unfounded) == ([], [])
    assert explanation.uses > 0
    return graph


def arrows(graph: Graph, box: str | None) -> list[str]:
    """The edges in the picture of one box, as text."""
    numbers = [node.id for node in graph.nodes if node.label == box] if box is not None else [None]
    labels = [node.label for node in graph.nodes]
    return [
        f"{'in' if edge.source == edge.box else labels[edge.source]} > "
        f"{'out' if edge.target == edge.box else labels[edge.target]}"
        for edge in graph.edges
        if edge.box in numbers
    ]


def block(recording: Recording, path: str, x: Tensor) -> Tensor:
    """Record a block with a residual connection."""
    with recording.call(path, x) as call:
        made = recording.leaf(f"{path}.norm", x)
        made = recording.leaf(f"{path}.ff", made)
        made = recording.op("add", made, x)
        call.outputs = [made]
    return made


def chain(recording: Recording, count: int, step: Callable[[int, Tensor], Tensor]) -> Graph:
    """Record a model of equal blocks, `step` by step."""
    with recording.call("", recording.argument("ids")) as root:
        x = recording.leaf("emb", recording.argument("ids"))
        for number in range(count):
            x = step(number, x)
        x = recording.leaf("head", x)
        root.outputs = [x]
    return drawn(recording)


def test_a_chain_of_blocks_is_one_box_with_its_residual() -> None:
    recording = Recording()
    graph = chain(recording, 3, lambda number, x: block(recording, f"h.{number}", x))
    assert [node.label for node in graph.nodes] == [
        "ids", "Module", "emb", "h.0–2", "norm", "ff", "add", "head", "output",
    ]  # fmt: skip
    assert graph.nodes[3].layers == (2, 5, 8)
    assert arrows(graph, None) == ["ids > Module", "Module > output"]
    assert arrows(graph, "Module") == [
        "in > emb", "emb > h.0–2", "h.0–2 > h.0–2", "h.0–2 > head", "head > out",
    ]  # fmt: skip
    assert arrows(graph, "h.0–2") == ["in > norm", "norm > ff", "ff > add", "in > add", "add > out"]


def test_the_edges_of_one_tensor_have_one_number() -> None:
    recording = Recording()
    graph = chain(recording, 1, lambda number, x: block(recording, f"h.{number}", x))
    by_tensor = {edge.tensor: set[tuple[str, str]]() for edge in graph.edges}
    labels = [node.label for node in graph.nodes]
    for edge in graph.edges:
        by_tensor[edge.tensor].add((labels[edge.source], labels[edge.target]))
    assert {("emb", "h.0"), ("h.0", "norm"), ("h.0", "add")} in by_tensor.values()
    assert {("add", "h.0"), ("h.0", "head")} in by_tensor.values()


def test_blocks_that_all_take_the_same_tensor_are_no_chain() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x = recording.leaf("emb", recording.argument("x"))
        made = [block(recording, f"heads.{number}", x) for number in range(3)]
        root.outputs = [recording.op("cat", *made)]
    graph = drawn(recording)
    assert arrows(graph, "Module") == ["in > emb", "emb > heads.0–2", "heads.0–2 > cat", "cat > out"]


def test_a_tensor_that_all_blocks_share_is_drawn_once() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x"), recording.argument("memory")) as root:
        x, memory = recording.leaf("emb", recording.argument("x")), recording.argument("memory")
        for number in range(4):
            with recording.call(f"h.{number}", x, memory) as call:
                x = recording.op("add", recording.leaf(f"h.{number}.cross", x, memory), x)
                call.outputs = [x]
        root.outputs = [x]
    graph = drawn(recording)
    assert arrows(graph, "Module") == [
        "in > emb", "emb > h.0–3", "in > h.0–3", "h.0–3 > h.0–3", "h.0–3 > out",
    ]  # fmt: skip


def test_a_block_whose_output_skips_ahead_stands_alone() -> None:
    """A U-Net's long skip: block 1 feeds block 4 too, which no other block does."""
    recording, made = Recording(), list[Tensor]()

    def step(number: int, x: Tensor) -> Tensor:
        with recording.call(f"h.{number}", x, *made[1:2] * (number == 4)) as call:
            y = recording.op("add", recording.leaf(f"h.{number}.ff", x), made[1] if number == 4 else x)
            call.outputs = [y]
        made.append(y)
        return y

    graph = chain(recording, 6, step)
    boxes = [node.label for node in graph.nodes if node.label.startswith("h.")]
    assert boxes == ["h.0–1", "h.2–3", "h.4", "h.5"]
    assert "h.0–1 > h.4" in arrows(graph, "Module")


def test_further_blocks_that_give_something_of_their_own_stand_alone() -> None:
    """Every block but the last is stacked, then every block: only the second stack takes from all alike."""
    for stacked, boxes in ((3, ["h.0–2", "h.3"]), (4, ["h.0–3"])):
        recording = Recording()
        with recording.call("", recording.argument("x")) as root:
            x, made = recording.argument("x"), []
            for number in range(4):
                x = block(recording, f"h.{number}", x)
                made.append(x)
            root.outputs = [recording.op("stack", *made[:stacked]), x]
        graph = drawn(recording)
        assert [node.label for node in graph.nodes if node.layers or node.label.startswith("h.")] == boxes
        assert f"{boxes[0]} > stack" in arrows(graph, "Module")


def test_a_skip_out_of_two_boxes_into_two_others() -> None:
    recording = Recording()
    with recording.call("", recording.argument("image")) as root:
        with recording.call("down", recording.argument("image")) as down:
            with recording.call("down.stage", recording.argument("image")) as stage:
                inner = recording.op("relu", recording.op("conv2d", recording.argument("image")))
                stage.outputs = [recording.op("pool", inner)]
            down.outputs = stage.outputs
        with recording.call("up", down.outputs[0]) as up:
            with recording.call("up.stage", down.outputs[0]) as stage:
                stage.outputs = [recording.op("cat", recording.op("scale", down.outputs[0]), inner)]
            up.outputs = stage.outputs
        root.outputs = up.outputs
    graph = drawn(recording)
    [skip] = {edge.tensor for edge in graph.edges if graph.nodes[edge.source].label == "relu"} & {
        edge.tensor for edge in graph.edges if graph.nodes[edge.target].label == "cat"
    }
    labels = [node.label for node in graph.nodes]
    assert [(labels[edge.source], labels[edge.target]) for edge in graph.edges if edge.tensor == skip] == [
        ("down", "up"), ("stage", "down"), ("relu", "pool"), ("relu", "stage"), ("up", "stage"),
        ("stage", "cat"),
    ]  # fmt: skip


def test_a_call_that_hands_its_input_through() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x = recording.leaf("a", recording.argument("x"))
        with recording.call("identity", x) as call:
            call.outputs = [x]
        root.outputs = [recording.leaf("b", x)]
    graph = drawn(recording)
    assert arrows(graph, "Module") == ["in > a", "a > identity", "identity > b", "b > out"]
    assert arrows(graph, "identity") == ["in > out"]
    assert len({edge.tensor for edge in graph.edges}) == 3


def test_two_calls_of_one_module_are_two_nodes() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x = recording.leaf("drop", recording.argument("x"))
        x = recording.leaf("drop", recording.leaf("ff", x))
        root.outputs = [x]
    assert arrows(drawn(recording), "Module") == ["in > drop", "drop > ff", "ff > drop (2)", "drop (2) > out"]


def test_a_parameter_stands_in_each_box_whose_operations_use_it() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x = recording.leaf("tok_emb", recording.argument("x"))
        x = recording.op("add", x, parameter("pos_emb"))
        with recording.call("norm", x) as norm:
            norm.outputs = [recording.op("mul", recording.op("mean", x), parameter("norm.scale"))]
        root.outputs = [recording.op("matmul", norm.outputs[0], parameter("tok_emb.weight"))]
    graph = drawn(recording)
    assert [(node.label, node.parent) for node in graph.nodes if node.kind == "parameter"] == [
        ("pos_emb", 1), ("scale", 5), ("tok_emb.weight", 1),
    ]  # fmt: skip
    assert "tok_emb.weight > tok_emb" in arrows(graph, "Module")  # a tied table
    assert arrows(graph, "norm") == ["in > mean", "mean > mul", "scale > mul", "mul > out"]


def test_what_is_written_in_place_comes_from_the_write() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        mask = recording.op("zeros")
        written = recording.op("fill_", mask)
        root.outputs = [recording.op("add", recording.argument("x"), written)]
    assert arrows(drawn(recording), "Module") == ["zeros > fill_", "in > add", "fill_ > add", "add > out"]


def test_several_inputs_and_outputs_and_one_that_nothing_uses() -> None:
    recording = Recording()
    with recording.call("", *map(recording.argument, ("ids", "mask", "unused"))) as root:
        x = recording.leaf("emb", recording.argument("ids"))
        root.outputs = [recording.op("add", x, recording.argument("mask")), x]
    graph = drawn(recording)
    assert arrows(graph, None) == [
        "ids > Module", "mask > Module", "unused > Module", "Module > output", "Module > output",
    ]  # fmt: skip
    assert arrows(graph, "Module") == ["in > emb", "emb > add", "in > add", "add > out", "emb > out"]


def test_what_one_forward_pass_made_flows_into_the_next() -> None:
    recording = Recording()
    with recording.call("", recording.argument("ids")) as first:
        first.outputs = [recording.leaf("head", recording.argument("ids"))]
    with recording.call("", first.outputs[0], recording.argument("ids")) as second:
        x = recording.op("add", first.outputs[0], recording.argument("ids"))
        second.outputs = [recording.leaf("head", x)]
    graph = drawn(recording)
    assert arrows(graph, None) == [
        "ids > Module", "Module > output", "Module > Module (2)", "ids > Module (2)", "Module (2) > output",
    ]  # fmt: skip


def test_an_edge_of_unknown_origin_is_absent() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        root.outputs = [recording.leaf("b", Tensor(None))]
    assert arrows(drawn(recording), "Module") == ["b > out"]


def test_a_use_inside_of_the_call_that_is_said_to_have_made_it_is_left_out() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x = recording.op("add", recording.argument("x"), Tensor(Origin(call=0)))
        root.outputs = [recording.op("relu", x)]
    assert arrows(graph_of(recording.trace()), "Module") == ["in > add", "add > relu", "relu > out"]


def test_modules_nested_deep_and_many_calls_take_no_recursion() -> None:
    recording = Recording()
    with ExitStack() as stack:
        calls = [stack.enter_context(recording.call(f"a{depth}", recording.argument("x")))
                 for depth in range(1100)]  # fmt: skip
        made = recording.op("relu", recording.argument("x"))
        for call in calls:
            call.outputs = [made]
    trace = recording.trace()
    graph = graph_of(trace)
    assert len(graph.nodes) == 1100 + 2
    assert len(graph.edges) == 2 * 1100


@pytest.mark.parametrize("count", [96, 1000])
def test_many_equal_blocks_are_few_nodes(count: int) -> None:
    recording = Recording()
    with recording.call("", recording.argument("ids")) as root:
        x = recording.leaf("emb", recording.argument("ids"))
        for number in range(count):
            x = block(recording, f"h.{number}", x)
        root.outputs = [x]
    graph = graph_of(recording.trace())
    assert (len(graph.nodes), len(graph.edges)) == (8, 11)
    assert len(graph.nodes[3].layers) == count


def test_blocks_that_take_tensors_of_their_own_stand_alone() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x, ropes = recording.argument("x"), [recording.op("getitem") for _ in range(3)]
        for number, rope in enumerate(ropes):
            with recording.call(f"h.{number}", x, rope) as call:
                x = recording.op("add", recording.leaf(f"h.{number}.ff", x), rope)
                call.outputs = [x]
        root.outputs = [x]
    assert [node.label for node in drawn(recording).nodes if node.label.startswith("h.")] == [
        "h.0",
        "h.1",
        "h.2",
    ]


def test_a_tensor_that_a_box_takes_enters_it_as_that_input() -> None:
    """A use deep inside may name who made the tensor, where the box around it took it from another hand."""
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x = recording.op("add", recording.argument("x"))
        maker = x.origin
        with recording.call("identity", x) as identity:
            identity.outputs = [x]
        with recording.call("block", x) as block:
            block.outputs = [recording.op("mul", recording.op("relu", Tensor(maker)))]
        root.outputs = block.outputs
    graph = graph_of(recording.trace())
    assert arrows(graph, "Module") == ["in > add", "add > identity", "identity > block", "block > out"]
    assert arrows(graph, "block") == ["in > relu", "relu > mul", "mul > out"]


def test_a_tensor_reaches_the_end_through_all_that_is_made_of_it() -> None:
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x = recording.leaf("emb", recording.argument("x"))
        read = block(recording, "read", x)
        unread = block(recording, "unread", x)
        with recording.call("dropout", unread) as call:  # returns what it takes
            call.outputs = [unread]
        recording.op("mul", unread)  # of which nothing is made
        with recording.call("unrecorded", recording.op("mul", read)) as call:
            call.outputs = [Tensor(None)]
        root.outputs = [recording.op("add", x, *call.outputs)]
    uses = TensorUses(recording.trace())
    reaching = {call.path for call in uses.calls if uses.reaches_the_end(call.index)}
    assert reaching >= {"", "emb", "read", "unrecorded"}
    assert not reaching & {"unread", "unread.ff", "dropout"}
