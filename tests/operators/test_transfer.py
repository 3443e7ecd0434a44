"""What may be answered, from what may be given: every answer lies where the domains say."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node, run_graph
from helpers_operators import CASES, SHAPE_OF_A, Case, op

from onnx2snn.activations.lattice import Lattice
from onnx2snn.activations.rationals import rationals
from onnx2snn.analysis.intervals import intervals, is_bounded
from onnx2snn.analysis.lattices import _behind
from onnx2snn.operators import of
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.infer_shapes import infer_shapes

ENTRYWISE = {
    "relu": op("Relu"),
    "absolute": op("Abs"),
    "clip": op("Clip", "low", "high"),
    "clip from above": [node("Clip", ["a", "", "high"], ["b"])],
    "maximum": op("Max", "low"),
    "minimum": op("Min", "high"),
    "round": [node("Mul", ["a", "high"], ["d"]), node("Round", ["d"], ["b"])],
    "floor": [node("Mul", ["a", "high"], ["d"]), node("Floor", ["d"], ["b"])],
    "ceil": [node("Mul", ["a", "high"], ["d"]), node("Ceil", ["d"], ["b"])],
    "sign": op("Sign"),
    "sigmoid": op("Sigmoid"),
    "hard sigmoid": op("HardSigmoid"),
    "comparison": [node("Greater", ["a", "low"], ["d"]), node("Cast", ["d"], ["b"], to=1)],
    "multiply by nothing": op("Mul", "zero"),
    "where": [node("Greater", ["a", "low"], ["d"]), node("Where", ["d", "a", "high"], ["b"])],
}
BOUNDS = {"low": np.float32(-0.5), "high": np.float32(0.75), "zero": np.float32(0)}
ALL = {**CASES, **{name: Case(nodes, BOUNDS, SHAPE_OF_A) for name, nodes in ENTRYWISE.items()}}
#: No copies of entries: means of several, and a value of its own beyond the image.
RESAMPLED = ("resize, linear", "resize, beyond the image")
KNOWN = [
    name for name, case in ALL.items() if all(of(n).transfer for n in case.nodes) and name not in RESAMPLED
]
#: −2 … 1 in the first channel, one level more in each further one.
LOW, UNIT = -2, 0.5


def graph_of(case: Case) -> gs.Graph:
    constants = {k: v for k, v in case.constants.items() if any(k in n.input for n in case.nodes)}
    inputs, outputs = ({name: ["N", *sizes]} for name, sizes in (("a", case.before), ("b", case.after)))
    return infer_shapes(import_model(make_model(case.nodes, constants, inputs, outputs, opset=18)))


def given(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """How many levels each channel has (1, C, 1, ...), and samples of them, the lowest and the highest of all among them."""
    counts = 6 + np.arange(case.before[0]).reshape(1, -1, *(1,) * (len(case.before) - 1))
    drawn = np.random.default_rng(3).integers(0, 100, (60, *case.before)) % (counts + 1)
    drawn[0], drawn[1] = 0, np.broadcast_to(counts, (1, *case.before))[0]
    return counts, (LOW + UNIT * drawn).astype(np.float32)


@pytest.mark.parametrize("name", KNOWN)
def test_intervals_hold_every_answer(name: str) -> None:
    counts, x = given(ALL[name])
    graph = graph_of(ALL[name])
    ends = np.float32(LOW), (LOW + UNIT * counts).astype(np.float32)
    low, high = intervals(graph, {id(graph.inputs[0]): ends})[id(graph.outputs[0])]
    y = run_graph(graph, {"a": x})["b"]
    assert is_bounded((low, high))
    assert np.all(low <= y)
    assert np.all(y <= high)


@pytest.mark.parametrize("name", KNOWN)
def test_lattices_hold_every_answer(name: str) -> None:
    counts, x = given(ALL[name])
    graph = graph_of(ALL[name])
    high = rationals((LOW + UNIT * counts).astype(np.float32))
    found = {id(graph.inputs[0]): Lattice(rationals(np.float32(LOW)), high, rationals(np.float32(UNIT)))}
    for each in graph.nodes:
        lattice = _behind(each, found)
        if lattice is not None:
            found.update((id(tensor), lattice) for tensor in each.outputs)
    lattice = found.get(id(graph.outputs[0]))
    if lattice is None:
        assert not all(of(n).linear or of(n).compares for n in ALL[name].nodes) or name in NO_LATTICE
        return
    y = run_graph(graph, {"a": x})["b"].astype(np.float64)
    low, top, unit = (a.floats() for a in (lattice.low, lattice.high, lattice.unit))
    assert np.all(low - 1e-6 <= y)
    assert np.all(y <= top + 1e-6)
    steps = np.divide(y - low, unit, out=np.zeros(np.broadcast_shapes(y.shape, unit.shape)), where=unit != 0)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)


#: Linear, and on no lattice that these rules tell: entries of several weights, or means of another number of entries by place.
NO_LATTICE = (
    "average pool, padding not counted",
    "average pool, ceil mode",
    "where by position",
)
