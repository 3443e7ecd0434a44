"""Every spelling of a clipped line becomes a staircase; what is none is refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import Activation, Builder, twice_activated

import onnx2snn
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.calibration.lines import clipped_lines
from onnx2snn.model.reference import run_reference
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model

X = {"x": np.random.default_rng(0).normal(0, 1, (24, 6)).astype(np.float32)}
C = np.float32([1, 2, 3, 1, 2, 3, 1, 2])


def mask(b: Builder, z: str) -> str:
    return b.add("Mul", z, b.add("Cast", b.add("Greater", z, 0.0), to=onnx.TensorProto.FLOAT))


#: Spelling, and (slope, offset, lowest, highest) of the line.
LINES: dict[str, tuple[Activation, tuple[float, float, float, float]]] = {
    "Relu": (lambda b, z: b.add("Relu", z), (1, 0, 0, np.inf)),
    "ReLU6": (lambda b, z: b.add("Clip", z, 0.0, 6.0), (1, 0, 0, 6)),
    "Clip without a top": (lambda b, z: b.add("Clip", z, 0.0), (1, 0, 0, np.inf)),
    "Min of Relu": (lambda b, z: b.add("Min", b.add("Relu", z), 4.0), (1, 0, 0, 4)),
    "Max": (lambda b, z: b.add("Max", z, 0.0), (1, 0, 0, np.inf)),
    "Where": (lambda b, z: b.add("Where", b.add("Greater", z, 0.0), z, 0.0), (1, 0, 0, np.inf)),
    "a mask": (mask, (1, 0, 0, np.inf)),
    "half of z and its size": (
        lambda b, z: b.add("Mul", b.add("Add", z, b.add("Abs", z)), 0.5),
        (1, 0, 0, np.inf),
    ),
    "HardSigmoid": (lambda b, z: b.add("HardSigmoid", z), (0.2, 0.5, 0, 1)),
    "HardSigmoid of Keras": (
        lambda b, z: b.add("Clip", b.add("Add", b.add("Mul", z, 0.25), 0.5), 0.0, 1.0),
        (0.25, 0.5, 0, 1),
    ),
    "HardTanh": (lambda b, z: b.add("Clip", z, -1.0, 1.0), (1, 0, -1, 1)),
    "LeakyRelu of slope 0": (lambda b, z: b.add("LeakyRelu", z, alpha=0.0), (1, 0, 0, np.inf)),
    "PRelu of slopes 0": (lambda b, z: b.add("PRelu", z, np.zeros(8, np.float32)), (1, 0, 0, np.inf)),
    "scaled behind": (lambda b, z: b.add("Mul", b.add("Relu", z), 0.5), (0.5, 0, 0, np.inf)),
}


@pytest.mark.parametrize("name", LINES)
def test_spellings(name: str) -> None:
    activation, (slope, offset, low, high) = LINES[name]
    model = twice_activated(activation)
    lines = clipped_lines(apply_owned(import_model(model), PREPARE))
    assert len(lines) == 2
    for line in lines:
        assert line.slope == pytest.approx(slope)
        assert line.shift == pytest.approx(offset - low)
        assert (line.low, line.span) == (pytest.approx(low), pytest.approx(high - low))
    calibration = onnx2snn.calibrate(model, X, timesteps=8)
    assert calibration.output_error is not None
    assert calibration.output_error < 0.02
    conversion = onnx2snn.convert(calibration.model)
    assert len(conversion.layers) == 2
    assert onnx2snn.verify(calibration.model, conversion.model, X).lossless


def test_tops_may_differ_by_channel() -> None:
    calibration = onnx2snn.calibrate(
        twice_activated(lambda b, z: b.add("Min", b.add("Relu", z), C)), X, timesteps=6
    )
    found = run_reference(calibration.model, X)["y"]
    assert np.isfinite(found).all()
    assert calibration.output_error is not None
    assert calibration.output_error < 0.1


def test_an_activation_with_many_readers_is_one_staircase() -> None:
    b = Builder()
    a = b.add("Relu", b.dense("x", (6, 8), 1))
    both = b.add("Add", b.dense(a, (8, 4), 3), b.dense(b.add("Mul", a, 0.5), (8, 4), 5))
    out = b.dense(b.add("Relu", both), (4, 3), 7)
    model = b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])})
    calibration = onnx2snn.calibrate(model, X, timesteps=4)
    assert len(calibration.layers) == 2
    assert [n.op_type for n in calibration.model.graph.node].count("Floor") == 3  # the input's grid is one
    conversion = onnx2snn.convert(calibration.model)
    assert onnx2snn.verify(calibration.model, conversion.model, X).lossless
