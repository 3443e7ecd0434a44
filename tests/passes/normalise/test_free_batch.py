"""A batch that the file fixes is free inside; what works on one size only is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, assert_same, make_model, node, operators, run_graph, samples

from onnx2snn.analysis.facts import facts
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import constant_input
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import run_reference
from onnx2snn.operators.batch import Samples, regrouped
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise import NORMALISE
from onnx2snn.passes.normalise.fold_constants import fold_constants
from onnx2snn.passes.normalise.free_batch import free_batch
from onnx2snn.passes.normalise.narrow_constants import narrow_constants


def reshape(source: str, sizes: str, result: str) -> onnx.NodeProto:
    return node("Reshape", [source, sizes], [result])


def case(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], x: list[Any], y: list[Any]
) -> onnx.ModelProto:
    arrays = {k: np.array(v) if isinstance(v, list) else v for k, v in constants.items()}
    return make_model(nodes, arrays, {"x": x}, {"y": y}, opset=18)


FIXED = {
    "flatten": case([reshape("x", "s", "y")], {"s": [4, 48]}, [4, 3, 4, 4], [4, 48]),
    "one unknown size": case([reshape("x", "s", "y")], {"s": [4, -1]}, [4, 3, 4, 4], [4, 48]),
    "one sample": case([reshape("x", "s", "y")], {"s": [1, 48]}, [1, 3, 4, 4], [1, 48]),
    "samples and positions in one axis": case(
        [reshape("x", "s", "r"), node("MatMul", ["r", "w"], ["m"]), reshape("m", "t", "y")],
        {"s": [64, 8], "w": samples(8, 5), "t": [4, 16, 5]},
        [4, 16, 8],
        [4, 16, 5],
    ),
    "the batch on another axis": case(
        [
            node("Transpose", ["x"], ["a"], perm=[1, 0, 2]),
            reshape("a", "s", "r"),
            node("Transpose", ["r"], ["y"], perm=[1, 0, 3, 2]),
        ],
        {"s": [3, 4, 2, 2]},
        [4, 3, 4],
        [4, 3, 2, 2],
    ),
    "channel shuffle": case(
        [reshape("x", "s", "r"), node("Transpose", ["r"], ["a"], perm=[0, 2, 1, 3, 4]), reshape("a", "t", "y")],
        {"s": [1, 2, 3, 4, 4], "t": [1, -1, 4, 4]},
        [1, 6, 4, 4],
        [1, 6, 4, 4],
    ),
    "expand": case(
        [node("Expand", ["x", "s"], ["y"])], {"s": [4, 3, 5]}, [4, 3, 1], [4, 3, 5]
    ),
    "resize to sizes": case(
        [node("Resize", ["x", "", "", "s"], ["y"], mode="linear")], {"s": [4, 3, 16, 8]}, [4, 3, 8, 8], [4, 3, 16, 8]
    ),
    "a constant for every sample": case(
        [node("Add", ["x", "k"], ["y"])],
        {"k": np.broadcast_to(samples(1, 3, 2), (4, 3, 2)).copy()},
        [4, 3, 2],
        [4, 3, 2],
    ),
    "a class token, repeated": case(
        [node("Concat", ["k", "x"], ["y"], axis=1)],
        {"k": np.broadcast_to(samples(1, 1, 8), (2, 1, 8)).copy()},
        [2, 3, 8],
        [2, 4, 8],
    ),
    "a class token of one sample": case(
        [node("Concat", ["x", "k"], ["y"], axis=-2)], {"k": samples(1, 1, 8)}, [1, 3, 8], [1, 4, 8]
    ),
    "a token beside rows with the batch behind": case(
        [node("Transpose", ["x"], ["a"], perm=[1, 0, 2]), node("Concat", ["k", "a"], ["c"], axis=0),
         node("Transpose", ["c"], ["y"], perm=[1, 0, 2])],
        {"k": np.broadcast_to(samples(1, 1, 8), (1, 2, 8)).copy()},
        [2, 3, 8],
        [2, 4, 8],
    ),
    "the batch is squeezed away": case(
        [node("Squeeze", ["x", "a"], ["s"]), node("Relu", ["s"], ["y"])], {"a": [0]}, [1, 3, 8], [3, 8]
    ),
    "squeezed away and put back": case(
        [
            node("Squeeze", ["x", "a"], ["s"]),
            node("MatMul", ["s", "w"], ["m"]),
            node("Unsqueeze", ["m", "a"], ["y"]),
        ],
        {"a": [0], "w": samples(8, 5)},
        [1, 3, 8],
        [1, 3, 5],
    ),
    "flattened from axis 0": case([node("Flatten", ["x"], ["y"], axis=0)], {}, [1, 3, 8], [1, 24]),
    "flattened from axis 2": case([node("Flatten", ["x"], ["y"], axis=2)], {}, [1, 3, 8], [3, 8]),
    "squeezed": case(
        [
            node("ReduceMean", ["x", "a"], ["r"], keepdims=0),
            node("Unsqueeze", ["r", "b"], ["u"]),
            reshape("u", "s", "y"),
        ],
        {"a": [2, 3], "b": [0], "s": [4, 3]},
        [4, 3, 4, 4],
        [4, 3],
    ),
}  # fmt: skip


def inputs_of(model: onnx.ModelProto, copies: int = 1) -> dict[str, np.ndarray]:
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    return {"x": np.concatenate([samples(*shape, seed=seed) for seed in range(copies)])}


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_batch_is_freed(name: str) -> None:
    model = FIXED[name]
    graph = apply_checked(model, inputs_of(model), fold_constants, narrow_constants, free_batch)
    assert graph.inputs[0].shape[0] == "N"
    whole = inputs_of(model, copies=3)
    parts = [run_reference(model, inputs_of_part)["y"] for inputs_of_part in split(whole, 3)]
    assert_same(run_graph(graph, whole), {"y": np.concatenate(parts)}, tolerance=1e-6)


def split(inputs: dict[str, np.ndarray], parts: int) -> list[dict[str, np.ndarray]]:
    return [{"x": part} for part in np.split(inputs["x"], parts)]


DYNAMIC = {
    "flatten by its own shape": [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["b"]),
        node("Unsqueeze", ["b", "zeros"], ["b1"]),
        node("Concat", ["b1", "rest"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["y"]),
    ],
    "resize by its own shape": [
        node("Shape", ["x"], ["s"], end=2),
        node("Concat", ["s", "twice"], ["t"], axis=0),
        node("Resize", ["x", "", "", "t"], ["r"], mode="nearest"),
        node("Flatten", ["r"], ["y"]),
    ],
}


@pytest.mark.parametrize("name", DYNAMIC)
def test_sizes_computed_from_the_batch_become_constant(name: str) -> None:
    constants = {
        "zero": np.array(0),
        "zeros": np.array([0]),
        "rest": np.array([-1]),
        "twice": np.array([16, 16]),
    }
    model = make_model(DYNAMIC[name], constants, {"x": ["batch", 3, 8, 8]}, {"y": ["batch", "features"]})
    graph = apply_checked(model, {"x": samples(2, 3, 8, 8)}, *NORMALISE)
    assert "Shape" not in operators(graph)
    assert_same(
        run_graph(graph, {"x": samples(5, 3, 8, 8)}),
        run_reference(model, {"x": samples(5, 3, 8, 8)}),
        tolerance=0,
    )


def test_a_constant_of_the_inputs_shape_is_read_narrow() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("ConstantOfShape", ["s"], ["k"], value=onnx.numpy_helper.from_array(np.array([2], np.float32))),
        node("Mul", ["x", "k"], ["y"]),
    ]
    model = make_model(nodes, {}, {"x": ["N", 3, 8, 8]}, {"y": ["N", 3, 8, 8]})
    graph = apply_checked(model, {"x": samples(2, 3, 8, 8)}, *NORMALISE)
    assert operators(graph) == ["Mul"]


ONE_SIZE_ONLY = {
    "constants beside samples": case(
        [node("Concat", ["x", "k"], ["y"], axis=1)], {"k": samples(2, 3, 8)}, [2, 3, 8], [2, 6, 8]
    ),
    "samples are mixed": case([reshape("x", "s", "y")], {"s": [2, 12]}, [4, 3, 2], [2, 12]),
}


@pytest.mark.parametrize("name", ONE_SIZE_ONLY)
def test_what_works_on_one_size_only_is_refused(name: str) -> None:
    graph = import_model(load_model(ONE_SIZE_ONLY[name]))
    with pytest.raises(ConversionError, match="batch") as caught:
        free_batch(graph)
    assert "dynamic" in str(caught.value)


def test_resizes_to_sizes_that_are_computed_when_the_network_runs() -> None:
    model = case(
        [
            node("Shape", ["x"], ["d"], start=2),
            node("Mul", ["d", "two"], ["e"]),
            node("Concat", ["s", "e"], ["f"], axis=0),
            node("Resize", ["x", "", "", "f"], ["y"], mode="linear"),
        ],
        {"two": [2, 1], "s": [1, 3]},
        [1, 3, "H", "W"],
        [1, 3, "2H", "W"],
    )
    x = samples(3, 3, 4, 5)
    graph = apply_checked(model, {"x": x[:1]}, fold_constants, free_batch)
    parts = [run_reference(model, {"x": x[i : i + 1]})["y"] for i in range(3)]
    assert_same(run_graph(graph, {"x": x}), {"y": np.concatenate(parts)}, tolerance=1e-6)


def test_a_free_spelling_stays() -> None:
    model = case([reshape("x", "s", "y")], {"s": [0, -1]}, ["N", 3, 4], ["N", 12])
    graph = apply_checked(model, {"x": samples(2, 3, 4)}, free_batch)
    np.testing.assert_array_equal(constant_input(graph.nodes[0], 1), [0, -1])
    assert to_model(free_batch(graph)) == to_model(graph)


@pytest.mark.parametrize(
    ("before", "axis", "after", "expected"),
    [
        ([4, 3, 8], 0, [4, 24], 0),
        ([4, 3, 8], 0, [12, 8], 0),
        ([3, 4, 8], 1, [3, 4, 2, 4], 1),
        ([3, 4, 8], 1, [3, 32], 1),
        (["N", 3, 8], 0, ["M", 24], 0),
        ([3, "N", 8], 1, [3, "N", 2, 4], 1),
        ([3, 4], 1, [2, 6], None),
        (["C", 4], 1, ["C", 4], None),
    ],
)
def test_where_a_reshape_moves_the_batch(before: Any, axis: int, after: Any, expected: int | None) -> None:
    found = regrouped(before, Samples(axis), after)
    assert (None if found is None else found.axis) == expected


def test_the_batch_axis_is_followed() -> None:
    nodes = [
        node("Transpose", ["x"], ["a"], perm=[1, 0, 2]),
        node("Unsqueeze", ["a", "zero"], ["b"]),
        node("ReduceSum", ["b", "zero"], ["c"], keepdims=0),
        node("Gather", ["c", "one"], ["d"], axis=0),
        node("Relu", ["d"], ["y"]),
        node("Gather", ["c", "one"], ["e"], axis=1),
    ]
    constants = {"zero": np.array([0]), "one": np.array(1)}
    model = make_model(nodes, constants, {"x": ["N", 3, 8]}, {"y": ["N", 8], "e": [3, 8]})
    axes = facts(import_model(load_model(model))).batch_axes
    assert axes == {"x": 0, "a": 1, "b": 2, "c": 1, "d": 0, "y": 0}
