"""The quantisers of QONNX: what their domain says, bit for bit."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node, run_graph, samples
from helpers_qonnx import ANSWERS, COUNT, SEED, draw

from onnx2snn.model.files import load_model
from onnx2snn.model.reference import run_reference
from onnx2snn.operators.spelled.qonnx import QONNX
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers

SHAPE = ["N", 3, 8, 8]
X = {"x": samples(2, 3, 8, 8)}


def spelled(model: onnx.ModelProto) -> gs.Graph:
    return decompose_quantisers(import_model(load_model(model)))


@pytest.mark.parametrize("domain", [*QONNX, ""])
def test_every_operator_answers_what_qonnx_answers(domain: str) -> None:
    answers, first = np.load(ANSWERS), 0
    for call in draw(COUNT, SEED):
        last, first = first, first + int(np.prod(call.shape))
        if call.operator == "FloatQuant":
            continue
        model = call.model()
        model.graph.node[0].domain = model.opset_import[1].domain = domain
        if not domain:
            del model.opset_import[1]
        graph = spelled(model)
        assert not any(n.domain for n in graph.nodes)
        expected = answers[last:first].reshape(call.shape)
        found = run_graph(graph, {"i0": call.inputs[0]})["y"]
        np.testing.assert_array_equal(found, expected, f"{call.operator} {call.attributes}")
    assert first == answers.size


@pytest.mark.parametrize("signed", [0, 1])
def test_bit_widths_by_channel(signed: int) -> None:
    values = {"s": np.float32(0.25), "z": np.float32(0), "b": np.array([[[1.0]], [[3.0]], [[4.0]]])}
    quantiser = node("Quant", ["x", *values], ["y"], domain=QONNX[0], signed=signed)
    model = make_model([quantiser], values, {"x": SHAPE}, {"y": SHAPE}, domains=[QONNX[0]])
    np.testing.assert_array_equal(run_graph(spelled(model), X)["y"], run_reference(model, X)["y"])


def test_bipolar_quant() -> None:
    model = make_model(
        [node("BipolarQuant", ["x", "s"], ["y"], domain=QONNX[0])],
        {"s": np.float32(0.5)},
        {"x": SHAPE},
        {"y": SHAPE},
        domains=[QONNX[0]],
    )
    graph = spelled(model)
    expected = np.where(X["x"] >= 0, np.float32(0.5), np.float32(-0.5))
    np.testing.assert_array_equal(run_graph(graph, X)["y"], expected)
