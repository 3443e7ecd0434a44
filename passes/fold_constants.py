"""Constants computed once: by onnxruntime, all foldable nodes in one run."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import graph_pass, is_constant, tidy
from onnx2snn.passes.exporter import to_model
from onnx2snn.reference import run_reference

#: Not the same at every run, or not wanted as a number.
UNFOLDABLE = {
    "RandomNormal",
    "RandomUniform",
    "RandomNormalLike",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
}

#: A constant larger than this, and than what it is made from, is left to be computed.
MAX_VALUES = 1 << 24


@graph_pass
def fold_constants(graph: gs.Graph) -> gs.Graph:
    """Replace every node that reads constants only by its value, and shapes that are known by theirs."""
    known_shapes(graph)
    foldable: dict[int, gs.Node] = {}
    constant: set[int] = set()
    for node in graph.nodes:
        if node.domain or node.op in UNFOLDABLE or any(True for _ in node.subgraphs()) or not node.outputs:
            continue
        if all(is_constant(t) or t.is_empty() or id(t) in constant for t in node.inputs):
            if _too_large(node):
                continue
            foldable[id(node)] = node
            constant.update(id(t) for t in node.outputs)
    wanted = [t for n in foldable.values() for t in n.outputs if _is_read_outside(t, foldable, graph)]
    if not wanted:
        return graph
    for tensor, values in zip(wanted, _values(graph, wanted), strict=True):
        _become(tensor, values)
    return graph


def known_shapes(graph: gs.Graph) -> None:
    """Case of its own: Shape (or Size) of a tensor with static sizes is a constant."""
    for node in list(graph.nodes):
        if node.op != "Shape" or node.domain:
            continue
        shape = node.inputs[0].shape
        if shape is None:
            continue
        part = list(shape)[slice(node.attrs.get("start", 0), node.attrs.get("end"))]
        if all(isinstance(s, (int, np.integer)) for s in part):
            _become(node.outputs[0], np.array(part, np.int64))


def _too_large(node: gs.Node) -> bool:
    shape = node.outputs[0].shape
    if shape is None or not all(isinstance(s, (int, np.integer)) for s in shape):
        return False
    size = int(np.prod(shape, dtype=np.float64)) if shape else 1
    read = max((int(np.prod(t.shape)) for t in node.inputs if is_constant(t)), default=0)
    return size > MAX_VALUES and size > 2 * read


def _is_read_outside(tensor: gs.Tensor, foldable: dict[int, gs.Node], graph: gs.Graph) -> bool:
    if any(tensor is output for output in graph.outputs):
        return False
    return any(id(reader) not in foldable for reader in tensor.outputs)


def _values(graph: gs.Graph, wanted: list[gs.Tensor]) -> list[np.ndarray]:
    copy = graph.copy()
    tensors = copy.tensors()
    copy.inputs = []
    copy.outputs = [tensors[t.name] for t in wanted]
    for output in copy.outputs:
        output.dtype = output.dtype or np.float32
    answers = run_reference(to_model(tidy(copy)), {})
    return [np.asarray(answers[t.name]) for t in wanted]


def _become(tensor: gs.Tensor, values: np.ndarray) -> None:
    """Every reader of ``tensor`` gets a constant of its own."""
    for reader in list(tensor.outputs):
        for position, read in enumerate(reader.inputs):
            if read is tensor:
                name = f"{tensor.name}/folded/{reader.name}/{position}"
                reader.inputs[position] = gs.Constant(name, values)
