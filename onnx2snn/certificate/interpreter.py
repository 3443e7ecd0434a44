"""The spiking network beside the interpreter that the source's own file is made for: TensorFlow Lite's."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnx2snn.certificate.certificate import InterpreterCheck
from onnx2snn.data import DataSet
from onnx2snn.graph.core import Array
from onnx2snn.runtime import SpikingSession

#: Where an ``Interpreter`` is, by package.
_MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter")
#: Samples at a time.
_CHUNK = 16


def beside_interpreter(source: object, snn: str | bytes, samples: DataSet) -> InterpreterCheck | None:
    """Run ``snn`` and the interpreter on ``samples``; None where ``source`` is no such file, or no interpreter is installed."""
    path = Path(source) if isinstance(source, (str, Path)) else None
    if path is None or not path.is_file() or path.read_bytes()[4:8] != b"TFL3":
        return None
    found = next((module for module in _MODULES if _installed(module)), None)
    if found is None:
        return None
    session = SpikingSession(snn, execution="fused", count="nothing")
    with warnings.catch_warnings():  # that it moves to another package
        warnings.simplefilter("ignore")
        loaded = importlib.import_module(found).Interpreter(model_path=str(path))
    interpreter = _Interpreter(loaded, session)
    return _compared(interpreter, session, samples)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None


class _Interpreter:
    """One sample after the other, by the names of the spiking network."""

    def __init__(self, interpreter: Any, session: SpikingSession) -> None:
        self._interpreter = interpreter
        interpreter.allocate_tensors()
        self._inputs = _by_name(interpreter.get_input_details(), list(session.inputs))
        self._outputs = _by_name(interpreter.get_output_details(), session.outputs)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs (1, ...) of one sample (1, ...)."""
        for name, held in self._inputs.items():
            self._interpreter.set_tensor(
                held["index"], np.ascontiguousarray(inputs[name], dtype=held["dtype"])
            )
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(held["index"]) for name, held in self._outputs.items()}


def _by_name(details: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Those of each name; where names differ, in order."""
    known = {held["name"]: held for held in details}
    return {name: known.get(name, held) for name, held in zip(names, details, strict=True)}


def _compared(interpreter: _Interpreter, session: SpikingSession, samples: DataSet) -> InterpreterCheck:
    same = numbers = agreed = classed = count = 0
    largest = 0.0
    for one, ours, theirs in _answers(interpreter, session, samples):
        count += one
        for name, expected in theirs.items():
            found, wanted = ours[name].astype(np.float64), expected.astype(np.float64)
            same, numbers = same + int((found == wanted).sum()), numbers + wanted.size
            largest = max(largest, float(np.abs(found - wanted).max(initial=0.0)))
        scores = next((n for n, v in theirs.items() if v.ndim == 2 and v.shape[1] > 1), None)
        if scores is not None:
            classed += one
            agreed += int((ours[scores].argmax(axis=1) == theirs[scores].argmax(axis=1)).sum())
    share = agreed / classed if classed else None
    return InterpreterCheck("TensorFlow Lite", count, same / max(numbers, 1), largest, share)


def _answers(
    interpreter: _Interpreter, session: SpikingSession, samples: DataSet
) -> Iterator[tuple[int, dict[str, Array], dict[str, Array]]]:
    for batch in samples.batches(_CHUNK):
        ours = session.run(batch.inputs, count="nothing").outputs
        for i in range(len(batch)):
            one = {name: value[i : i + 1] for name, value in batch.inputs.items()}
            yield 1, {name: value[i : i + 1] for name, value in ours.items()}, interpreter(one)
