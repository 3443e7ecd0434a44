"""The engine behind ``backend="events"``."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, TypeAlias

import onnx
from numpy.typing import NDArray

from onnx2snn.errors import InputError
from onnx2snn.events.channels_last import last, second
from onnx2snn.runtime.backends import Loadable, computing
from onnx2snn.runtime.engine_inputs import EngineInput, declared_axes, open_or_fixed

Array: TypeAlias = NDArray[Any]


class EventEngine:
    """A network whose synapses follow events; concurrent runs are safe.

    Args:
        model: What to run, with its weights in it.
        **options: Of onnxruntime, which computes the rest.

    Raises:
        InputError: Numba is not installed.
    """

    def __init__(self, model: Loadable, **options: Any) -> None:
        if importlib.util.find_spec("numba") is None:
            raise InputError(
                "the backend events needs Numba", remedy="pip install 'onnx2snn[events]', or use onnxruntime"
            )
        from onnx2snn.events.plan import Planner  # noqa: PLC0415 - needs Numba
        from onnx2snn.events.programs import program  # noqa: PLC0415 - likewise

        loaded = onnx.load(model.content) if isinstance(model.content, str) else onnx.ModelProto()
        if isinstance(model.content, bytes):
            loaded.ParseFromString(model.content)
        loaded = onnx.shape_inference.infer_shapes(loaded, data_prop=True)
        graph = loaded.graph
        self.outputs = [info.name for info in graph.output]
        self.axes = declared_axes((*graph.output, *graph.input))
        self.inputs = {}
        for info in graph.input:
            kind = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            self.inputs[info.name] = EngineInput(open_or_fixed(self.axes[info.name]), str(kind))
        self.metadata = {entry.key: entry.value for entry in loaded.metadata_props}
        self._constants = {
            tensor.name: onnx.numpy_helper.to_array(tensor)
            for tensor in graph.initializer
            if tensor.name in self.outputs
        }
        self._given = tuple(self.inputs)
        self._steps = Planner(loaded, options).steps()
        self._program = program(self._steps, (*self._constants, *self._given), self.outputs)
        self._warm = False

    def warm_up(self) -> None:
        """Compile small loops together: the next run takes seconds, those behind it half the time for small networks."""
        from onnx2snn.events.programs import program, together  # noqa: PLC0415 - needs Numba

        if not self._warm:
            steps = together(self._steps, self.outputs)
            self._program = program(steps, (*self._constants, *self._given), self.outputs)
            self._warm = True

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        with computing():
            return self._answers(inputs)

    def _answers(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = [
            last(value) for value in (*self._constants.values(), *(inputs[name] for name in self._given))
        ]
        return {name: second(value) for name, value in zip(self.outputs, self._program(*given), strict=True)}
