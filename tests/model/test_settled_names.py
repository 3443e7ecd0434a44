"""Networks that a tool writes in another order, and under other numbers, each time."""

from __future__ import annotations

import numpy as np
import onnx
from helpers_graphs import make_model, node, samples

from onnx2snn.model.reference import run_reference
from onnx2snn.model.settled_names import settled


def written(*, conv: int, relus: tuple[int, int], bias: str, swapped: bool) -> onnx.ModelProto:
    """Two branches of one convolution, added; as a tool may number them, and keep one of two equal constants."""
    z, a, b = f"conv__{conv}:0", f"relu__{relus[0]}:0", f"conv__{conv}_relu__{relus[1]}:0"
    weights = np.random.default_rng(0).normal(0, 1, (4, 3)).astype(np.float32)
    constants = {f"w__{conv}": weights, bias: np.ones(4, np.float32)}
    branches = [node("Relu", [z], [a], a[:-2]), node("Neg", [z], [b], b[:-2])]
    nodes = [
        node("Gemm", ["x__9", f"w__{conv}", bias], [z], f"conv__{conv}", transB=1),
        *(reversed(branches) if swapped else branches),
        node("Add", [a, b], ["s"], "sum"),
        node("Add", ["s", bias], ["y"], "shifted"),
    ]
    return make_model(nodes, constants, {"x__9": ["N", 3]}, {"y": ["N", 4]})


def test_there_is_one_order_and_one_number_of_each() -> None:
    one = written(conv=1, relus=(2, 3), bias="bias", swapped=False)
    other = written(conv=9, relus=(40, 7), bias="ones__12", swapped=True)
    assert settled(one).SerializeToString() == settled(other).SerializeToString()


def test_it_is_the_same_network() -> None:
    model = written(conv=9, relus=(40, 7), bias="ones__12", swapped=True)
    found = settled(model)
    onnx.checker.check_model(found, full_check=True)
    x = {"x__9": samples(4, 3)}
    np.testing.assert_array_equal(run_reference(found, x)["y"], run_reference(model, x)["y"])
    assert settled(found) == found
    assert {name for n in found.graph.node for name in n.output} == {
        "conv__1:0", "relu__2:0", "conv__1_relu__3:0", "s", "y",
    }  # fmt: skip


def test_what_a_subgraph_reads_is_named_there_too() -> None:
    body = onnx.parser.parse_graph("inner () => (float[N] r) { r = Add(a__7, c__8) }")
    kept = onnx.parser.parse_graph("inner () => (float[N] r) { r = Identity(a__7) }")
    nodes = [
        node("Neg", ["x"], ["a__7"], "neg__7"),
        node("If", ["if__3"], ["y"], "if", then_branch=body, else_branch=kept),
    ]
    constants = {"c__8": np.ones(1, np.float32), "if__3": np.array(True)}
    model = make_model(nodes, constants, {"x": ["N"]}, {"y": ["N"]})
    found, x = settled(model), {"x": samples(4)}
    np.testing.assert_array_equal(run_reference(found, x)["y"], run_reference(model, x)["y"])
    assert "a__7" not in {name for n in found.graph.node for name in n.output}
