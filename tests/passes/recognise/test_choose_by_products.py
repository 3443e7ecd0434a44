"""A choice by a mask that is no constant: products with zeros and ones, where synapses read it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from helpers_networks import dyadic

import onnx2snn
from onnx2snn.errors import ConversionError
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.choose_by_products import choose_by_products
from onnx2snn.runtime import SpikingSession

CONSTANTS: dict[str, Any] = {
    "w": dyadic(6, 8, seed=0),
    "u": dyadic(6, 8, seed=1),
    "v": dyadic(8, 3, seed=2),
    "step": np.float32(0.25),
    "other": np.float32(0.375),
    "zero": np.uint8(0),
    "nothing": np.float32(0),
    "half": np.float32(0.5),
    "much": np.float32(-1e9),
    "infinite": np.float32(-np.inf),
    "places": dyadic(8, seed=3),
    "none": np.int64(0),
}
MASK: dict[str, tuple[int, list[int | str]]] = {"m": (onnx.TensorProto.BOOL, ["N", 8])}


def model(
    nodes: list[onnx.NodeProto], inputs: dict[str, tuple[int, list[int | str]]] | None = None
) -> onnx.ModelProto:
    given = MASK if inputs is None else inputs
    read = {name for one in nodes for name in one.input}
    held = {name: value for name, value in CONSTANTS.items() if name in read}
    sizes: dict[str, list[int | str]] = {"x": ["N", 6], **{name: size for name, (_, size) in given.items()}}
    kinds = {name: kind for name, (kind, _) in given.items()}
    return make_model(nodes, held, sizes, {"y": ["N", 3]}, types=kinds)


def data(count: int = 12, **masks: np.ndarray) -> dict[str, np.ndarray]:
    chosen = np.random.default_rng(0).random((count, 8)) < 0.5
    return {"x": samples(count, 6), **(masks or {"m": chosen})}


def products() -> list[onnx.NodeProto]:
    return [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["x", "u"], ["b"])]


#: By name: what chooses, what becomes of it.
CHOICES: dict[str, tuple[list[onnx.NodeProto], list[str]]] = {
    "of two": ([node("Where", ["m", "a", "b"], ["o"])], ["Cast", "Mul", "Sub", "Mul", "Add"]),
    "twice the same": ([node("Where", ["m", "a", "a"], ["o"])], ["Cast", "Mul", "Sub", "Mul", "Add"]),
    "one is nothing": ([node("Where", ["m", "a", "nothing"], ["o"])], ["Cast", "Mul"]),
    "the other is": ([node("Where", ["m", "nothing", "a"], ["o"])], ["Cast", "Sub", "Mul"]),
    "a constant": ([node("Where", ["m", "a", "much"], ["o"])], ["Cast", "Mul", "Sub", "Mul", "Add"]),
    "places": ([node("Where", ["m", "places", "a"], ["o"])], ["Cast", "Mul", "Sub", "Mul", "Add"]),
    "infinite": ([node("Where", ["m", "a", "infinite"], ["o"])], ["Where"]),
    "of one tensor": (
        [node("Greater", ["a", "half"], ["g"]), node("Where", ["g", "a", "nothing"], ["o"])],
        ["Greater", "Where"],
    ),
    "by a signal": (
        [node("Greater", ["b", "half"], ["g"]), node("Where", ["g", "a", "nothing"], ["o"])],
        ["Greater", "Where"],
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_nothing_is_rounded(name: str) -> None:
    chosen, expected = CHOICES[name]
    source = model([*products(), *chosen, node("MatMul", ["o", "v"], ["y"])])
    inputs = data()
    graph = apply_checked(source, inputs, infer_shapes, choose_by_products)
    assert sorted(op for op in operators(graph) if op != "MatMul") == sorted(expected)


def test_what_no_synapses_read_stays() -> None:
    chosen = [*products(), node("MatMul", ["a", "v"], ["c"]), node("MatMul", ["b", "v"], ["d"])]
    source = model([*chosen, node("Where", ["m", "c", "d"], ["y"])], {"m": (onnx.TensorProto.BOOL, ["N", 3])})
    inputs = data(m=np.eye(12, 3) > 0)
    assert "Where" in operators(apply_checked(source, inputs, infer_shapes, choose_by_products))


def quantised(read: str, made: str, step: str = "step") -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", [read, step, "zero"], [f"{made}/codes"]),
        node("DequantizeLinear", [f"{made}/codes", step, "zero"], [made]),
    ]


ONE, OTHER = quantised("a", "s"), quantised("b", "t")
FLOAT, WHOLE = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
#: By name: what stands between the first and the last synapses, and the mask.
NETWORKS: dict[str, tuple[list[onnx.NodeProto], dict[str, tuple[int, list[int | str]]]]] = {
    "levels": ([*ONE, *OTHER, node("Where", ["m", "s", "t"], ["o"])], MASK),
    "levels of two grids": (
        [*ONE, *quantised("b", "t", "other"), node("Where", ["m", "s", "t"], ["o"])],
        MASK,
    ),
    "levels or none": ([*ONE, node("Where", ["m", "nothing", "s"], ["o"])], MASK),
    "levels or a number": ([*ONE, node("Where", ["m", "s", "half"], ["o"])], MASK),
    "codes": (
        [
            ONE[0],
            OTHER[0],
            node("Where", ["m", "s/codes", "t/codes"], ["c"]),
            node("DequantizeLinear", ["c", "step", "zero"], ["o"]),
        ],
        MASK,
    ),
    "currents": ([node("Where", ["m", "a", "b"], ["p"]), *quantised("p", "o")], MASK),
    "levels and a current": ([*ONE, node("Where", ["m", "s", "b"], ["p"]), *quantised("p", "o")], MASK),
    "levels, quantised again": (
        [*ONE, *OTHER, node("Where", ["m", "s", "t"], ["p"]), *quantised("p", "o", "other")],
        MASK,
    ),
    "by a number": (
        [*ONE, *OTHER, node("Greater", ["m", "half"], ["g"]), node("Where", ["g", "s", "t"], ["o"])],
        {"m": (FLOAT, ["N", 8])},
    ),
    "by a class": (
        [*ONE, *OTHER, node("Equal", ["m", "none"], ["g"]), node("Where", ["g", "s", "t"], ["o"])],
        {"m": (WHOLE, ["N", 1])},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_spikes(name: str) -> None:
    between, mask = NETWORKS[name]
    source = model([*products(), *between, node("MatMul", ["o", "v"], ["y"])], mask)
    ((kind, size),) = mask.values()
    drawn = np.random.default_rng(1).normal(0, 1, (12, int(size[1])))
    chosen = {
        onnx.TensorProto.BOOL: drawn > 0,
        FLOAT: drawn.astype(np.float32),
        WHOLE: (drawn > 0).astype(np.int64),
    }
    inputs = data(m=chosen[kind])
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    assert onnx2snn.verify(source, conversion, inputs).lossless
    expected = run_reference(source, inputs)["y"]
    for execution in ("spiking", "fused", "int8", "streaming"):
        found = SpikingSession(conversion, execution=execution).run(inputs).outputs["y"]
        np.testing.assert_array_equal(found, expected)


def test_a_choice_by_a_signal_is_refused() -> None:
    nodes = [*ONE, *OTHER, node("Greater", ["b", "half"], ["g"]), node("Where", ["g", "s", "t"], ["o"])]
    with pytest.raises(ConversionError, match="not quantised"):
        onnx2snn.convert(model([*products(), *nodes, node("MatMul", ["o", "v"], ["y"])], {}))


def test_maps_of_a_mask_for_all_channels() -> None:
    """The mask is taken against what it selects."""
    nodes = [
        node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1]),
        *ONE,
        node("Neg", ["a"], ["b"]),
        *OTHER,
        node("Where", ["m", "s", "t"], ["o"]),
        node("Conv", ["o", "k"], ["y"]),
    ]
    held = {"k": dyadic(4, 4, 3, 3, seed=0), "step": np.float32(0.25), "zero": np.uint8(0)}
    sizes: dict[str, list[int | str]] = {"x": ["N", 4, 6, 6], "m": ["N", 1, 6, 6]}
    source = make_model(nodes, held, sizes, {"y": ["N", 4, 4, 4]}, types={"m": onnx.TensorProto.BOOL})
    inputs = {"x": samples(3, 4, 6, 6), "m": samples(3, 1, 6, 6, seed=1) > 0}
    assert onnx2snn.verify(source, onnx2snn.convert(source), inputs).lossless


def test_calibrated() -> None:
    nodes = [node("Relu", ["a"], ["s"]), node("Relu", ["b"], ["t"]), node("Where", ["m", "s", "t"], ["o"])]
    source = model([*products(), *nodes, node("MatMul", ["o", "v"], ["y"])])
    inputs = data(64)
    conversion = onnx2snn.convert(source, calibrate=inputs)
    assert len(conversion.layers) == 2
    assert onnx2snn.verify(conversion.source, conversion, inputs).lossless
