"""Drawn cases that once went wrong, each with what it stood for."""

# ruff: noqa: E501 - a table

from __future__ import annotations

import pytest
from drawn_cases import Kind, build
from drawn_cases.judging import RIGHT, judge

#: source, activation, operator, place, sizes, layout, output, numbers, opset, constants, weights.
FOUND: dict[str, tuple[Kind, str]] = {
    "what overflows": (Kind("uint8 cast", "max, min by channel", "Exp", "activation", "fixed", "basic", "int8 codes of a negative zero point", "dyadic", 13, "initializers", "int8"), "refused"),
    "a softmax over all axes": (Kind("float32", "QLinear int8 odd", "QLinearSoftmax", "fork", "places", "extended", "no batch axis", "dyadic", 10, "nodes", "float"), "ok"),
    "a softmax of a fixed size": (Kind("float32", "QLinear uint8 by channel", "QLinearSoftmax", "fork", "fixed", "extended", "input too", "dyadic", 10, "initializers", "int8"), "ok"),
    "a bias beyond float16": (Kind("float16 throughout", "QDQ int16", "Where of two", "fork", "fixed", "basic", "double", "general", 19, "inputs", "int8 by channel"), "ok"),
    "a triangle of any size": (Kind("float32 quantised", "half up", "Trilu", "activation", "places", "NCHW", "mean of the batch", "general", 21, "nodes", "float"), "ok"),
    "a batch that is named inside, and shown": (Kind("float32", "cast to int32", "Resize to sizes", "readout", "places", "NHWC", "shape too", "dyadic", 11, "nodes", "float"), "ok"),
    "a batch that is named inside, and turned": (Kind("float32", "QLinear uint8 by channel", "Resize to sizes", "fork", "places", "NCHW", "transposed", "general", 15, "initializers", "int8 by channel"), "ok"),
    "a product in front of a quotient": (Kind("float32", "QLinear int8 odd", "DynamicQuantizeLinear", "fork", "one", "NCHW", "constant too", "dyadic", 23, "nodes", "int8 by channel"), "ok"),
    "scales beyond an image": (Kind("float32", "QDQ uint8 zero point", "Resize a region outside", "potential", "fixed", "NHWC", "logits", "general", 11, "initializers", "int8"), "ok"),
    "a tie that only the file has": (Kind("float32", "QLinear int8 by channel", "QLinearAveragePool SAME_UPPER", "activation", "one", "extended", "logits", "dyadic", 19, "initializers", "float"), ""),
    "a tie of sums in another order": (Kind("bool cast", "cast to uint8", "HardSwish", "fork", "batch", "NCHW", "map", "general", 23, "initializers", "float"), ""),
    "steps of several sizes, and a fixed batch that is shown": (Kind("float32 quantised", "comparisons Xor", "x times Sigmoid", "fork", "fixed", "NHWC", "shape too", "dyadic", 19, "nodes", "float"), ""),
    "a train of one time step that a Pad reads, and that is shown": (Kind("float32 quantised", "comparison", "Pad a value", "fork", "fixed", "NHWC", "bool", "dyadic", 13, "initializers", "float"), "ok"),
    "as many means over the batch as there are samples": (Kind("float32", "QLinear uint8 by channel", "Resize to sizes", "fork", "places", "extended", "mean of the batch", "general", 19, "initializers", "int8 by channel"), ""),
    "sizes beside a train of open size": (Kind("uint16 dequantised", "HardSigmoid", "Resize to a skip", "activation", "places", "basic", "uint8 codes", "general", 15, "nodes", "int8 by channel"), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_it_is_right(name: str) -> None:
    kind, expected = FOUND[name]
    case = build(kind)
    assert case is not None
    verdict = judge(case.model, case.data)
    assert verdict.kind in ((expected,) if expected else RIGHT), verdict.why
