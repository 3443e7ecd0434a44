"""A network that does not spike, behind the interface of a session: what a spiking one is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.data import input_specs
from onnx2snn.dialect.macs import macs_of
from onnx2snn.graph.core import Array
from onnx2snn.model.reference import make_runner
from onnx2snn.model.weights import SplitModel
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model
from onnx2snn.runtime import FLOAT32, Result
from onnx2snn.runtime.result import result_of


class Baseline:
    """An ordinary network: it answers as its file does (onnxruntime, optimisations off), and costs its multiply-accumulates.

    Args:
        model: The network.
    """

    layers: tuple[Mapping[str, Any], ...] = ()

    def __init__(self, model: SplitModel) -> None:
        self._run = make_runner(model)
        self._names = [info.name for info in model.structure.graph.output]
        self._inputs = {spec.name: spec for spec in input_specs(model.structure)}
        macs = dict(macs_of(apply_owned(import_model(model), PREPARE)).total)
        table = {"timesteps": 1, "depth": 0, "layers": [], "outputs": self._names}
        self.table: dict[str, Any] = {**table, "macs": {"ann": macs["ann"], "analog": macs["ann"]}}
        self.of_samples = frozenset(self._names)

    def run(self, inputs: Mapping[str, Array]) -> Result:
        """What the network answers, and the energy of its multiply-accumulates; one fixed batch at a time."""
        samples = len(next(iter(inputs.values())))
        size = next((spec.batch for spec in self._inputs.values() if spec.batch), None) or samples
        parts = [self._part(inputs, start, size) for start in range(0, samples, size)]
        answers = {name: np.concatenate([part[name] for part in parts])[:samples] for name in self._names}
        return result_of(answers, samples, self.table, FLOAT32)

    def _part(self, inputs: Mapping[str, Array], start: int, size: int) -> dict[str, Array]:
        part = {name: value[start : start + size] for name, value in inputs.items()}
        missing = size - len(next(iter(part.values())))
        if missing:
            part = {n: np.concatenate([v, np.repeat(v[-1:], missing, axis=0)]) for n, v in part.items()}
        return self._run(part)
