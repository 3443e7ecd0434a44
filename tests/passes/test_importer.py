"""Import: any opset and spelling becomes one graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, assert_same, make_model, node, operators, run_graph, samples
from onnx import helper, numpy_helper

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import is_constant
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.upgrade_opset import OPSET

IMAGE = {"x": ["N", 3, 8, 8]}
X = {"x": samples(2, 3, 8, 8)}


def old_network() -> list[onnx.NodeProto]:
    """Operators in the forms that they had before opset 11."""
    return [
        node("Conv", ["x", "w"], ["c"]),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["bn"], epsilon=1e-3),
        node("Clip", ["bn"], ["cl"], min=0.0, max=1.0),
        node("Pad", ["cl"], ["p"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.0),
        node("ReduceMean", ["p"], ["r"], axes=[3], keepdims=0),
        node("Unsqueeze", ["r"], ["u"], axes=[3]),
        node("Squeeze", ["u"], ["s"], axes=[3]),
        node("Dropout", ["s"], ["d", "mask"], ratio=0.5),
        node("Split", ["d"], ["s1", "s2"], axis=1, split=[1, 3]),
        node("Slice", ["s2"], ["sl"], starts=[1], ends=[3], axes=[1]),
        node("Flatten", ["sl"], ["fl"]),
        node("Softmax", ["fl"], ["y"]),
    ]


OLD_CONSTANTS = {
    "w": samples(4, 3, 3, 3),
    "g": samples(4, seed=1),
    "b": samples(4, seed=2),
    "m": samples(4, seed=3),
    "v": np.abs(samples(4, seed=4)),
}


@pytest.mark.parametrize("opset", [7, 8, 9])
def test_old_opsets_are_upgraded(opset: int) -> None:
    ir_version = 3 if opset < 9 else 4
    model = make_model(
        old_network(), OLD_CONSTANTS, IMAGE, {"y": ["N", 16]}, opset=opset, ir_version=ir_version
    )
    graph = apply_checked(model, X, tolerance=1e-6)
    assert graph.opset == OPSET


def test_a_newer_opset_stays() -> None:
    model = make_model(
        [node("Celu", ["x"], ["y"])], {}, IMAGE, {"y": ["N", 3, 8, 8]}, opset=22, ir_version=10
    )
    assert apply_checked(model, X).opset == 22


@pytest.mark.parametrize(
    ("opset", "operator", "mode", "scale"),
    [(9, "Upsample", "nearest", 2.0), (9, "Upsample", "linear", 2.0), (10, "Resize", "nearest", 2.0),
     (10, "Resize", "linear", 2.0), (10, "Resize", "nearest", 0.5), (10, "Resize", "nearest", 1.5)],
)  # fmt: skip
def test_old_resizing_places_its_samples_as_it_did(
    opset: int, operator: str, mode: str, scale: float
) -> None:
    size = int(8 * scale)
    model = make_model(
        [node(operator, ["x", "s"], ["y"], mode=mode)],
        {"s": np.array([1, 1, scale, scale], np.float32)},
        IMAGE,
        {"y": ["N", 3, size, size]},
        opset=opset,
        ir_version=4,
    )
    apply_checked(model, X)


def test_functions_are_inlined() -> None:
    body = [
        node("Mul", ["a", "b"], ["t"]),
        node("ReduceMean", ["t"], ["q"], axes=[2], keepdims=1),
        node("Sub", ["t", "q"], ["r"]),
    ]
    function = helper.make_function("mine", "f", ["a", "b"], ["r"], body, [helper.make_opsetid("", 11)])
    model = make_model(
        [node("f", ["x", "w"], ["y"], domain="mine")],
        {"w": samples(3, 1, 1)},
        IMAGE,
        {"y": ["N", 3, 8, 8]},
        opset=11,
        domains=["mine"],
        functions=[function],
    )
    assert operators(apply_checked(model, X)) == ["Mul", "ReduceMean", "Sub"]


def test_functions_that_double_thirty_times_are_refused() -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    functions = [helper.make_function("mine", "f0", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)]
    for i in range(1, 30):
        body = [
            node(f"f{i - 1}", ["a"], ["t"], domain="mine"),
            node(f"f{i - 1}", ["t"], ["b"], domain="mine"),
        ]
        functions.append(helper.make_function("mine", f"f{i}", ["a"], ["b"], body, opsets))
    model = make_model(
        [node("f29", ["x"], ["y"], domain="mine")], {}, IMAGE, IMAGE | {"y": ["N", 3, 8, 8]}, domains=["mine"],
        functions=functions,
    )  # fmt: skip
    del model.graph.output[0]
    with pytest.raises(InvalidModelError, match="too many nodes"):
        import_model(load_model(model))


def test_constants_are_private_and_share_their_values() -> None:
    model = make_model(
        [node("Mul", ["x", "k"], ["a"]), node("Add", ["a", "k"], ["b"]), node("Mul", ["k", "b"], ["y"])],
        {"k": samples(3, 1, 1)},
        IMAGE,
        {"y": ["N", 3, 8, 8]},
    )
    graph = apply_checked(model, X)
    constants = [t for n in graph.nodes for t in n.inputs if is_constant(t)]
    assert len({id(t) for t in constants}) == len({t.name for t in constants}) == 3
    assert len({id(t.values) for t in constants}) == 1


def test_constant_nodes_and_initializers_among_the_inputs_are_constants() -> None:
    value = numpy_helper.from_array(samples(3, 1, 1))
    nodes = [
        node("Constant", [], ["k"], value=value),
        node("Constant", [], ["two"], value_float=2.0),
        node("Mul", ["x", "k"], ["a"]),
        node("Mul", ["a", "two"], ["b"]),
        node("Conv", ["b", "w"], ["y"]),
    ]
    model = make_model(nodes, {"w": samples(4, 3, 3, 3)}, {**IMAGE, "w": [4, 3, 3, 3]}, {"y": ["N", 4, 6, 6]})
    graph = apply_checked(model, X)
    assert [t.name for t in graph.inputs] == ["x"]
    assert operators(graph) == ["Mul", "Mul", "Conv"]


def test_nodes_get_names_and_keep_theirs() -> None:
    nodes = [
        node("Relu", ["x"], ["a"], name="n"),
        node("Abs", ["a"], ["b"]),
        node("Neg", ["b"], ["y"], name="n"),
    ]
    model = make_model(nodes, {}, IMAGE, {"y": ["N", 3, 8, 8]})
    graph = import_model(load_model(model))
    assert [n.name for n in graph.nodes] == ["n", "b", "n_1"]


def test_outputs_that_are_constants_or_inputs_stay() -> None:
    model = make_model(
        [node("Relu", ["x"], ["y"])],
        {"k": samples(3)},
        IMAGE,
        {"y": ["N", 3, 8, 8], "k": [3], "x": ["N", 3, 8, 8]},
    )
    graph = import_model(load_model(model))
    assert_same(run_graph(graph, X), run_reference(model, X), tolerance=0)


def test_domains_that_nothing_uses_are_not_asked_for() -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {}, IMAGE, {"y": ["N", 3, 8, 8]}, domains=["nowhere"])
    apply_checked(model, X)


def test_large_weights_are_attached_unchanged() -> None:
    weights = samples(64, 64)
    model = make_model(
        [node("MatMul", ["x", "w"], ["y"])], {"w": weights}, {"x": ["N", 64]}, {"y": ["N", 64]}
    )
    graph = apply_checked(model, {"x": samples(2, 64)})
    np.testing.assert_array_equal(graph.nodes[0].inputs[1].values, weights)


def test_an_opset_from_the_future_is_refused() -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {}, IMAGE, {"y": ["N", 3, 8, 8]}, opset=999)
    with pytest.raises(InvalidModelError, match="newer"):
        import_model(model)


def test_a_thousand_layers_are_no_recursion() -> None:
    nodes = [node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(3000)]
    model = make_model(nodes, {}, {"t0": ["N", 2]}, {"t3000": ["N", 2]})
    assert len(import_model(load_model(model)).nodes) == 3000
