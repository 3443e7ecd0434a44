"""Roundings that comparisons choose from: clips spelled with Where."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_activations import X, check_exact, model
from helpers_graphs import apply_checked, node, operators, samples

import onnx2snn
from onnx2snn.passes import PREPARE
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.bound_choices import bound_choices

COLUMN = np.float32([1, 2, 0.5, 4]).reshape(1, 4, 1, 1)


def chosen(
    rule: str = "Round", low: str = "zero", high: str = "two", step: str = "fine"
) -> list[onnx.NodeProto]:
    """Where(z < low, low, Where(z > high, high, step·R(z/step)))."""
    return [
        node("Div", ["z1", step], ["1"]),
        node(rule, ["1"], ["2"], "rounding"),
        node("Mul", ["2", step], ["3"]),
        node("Greater", ["z1", high], ["above"]),
        node("Where", ["above", high, "3"], ["4"]),
        node("Less", ["z1", low], ["below"]),
        node("Where", ["below", low, "4"], ["p"]),
    ]


CASES = {
    "to nearest": (model(*chosen()), [8]),
    "down": (model(*chosen("Floor")), [8]),
    "up": (model(*chosen("Ceil")), [8]),
    "below zero": (model(*chosen(low="minus")), [16]),
    "bounds by channel": (model(*chosen(high="top", step="column"), top=COLUMN, column=COLUMN / 8), [8]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_comparisons_are_a_clip(name: str) -> None:
    source, levels = CASES[name]
    check_exact(source, levels)
    graph = apply_checked(source, X, *PREPARE)
    assert operators(graph).count("Max") == operators(graph).count("Min") == 1


def test_a_bound_that_is_no_multiple_of_the_step_in_exact_arithmetic() -> None:
    """15·fl(α/15) is not α, but float32 cannot tell."""
    top = np.float32(2.7)
    nodes = [node("Div", ["z1", "step"], ["1"]), *chosen(high="top", step="step")[1:]]
    source = model(*nodes, top=top, step=top / np.float32(15))
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [15]
    assert onnx2snn.verify(source, conversion.model, {"x": samples(8, 3, 8, 8)}).lossless


STAYING = {
    "one comparison": model(*chosen()[:-2], node("Identity", ["4"], ["p"])),
}


@pytest.mark.parametrize("name", STAYING)
def test_what_the_comparisons_do_not_hide_stays(name: str) -> None:
    graph = apply_checked(STAYING[name], X, infer_shapes)
    assert operators(bound_choices(graph)) == operators(graph)
    with pytest.raises(onnx2snn.ConversionError, match="selects between other values"):
        onnx2snn.convert(STAYING[name])
