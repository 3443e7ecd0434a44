"""Linear operators between two layers of neurons, one network for each.

Weights and steps are dyadic: every sum is exact in float32, and ties are frequent.
"""

# ruff: noqa: E501 - a table

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from helpers_graphs import make_model, node, samples


def dyadic(*shape: int, seed: int = 0, steps: int = 4) -> np.ndarray:
    """Multiples of 1/steps: sums of them are exact in float32, and half-way cases are frequent."""
    return (np.round(samples(*shape, seed=seed) * steps) / steps).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """Nodes from ``a`` (levels of shape ``before``) to ``b`` (shape ``after``)."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, Any]
    after: tuple[int, ...]
    before: tuple[int, ...] = (4, 6, 6)


def op(kind: str, *constants: str, **attributes: Any) -> list[onnx.NodeProto]:
    return [node(kind, ["a", *constants], ["b"], **attributes)]


ints = np.array
SHAPE_OF_A = (4, 6, 6)
CASES: dict[str, Case] = {
    "conv": Case(op("Conv", "w", "c"), {"w": dyadic(5, 4, 3, 3), "c": dyadic(5)}, (5, 4, 4)),
    "conv padded": Case(op("Conv", "w", "c", pads=[1, 0, 2, 1]), {"w": dyadic(5, 4, 3, 3), "c": dyadic(5)}, (5, 7, 5)),
    "conv strided, dilated": Case(op("Conv", "w", strides=[2, 1], dilations=[1, 2]), {"w": dyadic(5, 4, 2, 3)}, (5, 3, 2)),
    "conv grouped": Case(op("Conv", "w", group=2), {"w": dyadic(6, 2, 3, 3)}, (6, 4, 4)),
    "conv depthwise": Case(op("Conv", "w", group=4, auto_pad="SAME_UPPER"), {"w": dyadic(4, 1, 3, 3)}, (4, 6, 6)),
    "conv same lower": Case(op("Conv", "w", auto_pad="SAME_LOWER", strides=[2, 2]), {"w": dyadic(5, 4, 3, 3)}, (5, 3, 3)),
    "conv 1-d": Case(op("Conv", "w", pads=[1, 1]), {"w": dyadic(5, 4, 3)}, (5, 9), (4, 9)),
    "conv 3-d": Case(op("Conv", "w", pads=[1, 0, 0, 1, 0, 0]), {"w": dyadic(3, 2, 3, 2, 2)}, (3, 4, 3, 3), (2, 4, 4, 4)),
    "transposed conv": Case(op("ConvTranspose", "w", "c", strides=[2, 2], output_padding=[1, 0]), {"w": dyadic(4, 3, 3, 3), "c": dyadic(3)}, (3, 14, 13)),
    "transposed conv, grouped and padded": Case(op("ConvTranspose", "w", group=2, pads=[1, 1, 0, 0]), {"w": dyadic(4, 2, 3, 3)}, (4, 7, 7)),
    "gemm": Case(op("Gemm", "w", "c", transB=1), {"w": dyadic(5, 7), "c": dyadic(5)}, (5,), (7,)),
    "gemm scaled": Case(op("Gemm", "w", "c", alpha=0.5, beta=2.0), {"w": dyadic(7, 5), "c": dyadic(1, 5)}, (5,), (7,)),
    "matmul from the right": Case(op("MatMul", "w"), {"w": dyadic(6, 5)}, (4, 6, 5)),
    "matmul from the left": Case([node("MatMul", ["w", "a"], ["b"])], {"w": dyadic(5, 6)}, (4, 5, 6)),
    "batch norm": Case(op("BatchNormalization", "g", "c", "m", "v", epsilon=0.0), {"g": dyadic(4, seed=3), "c": dyadic(4), "m": dyadic(4), "v": np.array([1, 4, 0.25, 1], np.float32)}, SHAPE_OF_A),
    "add a constant": Case(op("Add", "c"), {"c": dyadic(4, 1, 1)}, SHAPE_OF_A),
    "add a constant by position": Case(op("Add", "c"), {"c": dyadic(1, 6, 6)}, SHAPE_OF_A),
    "subtract from a constant": Case([node("Sub", ["c", "a"], ["b"])], {"c": np.float32(1.5)}, SHAPE_OF_A),
    "multiply by a constant": Case(op("Mul", "c"), {"c": dyadic(4, 1, 1)}, SHAPE_OF_A),
    "divide by a constant": Case(op("Div", "c"), {"c": np.float32(-0.5)}, SHAPE_OF_A),
    "negate": Case(op("Neg"), {}, SHAPE_OF_A),
    "sum of branches": Case([node("Mul", ["a", "c"], ["d"]), node("Sum", ["a", "d", "a"], ["b"])], {"c": np.float32(0.5)}, SHAPE_OF_A),
    "mean of branches": Case([node("Neg", ["a"], ["d"]), node("Mul", ["a", "c"], ["e"]), node("Mean", ["a", "d", "e", "a"], ["b"])], {"c": np.float32(0.5)}, SHAPE_OF_A),
    "difference of branches": Case([node("Conv", ["a", "w"], ["d"]), node("Sub", ["a", "d"], ["b"])], {"w": dyadic(4, 4, 1, 1)}, SHAPE_OF_A),
    "average pool": Case(op("AveragePool", kernel_shape=[2, 2], strides=[2, 2]), {}, (4, 3, 3)),
    "average pool, padding counted": Case(op("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1), {}, (4, 6, 6)),
    "average pool, padding not counted": Case(op("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 1]), {}, (4, 6, 6)),
    "average pool, ceil mode": Case(op("AveragePool", kernel_shape=[4, 4], strides=[4, 4], ceil_mode=1), {}, (4, 2, 2)),
    "global average pool": Case(op("GlobalAveragePool"), {}, (4, 1, 1), (4, 4, 4)),
    "reduce mean": Case(op("ReduceMean", "x2", keepdims=0), {"x2": ints([2, 3])}, (4,), (4, 4, 4)),
    "reduce sum over channels": Case(op("ReduceSum", "x1", keepdims=1), {"x1": ints([1])}, (1, 6, 6)),
    "max pool": Case(op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]), {}, (4, 3, 3)),
    "max pool, padded": Case(op("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]), {}, (4, 3, 3)),
    "max pool, dilated, ceil mode": Case(op("MaxPool", kernel_shape=[2, 2], dilations=[2, 2], strides=[3, 3], ceil_mode=1), {}, (4, 2, 2)),
    "global max pool": Case(op("GlobalMaxPool"), {}, (4, 1, 1)),
    "reduce max": Case(op("ReduceMax", "x2", keepdims=0), {"x2": ints([2, 3])}, (4,)),
    "concat": Case([node("Conv", ["a", "w"], ["d"]), node("Concat", ["a", "d"], ["b"], axis=1)], {"w": dyadic(2, 4, 1, 1)}, (6, 6, 6)),
    "split": Case([node("Split", ["a", "s"], ["d", "e"], axis=1), node("Add", ["d", "e"], ["b"])], {"s": ints([2, 2])}, (2, 6, 6)),
    "slice": Case(op("Slice", "from", "to", "axes", "step"), {"from": ints([1, 5]), "to": ints([6, 0]), "axes": ints([2, 3]), "step": ints([2, -2])}, (4, 3, 3)),
    "gather": Case(op("Gather", "i", axis=1), {"i": ints([3, 0, 0])}, (3, 6, 6)),
    "gather one": Case(op("Gather", "i", axis=2), {"i": np.array(-1)}, (4, 6)),
    "pad with zeros": Case(op("Pad", "p"), {"p": ints([0, 0, 1, 0, 0, 0, 0, 2])}, (4, 7, 8)),
    "pad with a number": Case(op("Pad", "p", "c"), {"p": ints([0, 0, 1, 1, 0, 0, 1, 1]), "c": np.float32(0.75)}, (4, 8, 8)),
    "pad by reflection": Case(op("Pad", "p", mode="reflect"), {"p": ints([0, 0, 2, 1, 0, 0, 0, 1])}, (4, 8, 8)),
    "pad by the edge": Case(op("Pad", "p", mode="edge"), {"p": ints([0, 0, 2, 1, 0, 0, 0, 1])}, (4, 8, 8)),
    "reshape": Case(op("Reshape", "s"), {"s": ints([0, 2, -1])}, (2, 72)),
    "flatten": Case(op("Flatten"), {}, (144,)),
    "transpose": Case(op("Transpose", perm=[0, 3, 1, 2]), {}, (6, 4, 6)),
    "squeeze": Case(op("Squeeze", "x1"), {"x1": ints([1])}, (6, 6), (1, 6, 6)),
    "unsqueeze": Case(op("Unsqueeze", "x1"), {"x1": ints([1])}, (1, 4, 6, 6)),
    "expand": Case(op("Expand", "s"), {"s": ints([1, 4, 6, 6])}, (4, 6, 6), (1, 6, 6)),
    "resize, nearest": Case(op("Resize", "", "f", mode="nearest"), {"f": np.array([1, 1, 2, 2], np.float32)}, (4, 12, 12)),
    "resize, linear": Case(op("Resize", "", "f", mode="linear"), {"f": np.array([1, 1, 2, 2], np.float32)}, (4, 12, 12)),
    "resize, beyond the image": Case(op("Resize", "roi", "", "to", mode="linear", axes=[2, 3], coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=0.75), {"roi": np.array([0.25, 0, 1.5, 1], np.float32), "to": ints([5, 6])}, (4, 5, 6)),
    "depth to space": Case(op("DepthToSpace", blocksize=2), {}, (1, 12, 12)),
    "space to depth": Case(op("SpaceToDepth", blocksize=2), {}, (16, 3, 3)),
    "channel shuffle": Case([node("Reshape", ["a", "s"], ["d"]), node("Transpose", ["d"], ["e"], perm=[0, 2, 1, 3, 4]), node("Reshape", ["e", "t"], ["b"])], {"s": ints([0, 2, 2, 6, 6]), "t": ints([0, 4, 6, 6])}, SHAPE_OF_A),
    "identity and dropout": Case([node("Identity", ["a"], ["d"]), node("Dropout", ["d"], ["b"])], {}, SHAPE_OF_A),
    "lower triangle": Case(op("Trilu", "k", upper=0), {"k": np.int64(1)}, SHAPE_OF_A),
    "upper triangle": Case(op("Trilu"), {}, SHAPE_OF_A),
    "where by position": Case([node("Where", ["m", "a", "c"], ["b"])], {"m": np.eye(6, dtype=bool), "c": np.float32(0.5)}, SHAPE_OF_A),
}  # fmt: skip


def activation(source: str, result: str) -> list[onnx.NodeProto]:
    """QCFS, K = 5, θ = 1/2."""
    steps = [f"{result}/{i}" for i in range(4)]
    return [
        node("Mul", [source, "two"], [steps[0]]),
        node("Add", [steps[0], "half"], [steps[1]]),
        node("Floor", [steps[1]], [steps[2]]),
        node("Clip", [steps[2], "zero", "five"], [steps[3]]),
        node("Mul", [steps[3], "half"], [result]),
    ]


PARAMETERS = {name: np.float32(v) for name, v in {"two": 2, "half": 0.5, "zero": 0, "five": 5}.items()}


def network(case: Case, *, fork: bool) -> onnx.ModelProto:
    """Weights, neurons, the operator, neurons, weights. ``fork``: all tensors between have another reader or are outputs."""
    channels, *spatial = case.before
    dims = len(spatial)
    first = [node("Conv", ["x", "w0"], ["z"])] if dims else [node("MatMul", ["x", "w0"], ["z"])]
    w0 = dyadic(channels, 2, *[1] * dims, seed=7, steps=1) if dims else dyadic(3, channels, seed=7, steps=1)
    w0[w0 == 0] = 1
    size = math.prod(case.after)
    tail = [
        *activation("b", "d2"),
        node("Flatten", ["d2"], ["flat"]),
        node("MatMul", ["flat", "w1"], ["y"]),
    ]
    outputs: dict[str, list[int | str]] = {"y": ["N", 3]}
    constants = {**PARAMETERS, **case.constants, "w0": w0, "w1": dyadic(size, 3, seed=8)}
    if fork:
        tail += [node("Flatten", ["b"], ["flat2"]), node("MatMul", ["flat2", "w2"], ["u"])]
        constants["w2"] = dyadic(size, 2, seed=9)
        outputs |= {"u": ["N", 2], "a": ["N", *case.before], "d2": ["N", *case.after]}
    inputs: dict[str, list[int | str]] = {"x": ["N", 2, *spatial] if dims else ["N", 3]}
    nodes = [*first, *activation("z", "a"), *case.nodes, *tail]
    return make_model(nodes, constants, inputs, outputs, opset=18)


def inputs(case: Case) -> dict[str, np.ndarray]:
    return {"x": dyadic(6, *((2, *case.before[1:]) if len(case.before) > 1 else (3,)), seed=5)}
