"""Passes until nothing changes; what counts as a change; facts that live as long as the graph stays."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node, operators

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.pass_manager import Fixpoint, apply_owned, state_of
from onnx2snn.graph.core import graph_pass
from onnx2snn.passes.importer import import_model


def relus(count: int = 3) -> gs.Graph:
    """x ─▶ Relu ─▶ ... ─▶ Clip ─▶ y."""
    names = ["x", *(f"t{i}" for i in range(count))]
    nodes = [node("Relu", [a], [b]) for a, b in itertools.pairwise(names)]
    nodes.append(node("Clip", [names[-1], "low"], ["y"]))
    return import_model(make_model(nodes, {"low": np.float32(0)}, {"x": ["N", 4]}, {"y": ["N", 4]}))


def _first_becomes(graph: gs.Graph, op: str, other: str) -> gs.Graph:
    found = next((n for n in graph.nodes if n.op == op), None)
    if found is not None:
        found.op = other
    return graph


@graph_pass
def first_relu_to_abs(graph: gs.Graph) -> gs.Graph:
    return _first_becomes(graph, "Relu", "Abs")


@graph_pass
def first_abs_to_relu(graph: gs.Graph) -> gs.Graph:
    return _first_becomes(graph, "Abs", "Relu")


@graph_pass
def nothing(graph: gs.Graph) -> gs.Graph:
    return graph


def _behind(graph: gs.Graph, maker: str | None, op: str) -> gs.Graph:
    """Relus that read what ``maker`` made (the network's input, if None) become ``op``."""
    made = {id(n): n.inputs[0].inputs[0].op if n.inputs[0].inputs else None for n in graph.nodes}
    for found in [n for n in graph.nodes if n.op == "Relu" and made[id(n)] == maker]:
        found.op = op
    return graph


@graph_pass
def behind_ends(graph: gs.Graph) -> gs.Graph:
    return _behind(_behind(graph, None, "Abs"), "Neg", "Abs")


@graph_pass
def behind_abs(graph: gs.Graph) -> gs.Graph:
    return _behind(graph, "Abs", "Neg")


def test_a_fixpoint_repeats_its_passes_until_nothing_changes() -> None:
    ran: list[str] = []
    settled = apply_owned(
        relus(4), [Fixpoint(behind_ends, behind_abs)], lambda one, _: ran.append(one.__name__)
    )
    assert operators(settled) == ["Abs", "Neg", "Abs", "Neg", "Clip"]
    assert ran == ["behind_ends", "behind_abs"] * 2 + [
        "behind_ends"
    ]  # the other has seen what it left itself
    assert operators(Fixpoint(behind_ends, behind_abs)(relus())) == ["Abs", "Neg", "Abs", "Clip"]


def test_passes_that_undo_each_other_are_named() -> None:
    with pytest.raises(AssertionError, match="first_relu_to_abs, first_abs_to_relu"):
        apply_owned(relus(), [Fixpoint(first_relu_to_abs, first_abs_to_relu)])


def _rewire(graph: gs.Graph) -> None:
    graph.nodes[2].inputs[0] = graph.nodes[0].outputs[0]


CHANGES: dict[str, Callable[[gs.Graph], object]] = {
    "operator": lambda g: setattr(g.nodes[0], "op", "Abs"),
    "attribute": lambda g: g.nodes[0].attrs.update(alpha=0.5),
    "list": lambda g: g.nodes[0].attrs.update(axes=[1, 2]),
    "edge": _rewire,
    "shape": lambda g: setattr(g.nodes[0].outputs[0], "shape", ["N", 5]),
    "type": lambda g: setattr(g.nodes[0].outputs[0], "dtype", np.float64),
    "constant": lambda g: g.nodes[-1].inputs.__setitem__(1, gs.Constant("low/2", np.zeros((), np.float32))),
    "values": lambda g: setattr(g.nodes[-1].inputs[1], "values", np.zeros((), np.float32)),
    "output": lambda g: g.outputs.append(g.nodes[0].outputs[0]),
    "input": lambda g: setattr(g.inputs[0], "shape", ["M", 4]),
    "node": lambda g: g.nodes.append(
        gs.Node("Abs", "more", inputs=[g.inputs[0]], outputs=[gs.Variable("z")])
    ),
    "name": lambda g: setattr(g.nodes[1], "name", "other"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen(name: str) -> None:
    graph = relus()
    before = state_of(graph)
    assert state_of(graph).equals(before)
    CHANGES[name](graph)
    assert not state_of(graph).equals(before)


def test_facts_are_kept_until_a_pass_changes_the_graph() -> None:
    graph = relus()
    kept = facts(graph)
    assert facts(graph) is kept
    assert kept.batch_axes["y"] == 0
    held: list[object] = []
    apply_owned(graph, [nothing, nothing, first_relu_to_abs], lambda _, g: held.append(facts(g)))
    assert held[0] is held[1]
    assert held[1] is not held[2]
