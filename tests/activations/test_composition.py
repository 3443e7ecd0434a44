"""Activations that are alike are composed once; places with the same parameters are run once."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node

from onnx2snn.activations import composition
from onnx2snn.activations.chains import Sharing
from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.activations.recognise import recognise
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model


def quantised(count: int, scale: Any = 0.25, term: Any = 0.5) -> gs.Graph:
    """``count`` equal activations, each behind synapses of its own."""
    held: dict[str, Any] = {"s": np.asarray(scale, np.float32), "t": np.asarray(term, np.float32)}
    held |= {"zero": np.float32(0), "k": np.float32(15)}
    nodes, value = [], "x"
    for i in range(count):
        held[f"w{i}"] = np.random.default_rng(i).normal(size=(4, 4)).astype(np.float32)
        nodes += [
            node("MatMul", [value, f"w{i}"], [f"z{i}"]), node("Add", [f"z{i}", "t"], [f"p{i}"]),
            node("Div", [f"p{i}", "s"], [f"d{i}"]), node("Floor", [f"d{i}"], [f"f{i}"]),
            node("Clip", [f"f{i}", "zero", "k"], [f"c{i}"]), node("Mul", [f"c{i}", "s"], [f"a{i}"]),
        ]  # fmt: skip
        value = f"a{i}"
    nodes.append(node("MatMul", [value, "w0"], ["y"]))
    return apply_owned(import_model(make_model(nodes, held, {"x": ["N", 4]}, {"y": ["N", 4]})), PREPARE)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[gs.Node]:
    """Nodes that are composed from now on; nothing is known before."""
    nodes: list[gs.Node] = []
    once = composition._made

    def counted(handler: Any, composed: gs.Node, *rest: Any) -> Any:
        nodes.append(composed)
        return once(handler, composed, *rest)

    monkeypatch.setattr(composition, "_made", counted)
    monkeypatch.setattr(composition, "_COMPOSED", type(composition._COMPOSED)())
    return nodes


def test_equal_chains_are_composed_once(made: list[gs.Node]) -> None:
    graph = quantised(5)
    made.clear()
    found = recognise(graph).found
    again = recognise(quantised(3)).found
    assert (len(found), len(again)) == (5, 3)
    assert len(made) <= 5
    assert len({id(one.root) for one in (*found, *again)}) == 8
    assert all(one.staircase.levels == 15 and one.nodes[-1].outputs[0] is one.output for one in found)


def test_other_parameters_are_other_chains(made: list[gs.Node]) -> None:
    first = recognise(quantised(1)).found[0].staircase
    second = recognise(quantised(1, scale=0.5)).found[0].staircase
    third = recognise(quantised(1, term=-0.5)).found[0].staircase
    assert (first.threshold, second.threshold) == (0.25, 0.5)
    assert (first.offset, third.offset) == (0.5, -0.5)
    assert made


def test_what_is_known_holds_no_graph(made: list[gs.Node]) -> None:
    graph = quantised(2)
    assert recognise_checked(graph).found
    watched = weakref.ref(graph.nodes[0])
    made.clear()
    del graph
    gc.collect()
    assert watched() is None


def test_places_of_equal_parameters_are_one() -> None:
    values = np.random.default_rng(0).integers(0, 5, (1, 3, 7, 7)).astype(np.float32)
    root = gs.Variable("z", np.float32, ["N", 3, 7, 7])
    other = gs.Constant("c", np.array([1, 1, 2], np.float32).reshape(3, 1, 1))
    sharing = Sharing([root, gs.Constant("b", values), other], root)
    assert sharing.is_less
    assert sharing.channels == len(np.unique(values[0, :2])) + len(np.unique(values[0, 2]))
    kinds = sharing.gathered(values)
    assert np.array_equal(sharing.spread(kinds), values)
    assert sorted(c.values.shape for c in sharing.copies.values()) == [sharing.shape, sharing.shape]
