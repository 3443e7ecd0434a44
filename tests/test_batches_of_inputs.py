"""One input fixes its batch, another leaves it open: that many samples are presented at a time."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_networks import dyadic

import onnx2snn
from onnx2snn.errors import ConversionError, InputError
from onnx2snn.model.reference import make_runner
from onnx2snn.runtime import SpikingSession

CONSTANTS = {
    "w": dyadic(6, 8, seed=0),
    "v": dyadic(8, 3, seed=1),
    "step": np.float32(0.25),
    "zero": np.uint8(0),
}


def neurons(read: str, made: str) -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", [read, "step", "zero"], [f"{made}/codes"]),
        node("DequantizeLinear", [f"{made}/codes", "step", "zero"], [made]),
    ]


def first(read: str, made: str) -> onnx.NodeProto:
    return node("MatMul", [read, "w"], [made])


#: By name: sizes of the second input, the nodes, and whether it has an output of its own.
BESIDE: dict[str, tuple[list[int], list[onnx.NodeProto], bool]] = {
    "a current": ([8], [first("x", "c"), node("Add", ["c", "b"], ["d"]), *neurons("d", "a")], False),
    "neurons": (
        [6],
        [
            first("x", "c"),
            first("b", "e"),
            *neurons("e", "f"),
            node("Add", ["c", "f"], ["d"]),
            *neurons("d", "a"),
        ],
        False,
    ),
    "a network of its own": (
        [6],
        [
            first("x", "c"),
            *neurons("c", "a"),
            first("b", "e"),
            *neurons("e", "f"),
            node("MatMul", ["f", "v"], ["z"]),
        ],
        True,
    ),
}


def network(name: str, batch: int, *, fixed_first: bool) -> onnx.ModelProto:
    sizes, nodes, apart = BESIDE[name]
    inputs: dict[str, list[int | str]] = {"x": ["N", 6], "b": [batch, *sizes]}
    if fixed_first:
        inputs = dict(reversed(inputs.items()))
    outputs: dict[str, list[int | str]] = {"y": ["N", 3], **({"z": [batch, 3]} if apart else {})}
    return make_model([*nodes, node("MatMul", ["a", "v"], ["y"])], CONSTANTS, inputs, outputs)


@pytest.mark.parametrize("fixed_first", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", BESIDE)
def test_as_many_are_presented_as_the_one_takes(name: str, batch: int, *, fixed_first: bool) -> None:
    source = network(name, batch, fixed_first=fixed_first)
    conversion = onnx2snn.convert(source)
    assert onnx2snn.verify(source, conversion).lossless
    given = {"x": samples(6, 6), "b": samples(6, *BESIDE[name][0], seed=1)}
    assert onnx2snn.verify(source, conversion, given).lossless
    expected = make_runner(source)(given)
    for execution in ("spiking", "fused"):
        found = SpikingSession(conversion, execution=execution).run(given).outputs
        for output, value in expected.items():
            np.testing.assert_array_equal(found[output], value)


def test_one_that_has_fewer_samples_is_named() -> None:
    session = SpikingSession(onnx2snn.convert(network("a current", 1, fixed_first=False)))
    with pytest.raises(InputError, match="x: 6, b: 1"):
        session.run({"x": samples(6, 6), "b": samples(1, 8)})


def test_several_batches_are_refused() -> None:
    source = network("a current", 1, fixed_first=False)
    source.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(ConversionError, match=r"fix batches of several sizes(.|\n)*x: \[2, 6\], b: \[1, 8\]"):
        onnx2snn.convert(source)
