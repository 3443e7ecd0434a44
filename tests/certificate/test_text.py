"""Outputs of text, as classifiers of scikit-learn have them: the same or not, and nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_refused import CONSTANTS, quantised
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.certificate.batch_findings import difference
from onnx2snn.model.reference import make_runner

NAMES = ["one", "two", "three"]


def classifier(kind: str) -> onnx.ModelProto:
    """The name of the largest score, from a list of names or by a dictionary."""
    nodes = [
        node("MatMul", ["x", "w0"], ["z"]),
        *quantised("z", "a"),
        node("MatMul", ["a", "w2"], ["scores"]),
    ]
    nodes.append(node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0))
    if kind == "list":
        nodes.append(node("Gather", ["names", "class"], ["label"]))
    else:
        keys = {"keys_int64s": [0, 1, 2], "values_strings": NAMES}
        nodes.append(helper.make_node("LabelEncoder", ["class"], ["label"], domain="ai.onnx.ml", **keys))
    outputs = {"label": ["N"], "scores": ["N", 3]}
    types = {"label": TensorProto.STRING}
    model = make_model(nodes, CONSTANTS, {"x": ["N", 6]}, outputs, types=types)  # type: ignore[arg-type]
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    if kind == "list":
        model.graph.initializer.append(
            helper.make_tensor("names", TensorProto.STRING, [3], [n.encode() for n in NAMES])
        )
    return model


@pytest.mark.parametrize("kind", ["list", "dictionary"])
def test_a_classifier_that_answers_names(kind: str) -> None:
    model, x = classifier(kind), {"x": samples(9, 6)}
    conversion = onnx2snn.convert(model)
    assert onnx2snn.verify(model, conversion, x).lossless
    expected = make_runner(model)(x)["label"]
    assert set(expected) <= set(NAMES)
    for execution in ("spiking", "fused", "step"):
        compiled = onnx2snn.compile(conversion, execution=execution)  # type: ignore[arg-type]
        assert compiled.tried == "equal"
        onnx.checker.check_model(compiled.network.whole(), full_check=True)
    assert np.array_equal(make_runner(conversion.network)(x)["label"], expected)


def test_another_name_is_infinitely_far() -> None:
    found = difference(np.array(["one", "two"], object), np.array(["one", "three"], object))
    assert list(found) == [0, np.inf]
