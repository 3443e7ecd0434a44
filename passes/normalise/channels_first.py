"""Operators that read channels last, as onnxruntime writes them when it optimises a file."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_constant, origin
from onnx2snn.model.domains import MICROSOFT

#: Where onnxruntime keeps the standard operators on channels-last tensors.
INTERNAL = "com.ms.internal.nhwc"

#: Operators of channels-last tensors, and the same of channels-first ones.
_TWINS: Mapping[tuple[str, str], tuple[str, str]] = {
    (MICROSOFT, "NhwcFusedConv"): (MICROSOFT, "FusedConv"),
    (MICROSOFT, "NhwcMaxPool"): ("", "MaxPool"),
}
#: Inputs that hold values at places, besides the first.
_BESIDES: Mapping[str, tuple[int, ...]] = {"FusedConv": (3,)}


@graph_pass
def channels_first(graph: gs.Graph) -> gs.Graph:
    """Write operators of channels-last tensors as those of channels-first ones between Transposes.

        x ─▶ QLinearConv<channels_last=1> ─▶ y     becomes     x ─▶ Transpose ─▶ QLinearConv ─▶ Transpose ─▶ y

    1. The attribute ``channels_last`` says so (QLinearConv, QLinearAveragePool, QLinearGlobalAveragePool).
    2. The name says so: NhwcMaxPool, NhwcFusedConv.
    3. The domain says so: com.ms.internal.nhwc, whose operators are otherwise the standard ones.

    Where the rank is not known the node stays, and is refused by name later.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        twin = _twin(node)
        rank = _rank(node) if twin is not None else None
        if twin is None or rank is None:
            continue
        node.domain, node.op = twin
        node.attrs.pop("channels_last", None)
        turns = _Turns(graph, names, node, rank)
        for position in (0, *_BESIDES.get(node.op, ())):
            if position < len(node.inputs) and not node.inputs[position].is_empty():
                node.inputs[position] = turns.read(node.inputs[position])
        node.outputs = [turns.write(node.outputs[0]), *node.outputs[1:]]
    return graph


def _twin(node: gs.Node) -> tuple[str, str] | None:
    """Domain and name of the channels-first operator; None where ``node`` is one."""
    if node.domain == INTERNAL:
        return (MICROSOFT if node.op in ("QLinearAveragePool", "QLinearConvTranspose") else ""), node.op
    if node.domain == MICROSOFT and node.attrs.get("channels_last", 0):
        return node.domain, node.op
    return _TWINS.get((node.domain, node.op))


def _rank(node: gs.Node) -> int | None:
    """Of the tensor that ``node`` reads: its own, that of the weights, or as its windows say."""
    if node.inputs[0].shape is not None:
        return len(node.inputs[0].shape)
    weights = [t for t in node.inputs[1:] if is_constant(t) and len(t.shape) > 2]
    windows = node.attrs.get("kernel_shape")
    return len(weights[0].shape) if weights else len(windows) + 2 if windows else None


class _Turns:
    """Transposes in front of and behind one node."""

    def __init__(self, graph: gs.Graph, names: Names, node: gs.Node, rank: int) -> None:
        self._graph, self._names, self._node = graph, names, node
        self._to_front = [0, rank - 1, *range(1, rank - 1)]
        self._to_back = [0, *range(2, rank), 1]

    def read(self, tensor: gs.Tensor) -> gs.Tensor:
        """``tensor`` with its channels first."""
        turned = self._twin(tensor)
        self._add(self._to_front, tensor, turned)
        return turned

    def write(self, tensor: gs.Tensor) -> gs.Tensor:
        """What is to be written with its channels first, for ``tensor``."""
        turned = self._twin(tensor)
        tensor.inputs.clear()
        self._add(self._to_back, turned, tensor)
        return turned

    def _twin(self, tensor: gs.Tensor) -> gs.Variable:
        shape = None if tensor.shape is None else [tensor.shape[i] for i in self._to_front]
        return gs.Variable(self._names.fresh(f"{tensor.name}/channels_first"), tensor.dtype, shape)

    def _add(self, order: list[int], source: gs.Tensor, result: gs.Tensor) -> None:
        node = gs.Node("Transpose", self._names.fresh(f"{self._node.name}/Transpose"), {"perm": order})
        node.attrs[ORIGIN] = origin(self._node)
        node.inputs, node.outputs = [source], [result]
        self._graph.nodes.append(node)
