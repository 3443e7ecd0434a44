"""Synaptic operations that a file counts are those that its operators' matrices give, value by value."""

# ruff: noqa: E501 - a table

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_operators import CASES, PARAMETERS, Case, activation, dyadic, inputs, network, op
from helpers_paths import operations

import onnx2snn
from onnx2snn.dialect.train_shapes import shapes_of
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

ints = np.array
SHAPE = (4, 6, 6)
FURTHER: dict[str, Case] = {
    "tile": Case(op("Tile", "r"), {"r": ints([1, 1, 2, 3])}, (4, 12, 18)),
    "tile, then conv": Case([node("Tile", ["a", "r"], ["d"]), node("Conv", ["d", "w"], ["b"])], {"r": ints([1, 2, 1, 2]), "w": dyadic(3, 8, 3, 3)}, (3, 4, 10)),
    "conv with zeros": Case(op("Conv", "w"), {"w": dyadic(5, 4, 3, 3, steps=1)}, (5, 4, 4)),
    "matmul with zeros": Case(op("MatMul", "w"), {"w": dyadic(6, 5, steps=1)}, (4, 6, 5)),
    "conv of a conv": Case([node("Conv", ["a", "w"], ["d"]), node("Conv", ["d", "v"], ["b"], pads=[1, 1, 1, 1])], {"w": dyadic(2, 4, 1, 1, steps=1), "v": dyadic(3, 2, 3, 3, steps=1)}, (3, 6, 6)),
    "multiply by zeros": Case(op("Mul", "c"), {"c": np.array([[[1.0]], [[0]], [[-2]], [[0.5]]], np.float32)}, SHAPE),
    "multiply, broadcast": Case(op("Mul", "c"), {"c": np.array([[[1.0]], [[0]], [[-2]]], np.float32)}, (3, 6, 6), (1, 6, 6)),
    "divide, broadcast": Case(op("Div", "c"), {"c": np.array([[[1.0]], [[-2]]], np.float32)}, (2, 6, 6), (1, 6, 6)),
    "add, broadcast": Case(op("Add", "c"), {"c": dyadic(3, 1, 1)}, (3, 6, 6), (1, 6, 6)),
    "a mean joins a map": Case([node("GlobalAveragePool", ["a"], ["d"]), node("Conv", ["a", "w"], ["e"]), node("Add", ["d", "e"], ["b"])], {"w": dyadic(4, 4, 1, 1)}, (4, 4, 4), (4, 4, 4)),
    "a channel joins all": Case([node("Slice", ["a", "from", "to", "axes"], ["d"]), node("Sub", ["a", "d"], ["b"])], {"from": ints([1]), "to": ints([2]), "axes": ints([1])}, SHAPE),
    "expand channels": Case(op("Expand", "s"), {"s": ints([1, 4, 6, 6])}, (4, 6, 6), (1, 6, 6)),
    "one tensor twice": Case([node("Concat", ["a", "a"], ["b"], axis=1)], {}, (8, 6, 6)),
    "one tensor twice, then conv": Case([node("Concat", ["a", "a"], ["d"], axis=1), node("Conv", ["d", "w"], ["b"])], {"w": dyadic(2, 8, 3, 3)}, (2, 4, 4)),
    "one tensor twice along rows": Case([node("Neg", ["a"], ["d"]), node("Concat", ["a", "d"], ["b"], axis=-1)], {}, (4, 6, 12)),
    "where, forked": Case([node("Neg", ["a"], ["d"]), node("Where", ["m", "a", "d"], ["b"])], {"m": np.eye(6, dtype=bool)}, SHAPE),
    "where, broadcast": Case([node("Where", ["m", "a", "none"], ["b"])], {"m": np.arange(12).reshape(3, 1, 4) % 3 > 0, "none": np.float32(0)}, (3, 6, 4), (3, 6, 1)),
    "where, the mask is larger": Case([node("Where", ["m", "c", "a"], ["b"])], {"m": np.arange(4).reshape(4, 1, 1) % 2 > 0, "c": np.float32(0.5)}, (4, 6, 6), (1, 6, 6)),
    "batch norm by zero": Case(op("BatchNormalization", "g", "c", "m", "v", epsilon=0.0), {"g": np.array([1, 0, -1, 0.5], np.float32), "c": dyadic(4), "m": dyadic(4), "v": np.ones(4, np.float32)}, SHAPE),
    "pad with wrap": Case(op("Pad", "p", mode="reflect"), {"p": ints([0, 0, 2, 3, 0, 0, 1, 4])}, (4, 9, 13)),
    "pad with a number, then conv": Case([node("Pad", ["a", "p", "c"], ["d"]), node("Conv", ["d", "w"], ["b"])], {"p": ints([0, 0, 1, 1, 0, 0, 1, 1]), "c": np.float32(-1), "w": dyadic(2, 4, 3, 3)}, (2, 6, 6)),
    "gather doubles, then conv": Case([node("Gather", ["a", "i"], ["d"], axis=1), node("Conv", ["d", "w"], ["b"])], {"i": ints([3, 0, 0]), "w": dyadic(2, 3, 3, 3)}, (2, 4, 4)),
    "depth to space, columns first": Case(op("DepthToSpace", blocksize=2, mode="CRD"), {}, (1, 12, 12)),
    "reduce mean, all axes kept": Case(op("ReduceMean", "x2", keepdims=1), {"x2": ints([-1])}, (4, 6, 1)),
    "transposed conv, output shape": Case(op("ConvTranspose", "w", strides=[2, 2], output_shape=[12, 12], auto_pad="SAME_UPPER"), {"w": dyadic(4, 3, 3, 3)}, (3, 12, 12)),
    "transposed conv, dilated": Case(op("ConvTranspose", "w", dilations=[2, 1], strides=[1, 3], group=2), {"w": dyadic(4, 2, 3, 2, steps=1)}, (4, 10, 17)),
    "resize, then conv": Case([node("Resize", ["a", "", "f"], ["d"], mode="linear"), node("Conv", ["d", "w"], ["b"])], {"f": np.array([1, 1, 2, 2], np.float32), "w": dyadic(3, 4, 3, 3)}, (3, 10, 10)),
}  # fmt: skip
POOLS = {
    "": {},
    ", padded": {"pads": [1, 0, 1, 1]},
    ", padding counted": {"pads": [1, 0, 1, 1], "count_include_pad": 1},
    ", ceil mode": {"ceil_mode": 1},
    ", ceil mode, padded": {"ceil_mode": 1, "pads": [1, 0, 1, 1]},
    ", ceil mode, padding counted": {"ceil_mode": 1, "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ", same upper": {"auto_pad": "SAME_UPPER"},
    ", same lower": {"auto_pad": "SAME_LOWER"},
    ", same upper, counted": {"auto_pad": "SAME_UPPER", "count_include_pad": 1},
}
COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


def out_shape(case: Case) -> tuple[int, ...]:
    """What the operator makes, where the table does not say."""
    held = {**case.constants}
    infos = {"a": ["N", *case.before]}
    model = make_model(
        case.nodes, held, infos, {"b": ["N"] + [f"d{i}" for i in range(len(case.before))]}, opset=18
    )
    return tuple(run_reference(model, {"a": np.zeros((1, *case.before), np.float32)})["b"].shape[1:])


def pools() -> dict[str, Case]:
    found = {}
    for name, attributes in POOLS.items():
        for k, s in ((3, 2), (4, 3)):
            case = Case(op("AveragePool", kernel_shape=[k, k], strides=[s, s], **attributes), {}, ())
            found[f"average pool {k}/{s}{name}"] = Case(case.nodes, {}, out_shape(case))
    return found


def resizes() -> dict[str, Case]:
    found = {}
    for mode in ("nearest", "linear", "cubic"):
        for coordinates in COORDINATES:
            for factors in ((1.5, 0.5), (1, 3)):
                nodes = op("Resize", "", "f", mode=mode, coordinate_transformation_mode=coordinates)
                case = Case(nodes, {"f": np.array([1, 1, *factors], np.float32)}, ())
                found[f"resize {mode} {coordinates} {factors}"] = Case(
                    case.nodes, case.constants, out_shape(case)
                )
            sized = op("Resize", "", "", "s", mode=mode, coordinate_transformation_mode=coordinates)
            found[f"resize {mode} {coordinates} to a size"] = Case(
                sized, {"s": ints([1, 4, 9, 4])}, (4, 9, 4)
            )
    return found


ALL = {**CASES, **FURTHER, **pools(), **resizes()}


def check(source: onnx.ModelProto, x: dict[str, np.ndarray]) -> None:
    check_converted(onnx2snn.convert(source, check=False), x)


def check_converted(conversion: onnx2snn.Conversion, x: dict[str, np.ndarray]) -> None:
    content = conversion.model.SerializeToString()
    shapes = {
        name: tuple(int(s or 0) for s in dims[1:]) for name, dims in shapes_of(conversion.model).items()
    }
    for execution in ("spiking", "fused"):
        session = SpikingSession(content, execution=execution)
        result, levels = session.run(x), session.levels(x)
        assert levels[conversion.layers[0].name].any()
        for layer in conversion.layers:
            spikes = np.bitwise_count(levels[layer.name].astype(np.uint16)).astype(np.float64)
            expected = operations(conversion.model, shapes, layer.output, spikes)
            np.testing.assert_array_equal(
                result.synops[layer.name], expected, err_msg=f"{execution} {layer.name}"
            )


@pytest.mark.parametrize("name", ALL)
def test_operations_are_the_ways_through_the_operators(name: str) -> None:
    """Forked where the operator has other readers, too, on the way to another layer of synapses."""
    case = ALL[name]
    check(network(case, fork=name in FURTHER), inputs(case))


OPEN = {
    "average pool, ceil mode": op("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "resize, linear": op("Resize", "", "f", mode="linear"),
    "resize, cubic": op("Resize", "", "f", mode="cubic"),
    "a mean joins a map": [node("GlobalAveragePool", ["a"], ["d"]), node("Add", ["d", "a"], ["b"])],
    "a mean of neurons joins a map": [node("Conv", ["a", "v"], ["d"]), *activation("d", "e"), node("ReduceSum", ["e", "x23"], ["g"]), node("Sub", ["a", "g"], ["b"])],
    "rows joined": [node("Conv", ["a", "v"], ["d"]), *activation("d", "e"), node("Concat", ["e", "a", "e"], ["b"], axis=2)],
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN)
def test_sizes_that_are_open_are_found_while_counting(name: str) -> None:
    constants = {
        **PARAMETERS,
        "f": np.array([1, 1, 1.5, 2], np.float32),
        "v": dyadic(4, 4, 1, 1),
        "x23": np.array([2, 3]),
        "w0": dyadic(4, 2, 1, 1, seed=7, steps=1),
        "w1": dyadic(3, 4, 1, 1, seed=8),
    }
    nodes = [node("Conv", ["x", "w0"], ["z"]), *activation("z", "a"), *OPEN[name], *activation("b", "d2"), node("Conv", ["d2", "w1"], ["y"])]  # fmt: skip
    fixed, free = (
        onnx2snn.convert(
            make_model(nodes, constants, {"x": ["N", 2, *sizes]}, {"y": ["N", 3, *after]}, opset=18)
        )
        for sizes, after in (((4, 6), ("P", "Q")), (("H", "W"), ("P", "Q")))
    )
    x = {"x": dyadic(3, 2, 4, 6, seed=5)}
    check_converted(fixed, x)
    found, expected = (SpikingSession(c.model.SerializeToString()).run(x).synops for c in (free, fixed))
    for layer, values in expected.items():
        np.testing.assert_array_equal(found[layer], values)
