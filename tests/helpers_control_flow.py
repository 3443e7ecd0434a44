"""Small networks with control flow, sequences and selections by data, as exporters write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from helpers_graphs import make_model, node
from helpers_operators import dyadic
from onnx import TensorProto, helper

#: From the tensor of this name, (N, 8), to the tensor of that name, (N, 8).
Middle = Callable[[str, str], list[onnx.NodeProto]]

CONSTANTS = {
    "w0": dyadic(6, 8, seed=1), "w1": dyadic(8, 8, seed=2), "w2": dyadic(8, 3, seed=3), "inner": dyadic(8, 8, seed=4),
    "half": np.float32(0.5), "zero": np.float32(0), "five": np.float32(5), "yes": np.array(True),
    "axis0": np.array([0]), "axis1": np.array([1]), "first": np.array(0), "second": np.array(1), "three": np.array(3),
    "four": np.array(4), "eight": np.array([8]), "all": np.array([1, -1, 4]), "scores": np.array([1, 1, -1]),
    "pairs": np.array([-1, 2, 4]), "flat": np.array([-1, 8]), "two": np.array([2]), "end": np.array([3]),
    "overlap": np.array([0.5], np.float32), "least": np.array([-100], np.float32), "both": np.array([2, -1, 8]),
}  # fmt: skip
KINDS: dict[str, Middle] = {}


def kind(middle: Middle) -> Middle:
    KINDS[middle.__name__] = middle
    return middle


def value(
    name: str, code: int = TensorProto.FLOAT, shape: Sequence[int | str] | None = ("N", 8)
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, code, shape)


def quantised(source: str, name: str) -> list[onnx.NodeProto]:
    return [
        node("Div", [source, "half"], [f"{name}/1"]),
        node("Round", [f"{name}/1"], [f"{name}/2"]),
        node("Clip", [f"{name}/2", "zero", "five"], [f"{name}/3"]),
        node("Mul", [f"{name}/3", "half"], [name]),
    ]


def loop(
    start: str, result: str, body: list[onnx.NodeProto], *, turns: str = "three", go: str = "yes"
) -> onnx.NodeProto:
    """The body makes ``h2`` of ``h``; it may read anything."""
    nodes = [node("Identity", ["c"], ["c2"]), *body]
    given = [value("turn", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), value("h")]
    graph = helper.make_graph(nodes, "body", given, [value("c2", TensorProto.BOOL, []), value("h2")])
    return node("Loop", [turns, go, start], [result], name="loop", body=graph)


def branch(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    return helper.make_graph(nodes, "branch", [], [value(nodes[-1].output[0], shape=None)])


@kind
def loop_of_weights(a: str, y: str) -> list[onnx.NodeProto]:
    return [loop(a, y, [node("MatMul", ["h", "inner"], ["m"]), node("Relu", ["m"], ["h2"])])]


@kind
def loop_reads_its_start_again(a: str, y: str) -> list[onnx.NodeProto]:
    return [loop(a, y, [node("Add", ["h", a], ["m"]), node("Relu", ["m"], ["h2"])])]


@kind
def loop_reads_a_potential(a: str, y: str) -> list[onnx.NodeProto]:
    return [loop(a, y, [node("Add", ["h", "z0"], ["h2"])])]


@kind
def loop_with_an_activation(a: str, y: str) -> list[onnx.NodeProto]:
    return [loop(a, y, [node("MatMul", ["h", "inner"], ["m"]), *quantised("m", "h2")])]


@kind
def loop_over_the_batch(a: str, y: str) -> list[onnx.NodeProto]:
    size = [node("Shape", [a], ["sizes"]), node("Gather", ["sizes", "first"], ["n"])]
    return [*size, loop(a, y, [node("Add", ["h", a], ["h2"])], turns="n")]


@kind
def loop_where_the_data_says(a: str, y: str) -> list[onnx.NodeProto]:
    test = [node("ReduceMax", [a], ["top"], keepdims=0), node("Greater", ["top", "zero"], ["go"])]
    return [*test, loop(a, y, [node("Mul", ["h", "half"], ["h2"])], go="go")]


@kind
def loop_with_a_branch(a: str, y: str) -> list[onnx.NodeProto]:
    either = node("If", ["q"], ["h2"], then_branch=branch([node("Add", ["h", a], ["t"])]),
                  else_branch=branch([node("Sub", ["h", a], ["e"])]))  # fmt: skip
    return [loop(a, y, [node("Equal", ["turn", "second"], ["q"]), either])]


@kind
def branch_by_data(a: str, y: str) -> list[onnx.NodeProto]:
    return [
        node("ReduceSum", [a], ["s"], keepdims=0),
        node("Greater", ["s", "five"], ["q"]),
        node("If", ["q"], [y], name="if", then_branch=branch([node("Relu", [a], ["t"])]),
             else_branch=branch([node("MatMul", [a, "inner"], ["e"])])),
    ]  # fmt: skip


@kind
def branch_with_a_loop(a: str, y: str) -> list[onnx.NodeProto]:
    inside = branch([loop(a, "t", [node("Add", ["h", a], ["h2"])])])
    return [node("If", ["yes"], [y], then_branch=inside, else_branch=branch([node("Neg", [a], ["e"])]))]


@kind
def scan_over_rows(a: str, y: str) -> list[onnx.NodeProto]:
    row = [value(name, shape=["N", 4]) for name in ("state", "x_t", "state2", "y_t")]
    nodes = [node("Add", ["x_t", "state"], ["state2"]), node("Add", ["state2", "mean"], ["y_t"])]
    body = helper.make_graph(nodes, "body", row[:2], row[2:])
    return [
        node("Reshape", [a, "pairs"], ["rows"]),
        node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=0),
        node("Scan", ["mean", "rows"], ["last", "made"], name="scan", body=body, num_scan_inputs=1,
             scan_input_axes=[1], scan_output_axes=[1]),
        node("Reshape", ["made", "flat"], [y]),
    ]  # fmt: skip


@kind
def sequence_of_maps(a: str, y: str) -> list[onnx.NodeProto]:
    body = helper.make_graph(
        [node("Relu", ["p"], ["q"])], "body", [value("p", shape=None)], [value("q", shape=None)]
    )
    return [
        node("SplitToSequence", [a, "four"], ["parts"], axis=1),
        node("SequenceMap", ["parts"], ["made"], body=body, name="map"),
        node("ConcatFromSequence", ["made"], [y], axis=1),
    ]


@kind
def sequence_by_samples(a: str, y: str) -> list[onnx.NodeProto]:
    return [
        node("SplitToSequence", ["z0"], ["parts"], axis=0, keepdims=1),
        node("ConcatFromSequence", ["parts"], ["b"], axis=0),
        node("Add", [a, "b"], [y]),
    ]


@kind
def sequence_in_a_loop(a: str, y: str) -> list[onnx.NodeProto]:
    sequence = helper.make_tensor_sequence_value_info
    body = helper.make_graph(
        [node("Identity", ["c"], ["c2"]), node("SequenceInsert", ["s", a], ["s2"])], "body",
        [value("turn", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), sequence("s", TensorProto.FLOAT, None)],
        [value("c2", TensorProto.BOOL, []), sequence("s2", TensorProto.FLOAT, None)],
    )  # fmt: skip
    return [
        node("SequenceEmpty", [], ["none"]),
        node("Loop", ["three", "yes", "none"], ["parts"], body=body, name="loop"),
        node("ConcatFromSequence", ["parts"], ["b"], axis=0, new_axis=1),
        node("ReduceSum", ["b", "axis0"], [y], keepdims=0),
    ]


@kind
def optional(a: str, y: str) -> list[onnx.NodeProto]:
    return [node("Optional", [a], ["maybe"]), node("OptionalGetElement", ["maybe"], [y])]


def boxes_chosen(source: str) -> list[onnx.NodeProto]:
    """The boxes (k, 4) that are left of those of all samples, as ``chosen``."""
    return [
        node("Reshape", [source, "all"], ["boxes"]),
        node("ReduceSum", ["boxes", "two"], ["sums"], keepdims=0),
        node("Reshape", ["sums", "scores"], ["classes"]),
        node(
            "NonMaxSuppression",
            ["boxes", "classes", "two", "overlap", "least"],
            ["selected"],
            name="suppression",
        ),
        node("Slice", ["selected", "two", "end", "axis1"], ["column"]),
        node("Squeeze", ["column", "axis1"], ["places"]),
        node("Squeeze", ["boxes", "axis0"], ["listed"]),
        node("Gather", ["listed", "places"], ["chosen"], axis=0),
        node("ReduceSum", ["chosen", "axis0"], ["total"], keepdims=1),
        node("Concat", ["total", "total"], ["wide"], axis=1),
    ]


@kind
def boxes_suppressed(a: str, y: str) -> list[onnx.NodeProto]:
    return [*boxes_chosen(a), node("Add", [a, "wide"], [y])]


@kind
def boxes_suppressed_in_a_loop(a: str, y: str) -> list[onnx.NodeProto]:
    nodes = [
        node("Identity", ["c"], ["c2"]),
        node("Gather", [a, "turn"], ["sample"], axis=0),
        *boxes_chosen("sample"),
        node("Squeeze", ["wide", "axis0"], ["o"]),
    ]
    given = [value("turn", TensorProto.INT64, []), value("c", TensorProto.BOOL, [])]
    body = helper.make_graph(
        nodes, "body", given, [value("c2", TensorProto.BOOL, []), value("o", shape=None)]
    )
    size = [node("Shape", [a], ["sizes"]), node("Gather", ["sizes", "first"], ["n"])]
    return [*size, node("Loop", ["n", "yes"], [y], body=body, name="loop")]


@kind
def places_by_data(a: str, y: str) -> list[onnx.NodeProto]:
    return [
        node("NonZero", [a], ["found"]),
        node("Shape", ["found"], ["sizes"]),
        node("Cast", ["sizes"], ["counts"], to=TensorProto.FLOAT),
        node("ReduceSum", ["counts", "axis0"], ["count"], keepdims=1),
        node("Add", [a, "count"], [y]),
    ]


@kind
def largest_elsewhere(a: str, y: str) -> list[onnx.NodeProto]:
    top = node("TopK", [a, "eight"], ["values", "places"], axis=1, name="largest")
    return [top, node("GatherElements", ["z0", "places"], [y], axis=1)]


@kind
def slice_by_data(a: str, y: str) -> list[onnx.NodeProto]:
    return [
        node("ReduceMax", [a], ["top"], keepdims=0),
        node("Cast", ["top"], ["whole"], to=TensorProto.INT64),
        node("Mul", ["whole", "first"], ["nothing"]),
        node("Unsqueeze", ["nothing", "axis0"], ["start"]),
        node("Slice", [a, "start", "eight", "axis1"], [y]),
    ]


def network(middle: Middle, place: str) -> onnx.ModelProto:
    """Dense layers; ``middle`` behind the first activation, in front of the second, or in place of the answer."""
    nodes = [node("MatMul", ["x", "w0"], ["z0"], name="dense0"), *quantised("z0", "a0")]
    if place == "between":
        nodes += [
            *middle("a0", "mid"),
            node("MatMul", ["mid", "w1"], ["z1"], name="dense1"),
            *quantised("z1", "a1"),
        ]
    else:
        nodes.append(node("MatMul", ["a0", "w1"], ["z1"], name="dense1"))
        nodes += (
            [*middle("z1", "p"), *quantised("p", "a1")] if place == "potential" else quantised("z1", "a1")
        )
    if place == "end":
        nodes += [node("MatMul", ["a1", "inner"], ["logits"], name="dense2"), *middle("logits", "y")]
    else:
        nodes.append(node("MatMul", ["a1", "w2"], ["y"], name="dense2"))
    used = _names(nodes)
    constants = {name: values for name, values in CONSTANTS.items() if name in used}
    return make_model(nodes, constants, {"x": ["N", 6]}, {"y": ["N", 8 if place == "end" else 3]}, opset=17)


def _names(nodes: Sequence[onnx.NodeProto]) -> set[str]:
    found = {name for n in nodes for name in n.input}
    return found.union(*(_names(a.g.node) for n in nodes for a in n.attribute if a.HasField("g")))
