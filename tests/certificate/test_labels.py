"""Classifiers that answer with labels, as those of scikit-learn do: integers behind an ArgMax."""

from __future__ import annotations

import numpy as np
import onnx
from helpers_networks import Builder, dyadic

import onnx2snn


def classifier() -> onnx.ModelProto:
    b = Builder()
    hidden = b.act(b.dense("x", (6, 8), 1))
    best = b.add("ArgMax", b.dense(hidden, (8, 3), 5), axis=1, keepdims=0)
    label = b.add("ArrayFeatureExtractor", np.array([7, 3, 5]), best, domain="ai.onnx.ml")
    model = b.model({"x": ["N", 6]}, {"class": (b.add("Reshape", label, np.array([-1])), ["N"])})
    model.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 1))
    return model


def test_labels_are_verified() -> None:
    source = classifier()
    conversion = onnx2snn.convert(source)
    certificate = onnx2snn.verify(source, conversion.model, {"x": dyadic(20, 6, seed=3, top=8)})
    assert certificate.lossless
    assert certificate.max_abs_error == 0


def test_another_label_is_a_defect() -> None:
    source = classifier()
    wrong = onnx2snn.convert(source).model
    labels = next(t for t in wrong.graph.initializer if onnx.numpy_helper.to_array(t).tolist() == [7, 3, 5])
    labels.CopyFrom(onnx.numpy_helper.from_array(np.array([7, 4, 6]), labels.name))
    assert not onnx2snn.verify(source, wrong, {"x": dyadic(20, 6, seed=3, top=8)}).lossless
