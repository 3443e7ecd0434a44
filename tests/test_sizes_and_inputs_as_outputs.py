"""Outputs that no value decides, but how many samples there are; and outputs that are inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_networks import dyadic

import onnx2snn
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.errors import InputError
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

WHOLE, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
SHAPE = node("Shape", ["x"], ["s"])
#: By name: what makes the output ``o``, its size, and whether it says how many samples there are.
SIZES: dict[str, tuple[list[onnx.NodeProto], list[int | str], bool]] = {
    "the shape": ([node("Shape", ["x"], ["o"])], [4], True),
    "the number of samples": ([node("Shape", ["x"], ["o"], end=1)], [1], True),
    "twice the number": (
        [SHAPE, node("Gather", ["s", "none"], ["n"]), node("Mul", ["n", "two"], ["o"])],
        [],
        True,
    ),
    "numbers of the samples": (
        [SHAPE, node("Gather", ["s", "none"], ["n"]), node("Range", ["none", "n", "one"], ["o"])],
        ["N"],
        True,
    ),
    "all entries": ([node("Size", ["x"], ["o"])], [], True),
    "height and width": ([node("Shape", ["x"], ["o"], start=2)], [2], False),
    "twice the height": (
        [SHAPE, node("Gather", ["s", "two"], ["n"]), node("Mul", ["n", "two"], ["o"])],
        [],
        False,
    ),
}


def network(further: list[onnx.NodeProto], outputs: dict[str, list[int | str]], kind: int) -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "step", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "step", "zero"], ["a"]),
        node("GlobalAveragePool", ["a"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "v"], ["y"]),
        *further,
    ]
    held: dict[str, Any] = {"w": dyadic(4, 2, 3, 3, seed=0), "v": dyadic(4, 3, seed=1)}
    held |= {"step": np.float32(0.25), "zero": np.uint8(0)}
    held |= {"none": np.int64(0), "one": np.int64(1), "two": np.int64(2)}
    kinds = dict.fromkeys(outputs, kind) if kind != FLOAT else {}
    return make_model(nodes, held, {"x": ["N", 2, "H", "W"]}, {"y": ["N", 3], **outputs}, types=kinds)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_all_samples(name: str) -> None:
    further, size, counts = SIZES[name]
    source = network(further, {"o": size}, WHOLE)
    conversion = onnx2snn.convert(source)
    x = samples(7, 2, 6, 6)
    assert onnx2snn.verify(source, conversion, {"x": x}).lossless
    expected = run_reference(source, {"x": x})["o"]
    for execution in ("spiking", "fused", "streaming"):
        found = SpikingSession(conversion, execution=execution, chunk=3).run(x).outputs["o"]
        np.testing.assert_array_equal(found, expected)
    onnx2snn.compile(conversion, execution="step")  # which is checked
    assert ("o" in read_layer_table(conversion.model).get("sample_axes", {})) is counts


def test_an_input_that_is_an_output() -> None:
    """A file has it; a pipeline answers with that of an earlier sample, and says so."""
    source = network([], {"x": ["N", 2, "H", "W"]}, FLOAT)
    conversion = onnx2snn.convert(source)
    x = samples(7, 2, 6, 6)
    assert onnx2snn.verify(source, conversion, {"x": x}).lossless
    for execution in ("spiking", "fused"):
        found = SpikingSession(conversion, execution=execution, chunk=3).run(x).outputs
        np.testing.assert_array_equal(found["x"], x)
    with pytest.raises(InputError, match="an Identity in the source"):
        onnx2snn.compile(conversion, execution="step")


def test_a_name_of_its_own_helps() -> None:
    named = network([node("Identity", ["x"], ["o"])], {"o": ["N", 2, "H", "W"]}, FLOAT)
    x = samples(7, 2, 6, 6)
    found = SpikingSession(onnx2snn.convert(named), execution="streaming").run(x).outputs
    np.testing.assert_array_equal(found["o"], x)
