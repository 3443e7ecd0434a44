"""A network that leaves sizes open, with sizes that fit each other: what is added or joined has to have the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import Array
from onnx2snn.graph.exporter import with_outputs
from onnx2snn.operators.linear import is_hold, is_integrate, is_neuron

#: Sizes that are tried, the smallest first: networks halve maps five times, or divide them into windows.
TRIED = (8, 32, 96, 224)


def with_concrete_sizes(graph: gs.Graph, shapes: Mapping[str, tuple[int, ...]] | None = None) -> gs.Graph:
    """A copy whose inputs and levels have the sizes of one sample; ``graph`` itself where none is open, or none was found.

    Args:
        graph: Its activations are Staircase nodes.
        shapes: Of the inputs of one sample (1, ...), where there is one.
    """
    levels = [node.outputs[0] for node in graph.nodes if is_neuron(node)]
    held = [*graph.inputs, *levels]
    if any(tensor.shape is None for tensor in held) or all(map(_is_known, held)):
        return graph
    names = [tensor.name for tensor in levels]
    network = with_outputs(_of_same_sizes(graph), names)
    for inputs in _tried(graph, shapes or {}):
        try:
            found = inputs | network.run(inputs, names)
        except InvalidModelError:
            continue
        copy = graph.copy()
        tensors = copy.tensors()
        for tensor in held:
            tensors[tensor.name].shape = [tensor.shape[0], *found[tensor.name].shape[1:]]
        return copy
    return graph


def _of_same_sizes(graph: gs.Graph) -> gs.Graph:
    """The operators between neurons, which answer in the shape of what they read."""
    copy = graph.copy()
    for node in copy.nodes:
        if is_neuron(node) or is_integrate(node) or is_hold(node):
            node.op, node.domain, node.inputs, node.attrs = "Identity", "", node.inputs[:1], {}
    return copy


def _is_known(tensor: gs.Tensor) -> bool:
    return all(isinstance(size, (int, np.integer)) for size in tensor.shape[1:])


def _tried(graph: gs.Graph, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[dict[str, Array]]:
    if all(t.name in shapes for t in graph.inputs):
        yield {t.name: np.zeros(shapes[t.name], t.dtype) for t in graph.inputs}
    for size in TRIED:
        sizes = {
            t.name: (1, *(s if isinstance(s, (int, np.integer)) else size for s in t.shape[1:]))
            for t in graph.inputs
        }
        yield {t.name: np.zeros(sizes[t.name], t.dtype) for t in graph.inputs}
