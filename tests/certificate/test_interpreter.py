"""The spiking network beside TensorFlow Lite's interpreter, where one is installed: here, one that stands in for it."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_corpus import EXACT, Example

import onnx2snn
from onnx2snn.certificate import interpreter
from onnx2snn.certificate.interpreter import beside_interpreter
from onnx2snn.data import input_specs, open_data
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import make_runner

EXAMPLE = Example(EXACT[0])
OFF = 0.25


class Interpreter:
    """The source, one sample at a time, its first output a little off in the first sample."""

    def __init__(self, model_path: str) -> None:
        del model_path
        model = load_model(EXAMPLE.path)
        self._run, self._outputs = make_runner(model), [o.name for o in model.graph.output]
        self._spec = input_specs(model)[0]
        self._calls = 0

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"name": "another name", "index": 0, "dtype": self._spec.dtype}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"name": name, "index": i} for i, name in enumerate(self._outputs)]

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        assert index == 0
        assert len(value) == 1
        self._given = value

    def invoke(self) -> None:
        self._answer = self._run({self._spec.name: self._given})
        self._answer[self._outputs[0]] = self._answer[self._outputs[0]] + OFF * (self._calls == 0)
        self._calls += 1

    def get_tensor(self, index: int) -> np.ndarray:
        return self._answer[self._outputs[index]]


def test_differences_are_counted_and_explained_by_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, module = types.ModuleType("stand_in"), types.ModuleType("stand_in.interpreter")
    module.Interpreter = Interpreter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stand_in", package)
    monkeypatch.setitem(sys.modules, "stand_in.interpreter", module)
    monkeypatch.setattr(interpreter, "_installed", lambda _: True)
    monkeypatch.setattr(interpreter, "_MODULES", ("stand_in.interpreter",))
    source = tmp_path / "net.tflite"
    source.write_bytes(b"\x1c\0\0\0TFL3")
    snn = onnx2snn.convert(EXAMPLE.path).model.SerializeToString()
    samples = open_data(EXAMPLE.inputs, input_specs(load_model(EXAMPLE.path)))
    found = beside_interpreter(source, snn, samples)
    assert found is not None
    assert found.samples == len(samples)
    assert found.max_abs_error == pytest.approx(OFF, abs=1e-5)
    assert found.top1_agreement == 1
    assert beside_interpreter(EXAMPLE.path, snn, samples) is None
    monkeypatch.setattr(interpreter, "_installed", lambda _: False)
    assert beside_interpreter(source, snn, samples) is None
