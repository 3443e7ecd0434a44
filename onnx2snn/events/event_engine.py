"""The engine behind ``backend="events"``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import onnx
from numpy.typing import NDArray
from onnx.external_data_helper import uses_external_data

from onnx2snn.events.channels_last import apart, last, second
from onnx2snn.events.plan import Planner
from onnx2snn.events.programs import program, together
from onnx2snn.model.weights import SplitModel, hollow, is_large, values_of
from onnx2snn.operators import of
from onnx2snn.runtime.backends import Loadable, ProtoEngine, computing, proto_of

Array: TypeAlias = NDArray[Any]


class EventEngine(ProtoEngine):
    """A network whose synapses follow events; concurrent runs are safe.

    Args:
        model: What to run; its weights are read where they are.
        **options: Of onnxruntime, which computes the rest.
    """

    def __init__(self, model: Loadable, **options: Any) -> None:
        network = _read(model)
        structure = onnx.shape_inference.infer_shapes(network.structure, data_prop=True)
        network = SplitModel(structure, network.weights)
        self._describe(structure)
        constants = network.constants
        held = {name: last(constants[name]) for name in self.outputs if name in constants}
        self._held = tuple(held.values())
        self._given = tuple(self.inputs)
        self._names = (*held, *self._given)
        makers = {name: node for node in structure.graph.node for name in node.output}
        # Loops and pieces answer in memory of their own; what changes shape alone, and what is no result, may not.
        self._shared = any(n not in makers or _only_moves(makers[n]) for n in self.outputs)
        self._steps = Planner(network, options).steps()
        self._program = program(self._steps, self._names, self.outputs)
        self._warm = False

    def warm_up(self) -> None:
        """Compile small loops together: the next run takes seconds, those behind it half the time for small networks."""
        if not self._warm:
            self._program = program(together(self._steps, self.outputs), self._names, self.outputs)
            self._warm = True

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        with computing():
            return self._answers(inputs)

    def _answers(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = [*self._held, *(last(inputs[name]) for name in self._given)]
        found = self._program(*given)
        found = apart(found, given) if self._shared else found
        return {name: second(value) for name, value in zip(self.outputs, found, strict=True)}


def _only_moves(node: onnx.NodeProto) -> bool:
    return of(node).moves and not of(node).elementwise


def _read(model: Loadable) -> SplitModel:
    """The model, its large weights where they are."""
    loaded, weights = proto_of(model), dict(model.weights)
    for tensor in loaded.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location" and tensor.name not in weights:
                entry.value = str(Path(model.folder or "") / entry.value)
        if uses_external_data(tensor) or is_large(tensor):
            held = weights.get(tensor.name)
            weights[tensor.name] = values_of(tensor) if held is None else held
            tensor.CopyFrom(hollow(tensor.name, tensor.data_type, tensor.dims))
    return SplitModel(loaded, weights)
