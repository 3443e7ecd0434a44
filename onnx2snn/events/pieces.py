"""Parts of a network that onnxruntime computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onnx2snn.events.channels_last import last, second
from onnx2snn.model.subgraphs import names_read
from onnx2snn.runtime.backends import Loadable, OnnxruntimeEngine

Array: TypeAlias = NDArray[Any]


class Parts:
    """Cuts parts out of a network.

    Args:
        model: The network; not changed.
        options: Of onnxruntime's engine, by name.
    """

    def __init__(self, model: onnx.ModelProto, options: dict[str, Any]) -> None:
        graph = model.graph
        self._model, self._options = model, options
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._infos = {i.name: i for i in (*graph.value_info, *graph.input, *graph.output)}

    def piece(
        self, nodes: Sequence[onnx.NodeProto], wanted: Iterable[str], first: Sequence[str] = ()
    ) -> Piece:
        """What computes ``wanted``, and nothing else, by these nodes.

        Args:
            nodes: In topological order.
            wanted: Tensors that they write.
            first: Tensors that they read, in the order in which the piece is to take them, before all others.
        """
        read = dict.fromkeys(name for node in nodes for name in names_read(node))
        made = {name for node in nodes for name in node.output}
        needed = [name for name in read if name not in made and name not in self._constants]
        given = dict.fromkeys([*first, *needed])
        graph = helper.make_graph(
            nodes,
            "piece",
            [self._open(name) for name in given],
            [self._open(name) for name in wanted],
            [self._constants[name] for name in read if name in self._constants],
        )
        model = helper.make_model(
            graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )
        loadable = Loadable(model.SerializeToString(), as_written=True)
        return Piece(OnnxruntimeEngine(loadable, **self._options))

    def _open(self, name: str) -> onnx.ValueInfoProto:
        """A tensor by its type, of any shape."""
        kind = self._infos[name].type.tensor_type.elem_type
        return helper.make_tensor_value_info(name, kind, None)


class Piece:
    """A part that is loaded."""

    def __init__(self, engine: OnnxruntimeEngine) -> None:
        self._engine = engine
        self.reads, self.writes = tuple(engine.inputs), tuple(engine.outputs)

    def __call__(self, *values: Array) -> list[Array]:
        """What it writes, in order, of what it reads; channels last."""
        given = {
            name: np.asarray(second(value), order="C") for name, value in zip(self.reads, values, strict=True)
        }
        return [last(value) for value in self._engine.run(given).values()]
