"""A network that does not spike, behind the interface of a session: what a spiking one is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnx2snn.analysis.batch_axis import axes_of_outputs
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.dialect.macs import macs_of
from onnx2snn.graph.core import Array
from onnx2snn.model.reference import make_runner
from onnx2snn.model.weights import SplitModel
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model
from onnx2snn.runtime import FLOAT32, Result
from onnx2snn.runtime.providers import Provider
from onnx2snn.runtime.result import result_of


class Baseline:
    """An ordinary network: it answers as its file does (onnxruntime, optimisations off), and costs its multiply-accumulates.

    Args:
        model: The network.
        providers: Execution providers of onnxruntime; None: the CPU.

    Attributes:
        axes: By output, the axis of samples, where that is known and not told by sizes.
    """

    layers: tuple[Mapping[str, Any], ...] = ()

    def __init__(self, model: SplitModel, providers: Sequence[Provider] | None = None) -> None:
        graph = import_model(model)
        self.axes = axes_of_outputs(graph)
        self._run = make_runner(model, providers, self.axes)
        names = [info.name for info in model.structure.graph.output]
        macs = dict(macs_of(apply_owned(graph, PREPARE)).total)
        table = {"timesteps": 1, "depth": 0, "layers": [], "outputs": names}
        self.table: dict[str, Any] = {**table, "macs": {"ann": macs["ann"], "analog": macs["ann"]}}
        self.of_samples = frozenset(names)

    def run(self, inputs: Mapping[str, Array]) -> Result:
        """What the network answers, and the energy of its multiply-accumulates."""
        return result_of(self._run(inputs), len(next(iter(inputs.values()))), self.table, FLOAT32)
