"""Multiply-accumulates against brute force: what a product answers where everything is a one."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node
from helpers_operators import CASES, PARAMETERS, Case, activation

import onnx2snn
from onnx2snn.operators import of

WEIGHTED = [n for n, case in CASES.items() if len(case.nodes) == 1 and of(case.nodes[0]).weights]


def ones(case: Case) -> float:
    """The sum of all answers to ones, with ones for weights, no bias, ones where zeros are padded, and nothing cut off."""
    product = onnx.NodeProto()
    product.CopyFrom(case.nodes[0])
    transposed = product.op_type == "ConvTranspose"
    kept = [
        a for a in product.attribute if a.name not in ("pads", "auto_pad", "output_padding", "alpha", "beta")
    ]
    pads = next(
        (list(a.ints) for a in product.attribute if a.name == "pads"), [0, 0] * (len(case.before) - 1)
    )
    del product.attribute[:]
    product.attribute.extend(kept)
    a = np.ones((1, *case.before), np.float32)
    if not transposed and any(a.name == "auto_pad" for a in case.nodes[0].attribute):
        pads = same(case)
    if not transposed and any(pads):
        half = len(pads) // 2
        a = np.pad(a, [(0, 0), (0, 0), *zip(pads[:half], pads[half:], strict=True)], constant_values=1)
    product.input[:] = [name for name in product.input if name != "c"]
    constants = {"w": np.ones_like(case.constants["w"])}
    model = make_model(
        [product],
        constants,
        {"a": [*a.shape]},
        {"b": [f"b{i}" for i in range(len(case.after) + 1)]},
        opset=18,
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return float(session.run(None, {"a": a})[0].sum())


def same(case: Case) -> list[int]:
    """What SAME pads."""
    product, sizes = case.nodes[0], case.before[1:]
    strides = next((list(a.ints) for a in product.attribute if a.name == "strides"), [1] * len(sizes))
    kernel = case.constants["w"].shape[2:]
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(sizes, strides, kernel, strict=True)]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    lower = any(a.s == b"SAME_LOWER" for a in product.attribute)
    return [*more, *less] if lower else [*less, *more]


@pytest.mark.parametrize("name", WEIGHTED)
def test_as_many_as_brute_force_counts(name: str) -> None:
    case = CASES[name]
    nodes = [*activation("x", "a"), *case.nodes, *activation("b", "y")]
    shapes = {"x": ["N", *case.before]}, {"y": ["N", *case.after]}
    source = make_model(nodes, {**PARAMETERS, **case.constants}, *shapes, opset=18)
    macs = onnx2snn.convert(source).macs
    assert macs == {"ann": ones(case), "analog": ones(case), "non_spiking": 0}


def test_the_brute_force_counts() -> None:
    """A convolution of 3 × 3 on one pixel, padded: nine."""
    weights = {"w": np.zeros((1, 1, 3, 3), np.float32)}
    case = Case([node("Conv", ["a", "w"], ["b"], pads=[1, 1, 1, 1])], weights, (1, 1, 1), (1, 1, 1))
    assert ones(case) == 9
