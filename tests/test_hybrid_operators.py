"""Operators that no neuron can be, kept between neurons: the answers are the source's, and the check of each can fail."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from onnx import numpy_helper

import onnx2snn
from onnx2snn.certificate import Certificate
from onnx2snn.runtime import SpikingSession

#: By group: operators, each with what it reads besides the signal, and attributes. ``positive`` reads |x| + ¼.
GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "activations": {o: {} for o in ("Softsign", "Elu", "Gelu", "Mish", "HardSwish", "Sigmoid", "Tanh", "Softplus", "Selu")},
    "functions of which the certificate knows a slope": {o: {} for o in ("Erf", "Sin", "Cos", "Atan", "HardSigmoid")}
    | {"Softmax": {"axis": 1}, "LogSoftmax": {"axis": 1}},
    "functions that are evaluated at both ends": {o: {} for o in ("Celu", "Exp", "Sinh", "Asinh")}
    | {o: {"positive": True} for o in ("Log", "Sqrt", "Reciprocal")}
    | {"Pow": {"read": [np.float32(3)]}, "PRelu": {"read": [np.full(8, 0.3, np.float32)]}},
    "of several values": {
        "LayerNormalization": {"read": [np.ones(8, np.float32)]},
        "LpNormalization": {"axis": 1},
        "CumSum": {"read": [np.int64(1)]},
    },
}  # fmt: skip
#: Operators whose bound is measured; that of all others is proved.
MEASURED = ("LpNormalization", "LayerNormalization")
NUMBERS = {"s": np.float32(0.25), "zero": np.uint8(0), "quarter": np.float32(0.25)}


def neurons(z: str, a: str) -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", [z, "s", "zero"], [f"{a}q"]),
        node("DequantizeLinear", [f"{a}q", "s", "zero"], [a]),
    ]


def network(group: Mapping[str, dict[str, Any]]) -> onnx.ModelProto:
    """Neurons, all operators side by side, synapses and neurons behind each, and a readout of all."""
    random = np.random.default_rng(0)
    constants = {"w": random.normal(0, 0.7, (8, 8)).astype(np.float32), **NUMBERS}
    nodes = [node("MatMul", ["x", "w"], ["z"]), *neurons("z", "a")]
    for op, options in group.items():
        constants[f"{op}_w"] = random.normal(0, 0.7, (8, 8)).astype(np.float32)
        constants[f"{op}_v"] = random.normal(0, 0.7, (8, 8)).astype(np.float32)
        read = dict(enumerate(options.get("read", [])))
        constants |= {f"{op}_{i}": v for i, v in read.items()}
        signal = f"{op}_h"
        nodes.append(node("MatMul", ["a", f"{op}_w"], [signal]))
        if options.get("positive"):
            nodes += [
                node("Abs", [signal], [f"{op}_abs"]),
                node("Add", [f"{op}_abs", "quarter"], [f"{op}_p"]),
            ]
            signal = f"{op}_p"
        attributes = {k: v for k, v in options.items() if k not in ("read", "positive")}
        nodes.append(node(op, [signal, *(f"{op}_{i}" for i in read)], [f"{op}_y"], op, **attributes))
        nodes += [node("MatMul", [f"{op}_y", f"{op}_v"], [f"{op}_q"]), *neurons(f"{op}_q", f"{op}_a")]
    nodes.append(node("Concat", [f"{op}_a" for op in group], ["y"], axis=1))
    used = {name for n in nodes for name in n.input}
    constants = {name: v for name, v in constants.items() if name in used}
    return make_model(
        nodes, constants, {"x": ["N", 8]}, {"y": ["N", 8 * len(group)]}, opset=21, ir_version=10
    )


def wider(model: onnx.ModelProto, share: float) -> onnx.ModelProto:
    """Every matrix of weights, a share larger."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.shape == (8, 8):
            tensor.CopyFrom(numpy_helper.from_array(values * np.float32(1 + share), tensor.name))
    return changed


@cache
def converted(name: str) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Source and spiking network of a group."""
    source = network(GROUPS[name])
    return source, onnx2snn.convert(source, hybrid=True).model


def verified(source: onnx.ModelProto, model: onnx.ModelProto) -> Certificate:
    return onnx2snn.verify(source, model, {"x": samples(6, 8)})


@pytest.mark.parametrize("name", GROUPS)
def test_kept_and_certified(name: str) -> None:
    certificate = verified(*converted(name))
    assert certificate.lossless
    assert certificate.max_abs_error == 0
    behind = [m for m in certificate.maps if m.name in {layer.name for layer in certificate.layers[1:]}]
    assert len(behind) == len(GROUPS[name])
    assert np.isfinite([m.largest for m in behind]).all()
    assert {m.name: m.rigorous for m in behind} == {
        f"{op}_a/neuron": op not in MEASURED for op in GROUPS[name]
    }


@pytest.mark.parametrize("name", GROUPS)
def test_the_check_behind_each_operator_can_fail(name: str) -> None:
    source, model = converted(name)
    certificate = verified(source, wider(model, 0.01))
    assert not certificate.lossless
    layers = {layer.name for layer in certificate.layers}
    assert [m.name for m in certificate.maps if m.name in layers and not m.differing] == []


def test_places_of_maxima_are_compared() -> None:
    """MaxPool's second output, which MaxUnpool reads."""
    pool = {"kernel_shape": [2], "strides": [2]}
    nodes = [
        node("Conv", ["x", "w"], ["z"], pads=[1, 1]),
        *neurons("z", "a"),
        node("MaxPool", ["a"], ["largest", "places"], **pool),
        node("MaxUnpool", ["largest", "places"], ["back"], **pool),
        *neurons("back", "b"),
        node("Conv", ["b", "w"], ["y"], pads=[1, 1]),
    ]
    constants = {**NUMBERS, "w": samples(3, 3, 3)}
    source = make_model(nodes, constants, {"x": ["N", 3, 8]}, {"y": ["N", 3, 8]})
    assert onnx2snn.verify(source, onnx2snn.convert(source, hybrid=True), {"x": samples(5, 3, 8)}).lossless


def test_samples_that_are_mixed_enter_a_stream_together() -> None:
    """A normalisation over the batch."""
    nodes = [
        node("MatMul", ["x", "w"], ["z0"]),
        *neurons("z0", "a"),
        node("MatMul", ["a", "w"], ["z1"]),
        node("MeanVarianceNormalization", ["z1"], ["z2"], axes=[0]),
        *neurons("z2", "b"),
        node("MatMul", ["b", "w"], ["y"]),
    ]
    source = make_model(nodes, {**NUMBERS, "w": samples(4, 4)}, {"x": ["N", 4]}, {"y": ["N", 4]})
    conversion, x = onnx2snn.convert(source, hybrid=True), {"x": samples(5, 4)}
    spiking, streaming = (
        SpikingSession(conversion, execution=e).run(x).outputs["y"] for e in ("spiking", "streaming")
    )
    np.testing.assert_allclose(streaming, spiking, rtol=1e-5)
    step = onnx2snn.compile(conversion, execution="step")
    assert step.tried in ("equal", "explained")
    np.testing.assert_allclose(SpikingSession(step).run(x).outputs["y"], spiking, rtol=1e-5)
