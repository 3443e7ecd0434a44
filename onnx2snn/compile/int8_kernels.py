"""Are this machine's 8-bit kernels exact? Asked once, at the extremes, before a session relies on them."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.draft import Array
from onnx2snn.compile.integers import operand
from onnx2snn.runtime.target import Target

#: Whole blocks of a kernel, and a part of one: AMX kernels of onnxruntime 1.24 err on 32 rows or more and 17 to 31 columns.
_CHANNELS, _FILTERS, _SIDE = 64, (16, 24), 6


def has_exact_integers(target: Target) -> bool:
    """Whether sums may be taken in 8-bit whole numbers where an execution will run."""
    return target.integers and integer_kernels_are_exact()


@functools.cache
def integer_kernels_are_exact() -> bool:
    """Whether onnxruntime's 8-bit convolution and product give what whole numbers give."""
    return _are_exact(signed=False)


@functools.cache
def signed_kernels_are_exact() -> bool:
    """The same of signed weights, whatever they meet: on processors that add up four products at once."""
    return _are_exact(signed=True)


def _are_exact(*, signed: bool) -> bool:
    """Whether kernels are exact at the extremes.

    Levels of 1 (spikes), 15, 127 and 255 meet weights of ±127: all of one sign, which sums to the largest numbers, and of
    both. Kernels that add pairs of products in 16 bits fail here, where an operand type lets them (x86 without VNNI).
    """
    random = np.random.default_rng(0)
    for highest, filters in itertools.product((1, 15, 127, 255), _FILTERS):
        signs = random.choice([-1, 1], (filters, _CHANNELS, 3, 3))
        signs[: filters // 4] = 1
        weights = (127 * signs).astype(np.int8)
        levels = np.full((1, _CHANNELS, _SIDE, _SIDE), highest, np.uint8)
        levels[0, ::3] = random.integers(0, highest + 1, levels[0, ::3].shape)
        if not (
            _convolution_is_exact(levels, weights, highest, signed=signed)
            and (signed or _product_is_exact(levels, weights, highest))
        ):
            return False
    return True


def _convolution_is_exact(levels: Array, weights: Array, highest: int, *, signed: bool) -> bool:
    padded = np.pad(levels.astype(np.int64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded[0], (3, 3), axis=(1, 2))
    sums = np.einsum("chwij,ocij->ohw", windows, weights.astype(np.int64))
    factor = np.float32(2.0 ** -np.ceil(np.log2(127 * highest * 9 * _CHANNELS / 200)))
    expected = np.clip(np.rint(sums.astype(np.float32) * factor), 0, 255)
    values, zero = operand(weights, highest, signed=signed)
    constants = {
        "one": np.float32(1),
        "origin": np.uint8(0),
        "weights": values,
        "scales": np.full(len(weights), factor),
        "zeros": np.full(len(weights), zero),
        "bias": np.zeros(len(weights), np.int32),
    }
    read = ["x", "one", "origin", "weights", "scales", "zeros", "one", "origin", "bias"]
    node = helper.make_node("QLinearConv", read, ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return np.array_equal(_run(node, constants, levels, TensorProto.UINT8)[0], expected)


def _product_is_exact(levels: Array, weights: Array, highest: int) -> bool:
    rows = levels.reshape(_CHANNELS, -1).T.copy()
    values, zero = operand(weights[:, :, 0, 0], highest)
    constants = {"weights": values.T, "origin": np.uint8(0), "zero": np.asarray(zero)}
    node = helper.make_node("MatMulInteger", ["x", "weights", "origin", "zero"], ["y"])
    expected = rows.astype(np.int64) @ weights[:, :, 0, 0].astype(np.int64).T
    return np.array_equal(_run(node, constants, rows, TensorProto.INT32), expected)


def _run(node: onnx.NodeProto, constants: dict[str, Any], x: Array, kind: int) -> Array:
    graph = helper.make_graph(
        [node],
        "check",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, None)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(v, order="C"), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    answer: Array = session.run(None, {"x": x})[0]
    return answer
