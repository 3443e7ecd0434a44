"""Moves stand behind the elementwise operators that read them: what is in front and behind is one function of one tensor."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.push_moves import push_moves

X = {"x": samples(2, 6, 4)}
SHAPE: list[int | str] = ["N", 6, 4]


def model(*nodes: onnx.NodeProto, after: list[int | str], **constants: np.ndarray) -> onnx.ModelProto:
    sizes = {"sizes": np.array([0, 2, 12]), "axis": np.array([1])}
    return make_model(list(nodes), {**sizes, **constants}, {"x": SHAPE}, {"y": after})


def pushed(source: onnx.ModelProto) -> list[str]:
    return operators(apply_checked(source, X, infer_shapes, push_moves))


def test_transposes_go_behind_with_constants_turned_and_cancel() -> None:
    source = model(
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("Mul", ["t", "c"], ["m"]),
        node("Round", ["m"], ["r"]),
        node("Transpose", ["r"], ["y"], perm=[0, 2, 1]),
        after=["N", 6, 4],
        c=samples(6, seed=1),
    )
    assert [op for op in pushed(source) if op != "Identity"] == ["Mul", "Round"]


@pytest.mark.parametrize("function", ["Round", "Sigmoid"])
def test_a_reshape_between_functions_goes_behind_both(function: str) -> None:
    source = model(
        node(function, ["x"], ["r"]),
        node("Mul", ["r", "c"], ["m"]),
        node("Reshape", ["m", "sizes"], ["s"]),
        node("Unsqueeze", ["s", "axis"], ["u"]),
        node("Erf", ["u"], ["e"]),
        node("Mul", ["e", "u"], ["y"]),
        after=["N", 1, 2, 12],
        c=np.float32([0.3]),
    )
    assert pushed(source) == [function, "Mul", "Erf", "Mul", "Reshape", "Unsqueeze"]


STAYING = {
    "nothing but lines in front": model(
        node("Mul", ["x", "c"], ["r"]), node("Reshape", ["r", "sizes"], ["s"]), node("Erf", ["s"], ["y"]),
        after=["N", 2, 12], c=np.float32([0.3]),
    ),
    "constants by place": model(
        node("Round", ["x"], ["r"]), node("Reshape", ["r", "sizes"], ["s"]), node("Mul", ["s", "c"], ["y"]),
        after=["N", 2, 12], c=samples(12),
    ),
    "another signal is not moved": model(
        node("Round", ["x"], ["r"]), node("Reshape", ["r", "sizes"], ["s"]), node("Erf", ["x"], ["e"]),
        node("ReduceMean", ["e"], ["m"], axes=[1, 2]), node("Add", ["s", "m"], ["y"]),
        after=["N", 2, 12],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STAYING)
def test_it_stays(name: str) -> None:
    source = STAYING[name]
    graph = apply_checked(source, X, infer_shapes, push_moves)
    (move,) = (n for n in graph.nodes if n.op == "Reshape")
    assert move.outputs[0].outputs
    assert sorted(pushed(source)) == sorted(n.op_type for n in source.graph.node)


def test_a_function_that_a_move_cuts_in_two_is_one_table() -> None:
    """GELU of tokens, as a stock quantiser writes it: a quantiser behind each operator, moves included."""
    net = Quantised()
    z = net.quantised(net.add("MatMul", "x", net.weights(8, 6, spread=0.5)), 0.031, 131)
    z = net.quantised(net.add("Reshape", z, net.hold(np.array([0, 6, 4]))), 0.031, 131)
    part = net.quantised(net.add("Erf", net.add("Div", z, net.hold(np.float32(1.4142135)))), 0.0078, 128)
    part = net.quantised(net.add("Add", part, net.hold(np.float32(1))), 0.0078)
    gelu = net.quantised(net.add("Mul", z, part), 0.03, 9)
    net.add("MatMul", gelu, net.weights(4, 3), output="y")
    source = net.model({"x": ["N", 4, 8]}, {"y": ["N", 6, 3]})
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    assert [layer.neurons for layer in conversion.layers] == [24, 24]  # rising steps, and falling ones
    certificate = onnx2snn.verify(source, conversion, {"x": samples(9, 4, 8)})
    assert certificate.lossless
    assert all(layer.ambiguous == layer.propagated == 0 for layer in certificate.layers[:1])


def test_the_sample_comes_first_behind_a_split_of_heads() -> None:
    """Transpose takes the batch off axis 0, Squeeze brings it back, and quantisers stand between."""
    net = Quantised()
    z = net.quantised(net.add("MatMul", "x", net.weights(8, 6, spread=0.5)), 0.031, 131)
    z = net.add("Reshape", z, net.hold(np.array([1, 5, 1, 6])))
    z = net.quantised(net.add("Transpose", z, perm=[2, 0, 1, 3]), 0.031, 131)
    z = net.quantised(net.add("Squeeze", z, net.hold(np.array([0]))), 0.031, 131)
    net.add("MatMul", z, net.weights(6, 3), output="y")
    source = net.model({"x": [1, 5, 8]}, {"y": [1, 5, 3]})
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    assert len(conversion.layers) == 1
    assert onnx2snn.verify(source, conversion, {"x": samples(3, 5, 8)}).lossless
