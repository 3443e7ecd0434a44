"""A certificate must catch a changed network: one change each, also tiny ones; survivors are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_corpus import Example
from onnx import numpy_helper

import onnx2snn
from onnx2snn.runtime import SpikingSession

#: Their inputs are many, their neurons too: what a change does shows.
NAMES = ("torchts17__plain-pact4-nofold-dyn", "torchts13__dense-qcfs8c-dyn")


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def change(model: onnx.ModelProto, name: str, function: Callable[[np.ndarray], Any]) -> None:
    tensor = constant(model, name)
    values = numpy_helper.to_array(tensor).copy()
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(function(values), values.dtype), name))


def neurons(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "IF"]


def weighted(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]


def largest(values: np.ndarray, factor: float) -> np.ndarray:
    flat = values.ravel()
    flat[np.argmax(np.abs(flat))] *= factor
    return values


MUTATIONS: dict[str, Callable[[onnx.ModelProto, int], None]] = {
    "a threshold off by 1e-4": lambda m, i: change(m, neurons(m)[i].input[2], lambda v: v * (1 + 1e-4)),
    "the last threshold off by 1e-3": lambda m, i: change(
        m, neurons(m)[i].input[2], lambda v: np.concatenate([v[:-1], v[-1:] * 1.001])
    ),
    "a bias off by 1e-3 of a threshold": lambda m, i: change(m, neurons(m)[i].input[1], lambda v: v + 1e-3),
    "no bias": lambda m, i: change(m, neurons(m)[i].input[1], lambda v: v * 0),
    "a reset too small": lambda m, i: change(m, neurons(m)[i].input[3], lambda v: v * 0.99),
    "a ceiling one level lower": lambda m, i: change(m, neurons(m)[i].input[4], lambda v: v - v / 8),
    "time reversed": lambda m, i: change(m, neurons(m)[i].input[2], lambda v: v[::-1]),
    "a weight one percent larger": lambda m, i: change(
        m, weighted(m)[i].input[1], lambda v: largest(v, 1.01)
    ),
    "a weight of the other sign": lambda m, i: change(m, weighted(m)[i].input[1], lambda v: largest(v, -1.0)),
    "all weights off by 1e-3": lambda m, i: change(m, weighted(m)[i].input[1], lambda v: v * (1 + 1e-3)),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_no_mutant_survives(name: str, mutation: str) -> None:
    example = Example(name)
    model = onnx2snn.convert(example.path).model
    rng = np.random.default_rng(0)
    samples = {k: rng.normal(0, 1.0, (48, *v.shape[1:])).astype(v.dtype) for k, v in example.inputs.items()}
    assert onnx2snn.verify(example.path, model, samples).lossless
    unchanged = SpikingSession(model.SerializeToString()).levels(samples)
    caught = 0
    layers = min(len(neurons(model)), len(weighted(model)))
    for layer in range(layers):
        mutant = onnx.ModelProto()
        mutant.CopyFrom(model)
        MUTATIONS[mutation](mutant, layer)
        if mutant == model:
            continue
        found = SpikingSession(mutant.SerializeToString()).levels(samples)
        if all(np.allclose(found[key], value, rtol=0, atol=1e-7) for key, value in unchanged.items()):
            continue  # a weight of a silent neuron, a ceiling that is never reached: the same on these samples
        certificate = onnx2snn.verify(example.path, mutant, samples)
        assert not certificate.lossless, f"layer {layer}"
        assert certificate.defects
        caught += 1
    assert caught


def test_the_snn_of_another_network_is_refused_or_caught() -> None:
    first, second = (Example(n) for n in ("torchts17__plain-pact4-nofold-dyn", "torchts13__dense-qcfs8c-dyn"))
    model = onnx2snn.convert(first.path).model
    with pytest.raises(onnx2snn.InvalidModelError, match="not made from this source"):
        onnx2snn.verify(second.path, model, second.inputs)
