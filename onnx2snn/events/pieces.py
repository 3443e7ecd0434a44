"""Parts of a network that onnxruntime computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onnx2snn.compile.draft import Draft
from onnx2snn.events.channels_last import last, second
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import is_hollow
from onnx2snn.runtime.backends import Loadable, OnnxruntimeEngine

Array: TypeAlias = NDArray[Any]


class Parts:
    """Cuts parts out of a network.

    Args:
        draft: The network; not changed.
        options: Of onnxruntime's engine, by name.
    """

    def __init__(self, draft: Draft, options: dict[str, Any]) -> None:
        self._draft, self._options = draft, options

    def piece(
        self, nodes: Sequence[onnx.NodeProto], wanted: Iterable[str], first: Sequence[str] = ()
    ) -> Piece:
        """What computes ``wanted``, and nothing else, by these nodes.

        Args:
            nodes: In topological order.
            wanted: Tensors that they write.
            first: Tensors that they read, in the order in which the piece is to take them, before all others.
        """
        constants, network = self._draft.initializers, self._draft.network
        read = dict.fromkeys(name for node in nodes for name in names_read(node))
        made = {name for node in nodes for name in node.output}
        needed = [name for name in read if name not in made and name not in constants]
        given = dict.fromkeys([*first, *needed])
        graph = helper.make_graph(
            nodes,
            "piece",
            [self._open(name) for name in given],
            [self._open(name) for name in wanted],
            [constants[name] for name in read if name in constants],
        )
        weights = {t.name: network.weights[t.name] for t in graph.initializer if is_hollow(t)}
        for tensor in filter(is_hollow, graph.initializer):
            tensor.external_data.add(key="location", value="memory")
        like = network.structure
        model = helper.make_model(graph, opset_imports=like.opset_import, ir_version=like.ir_version)
        loadable = Loadable(model.SerializeToString(), weights, as_written=True)
        return Piece(OnnxruntimeEngine(loadable, **self._options))

    def _open(self, name: str) -> onnx.ValueInfoProto:
        """A tensor by its type, of any shape."""
        return helper.make_tensor_value_info(name, self._draft.type_of(name), None)


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
