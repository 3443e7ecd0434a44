"""In which of several intervals a value lies is a staircase, however exporters write it (torch.bucketize)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from helpers_networks import dyadic

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.pick_along_first_axis import pick_along_first_axis
from onnx2snn.passes.normalise.spell_operators import spell_operators

BOUNDS = np.array([-1, -0.5, 0, 0.25, 1, 1.5, 2], np.float32)
WHOLE, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
Written = tuple[list[onnx.NodeProto], dict[str, Any]]


def behind(
    comparison: str = "Greater", kind: int = WHOLE, *, keep: bool = False, bounds: np.ndarray = BOUNDS
) -> Written:
    """An axis behind all others, of the boundaries."""
    nodes = [
        node("Unsqueeze", ["h", "last"], ["u"]),
        node(comparison, ["u", "b"], ["c"]),
        node("Cast", ["c"], ["n"], to=kind),
        node("ReduceSum", ["n", "last"], ["kept" if keep else "k"], keepdims=int(keep)),
    ]
    return [*nodes, *([node("Squeeze", ["kept", "last"], ["k"])] if keep else [])], {"b": bounds}


def in_front(*, right: bool) -> Written:
    """As torch's script exporter writes it: boundaries along an axis in front, widened to all samples."""
    held = [node("Less", ["h", "wide"], ["l"]), node("Not", ["l"], ["c"])]
    nodes = [
        node("Shape", ["h"], ["sizes"]),
        node("Concat", ["number", "sizes"], ["all"], axis=0),
        node("Expand", ["b", "all"], ["wide"]),
        *(held if right else [node("Greater", ["h", "wide"], ["c"])]),
        node("Cast", ["c"], ["n"], to=WHOLE),
        node("ReduceSum", ["n", "none"], ["k"], keepdims=0),
    ]
    return nodes, {"b": BOUNDS.reshape(-1, 1, 1), "number": np.array([7])}


def searched() -> Written:
    """As torch's newer exporter writes it: a binary search, places and ends widened to all samples."""
    nodes = [
        node("Shape", ["h"], ["sizes"]),
        node("Expand", ["zero", "sizes"], ["low"]),
        node("Add", ["low", "seven"], ["high"]),
    ]
    low, high = "low", "high"
    for i in range(3):
        nodes += [
            node("Sub", [high, low], [f"between{i}"]),
            node("Div", [f"between{i}", "two"], [f"half{i}"]),
            node("Add", [low, f"half{i}"], [f"middle{i}"]),
            node("Unsqueeze", [f"middle{i}", "last"], [f"index{i}"]),
            node("GatherND", ["b", f"index{i}"], [f"bound{i}"]),
            node("GreaterOrEqual", [f"bound{i}", "h"], [f"left{i}"]),
            node("Add", [f"middle{i}", "one"], [f"next{i}"]),
            node("Where", [f"left{i}", low, f"next{i}"], [f"low{i}"]),
            node("Where", [f"left{i}", f"middle{i}", high], [f"high{i}"]),
        ]
        low, high = f"low{i}", f"high{i}"
    held = {"zero": np.int64(0), "one": np.int64(1), "two": np.int64(2), "seven": np.int64(7), "b": BOUNDS}
    return [*nodes, node("Identity", [low], ["k"])], held


WRITTEN: dict[str, Callable[[], Written]] = {
    "behind": behind,
    "behind, from the boundary on": lambda: behind("GreaterOrEqual"),
    "behind, as numbers": lambda: behind(kind=FLOAT),
    "behind, the axis kept": lambda: behind(kind=FLOAT, keep=True),
    "behind, falling": lambda: behind("Less"),
    "behind, one": lambda: behind(bounds=BOUNDS[:1]),
    "behind, by channel": lambda: behind(bounds=BOUNDS + np.arange(8, dtype=np.float32).reshape(8, 1) / 8),
    "in front": lambda: in_front(right=False),
    "in front, right": lambda: in_front(right=True),
    "searched": searched,
}


def network(written: Written, *, looked_up: bool = False, batch: int | str = "N") -> onnx.ModelProto:
    nodes, held = written
    end = [node("Cast", ["k"], ["real"], to=FLOAT), node("Mul", ["real", "step"], ["a"])]
    if looked_up:
        end = [node("Cast", ["k"], ["place"], to=WHOLE), node("Gather", ["levels", "place"], ["a"])]
    whole = [node("MatMul", ["x", "w"], ["h"]), *nodes, *end, node("MatMul", ["a", "v"], ["y"])]
    constants = {"w": dyadic(6, 8, seed=0), "v": dyadic(8, 3, seed=1), "step": np.float32(0.5)}
    constants |= {"last": np.array([-1]), "none": np.array([0]), "levels": dyadic(8, seed=2).cumsum(), **held}
    read = {name for one in whole for name in one.input}
    used = {name: value for name, value in constants.items() if name in read}
    return make_model(whole, used, {"x": [batch, 6]}, {"y": [batch, 3]}, opset=18)


@pytest.mark.parametrize("looked_up", [False, True])
@pytest.mark.parametrize("name", WRITTEN)
def test_it_spikes(name: str, *, looked_up: bool) -> None:
    source = network(WRITTEN[name](), looked_up=looked_up)
    conversion = onnx2snn.convert(source)
    assert conversion.layers
    assert not conversion.non_spiking
    assert onnx2snn.verify(source, conversion, {"x": samples(64, 6)}).lossless


@pytest.mark.parametrize("name", ["behind", "in front", "searched"])
def test_of_a_fixed_batch(name: str) -> None:
    source = network(WRITTEN[name](), batch=1)
    assert onnx2snn.verify(source, onnx2snn.convert(source), {"x": samples(16, 6)}).lossless


def test_a_count_along_an_axis_of_the_signal_stays() -> None:
    """How many channels are above a boundary is a function of all of them."""
    nodes = [
        node("Greater", ["x", "b"], ["c"]),
        node("Cast", ["c"], ["n"], to=FLOAT),
        node("ReduceSum", ["n", "last"], ["y"]),
    ]
    held = {"b": BOUNDS[:6], "last": np.array([-1])}
    source = make_model(nodes, held, {"x": ["N", 6]}, {"y": ["N", 1]}, opset=18)
    graph = apply_checked(source, {"x": samples(5, 6)}, infer_shapes, spell_operators)
    assert "ReduceSum" in operators(graph)


@pytest.mark.parametrize("kept", [[], [node("Neg", ["i"], ["j"])]])
def test_lists_of_one_index_are_places(kept: list[onnx.NodeProto]) -> None:
    index = kept[-1].output[0] if kept else "i"
    nodes = [*kept, node("Unsqueeze", [index, "last"], ["u"]), node("GatherND", ["values", "u"], ["y"])]
    held = {"values": samples(5, 3), "last": np.array([-1])}
    types = {"i": WHOLE}
    source = make_model(nodes, held, {"i": ["N", 4]}, {"y": ["N", 4, 3]}, types=types)
    given = {"i": np.arange(8).reshape(2, 4) % 5}
    graph = apply_checked(source, given, infer_shapes, pick_along_first_axis)
    assert operators(graph) == [*[one.op_type for one in kept], "Gather"]
