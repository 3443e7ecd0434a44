"""Where each tensor counts samples: on axis 0 of the inputs, and wherever operators carry them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.dataflow import influenced_by
from onnx2snn.graph.walks import carried, forward
from onnx2snn.operators import of
from onnx2snn.operators.batch import Samples, kept_behind
from onnx2snn.operators.linear import from_sizes
from onnx2snn.operators.symbolic_sizes import spelled_sizes

#: In place of an axis, of an output that cannot be put together of parts.
NOWHERE = -1


def sample_axes(graph: gs.Graph) -> dict[str, Samples]:
    """By tensor name; not there for constants, and where samples are mixed or unknown. Needs inferred shapes."""
    return carried(graph.nodes, _of_results, {t.name: Samples(0) for t in graph.inputs if t.shape})


def fixed_batches(graph: gs.Graph) -> set[int]:
    """The batches that inputs fix; others may leave theirs open, and take what these want."""
    return {int(t.shape[0]) for t in graph.inputs if t.shape and isinstance(t.shape[0], (int, np.integer))}


def axes_of_outputs(graph: gs.Graph) -> dict[str, int]:
    """The axis of samples, of outputs whose sizes do not tell it.

    1. The network fixes its batch: outputs whose samples lie on another axis than the first.
    2. It takes any: those whose rows values select lie on none (−1), for rows name their samples, or belong to all of them;
       and those that say how many samples there are.
    """
    if not fixed_batches(graph):
        picked = influenced_by(graph, lambda node: of(node).selects) | _counting_samples(graph)
        return {t.name: NOWHERE for t in graph.outputs if id(t) in picked}
    elsewhere = axes_elsewhere(graph)
    return {t.name: elsewhere[t.name] for t in graph.outputs if t.name in elsewhere}


def axes_elsewhere(graph: gs.Graph) -> dict[str, int]:
    """Of a network that fixes its batch, the axis of samples in tensors that count them on another than the first, by name."""
    if not fixed_batches(graph):
        return {}
    return {n: s.axis for n, s in sample_axes(graph).items() if s.axis > 0 and s.outer == s.inner == 1}


def _counting_samples(graph: gs.Graph) -> set[int]:
    """Tensors, by id, that sizes alone decide, among them that of the batch, as far as is known."""
    known = {str(size) for t in graph.inputs for size in (t.shape or ())[1:]}
    known -= {str(t.shape[0]) for t in graph.inputs if t.shape}

    def passes(node: gs.Node, read: list[bool]) -> bool:
        said = [spelled_sizes(tensor) for tensor in node.outputs]
        if said and all(entries is not None and None not in entries for entries in said):
            named = {entry for entries in said for entry in entries or () if isinstance(entry, str)}
            return not named <= known
        return of(node).sizes or any(read)

    return forward(graph.nodes, passes) & from_sizes(graph)


def _of_results(node: gs.Node, found: dict[str, Samples]) -> Iterator[tuple[str, Samples]]:
    read = next((t for t in node.inputs if t.name in found), None)
    if read is None or read.shape is None or node.domain:
        return
    rule = of(node).batch or kept_behind
    for tensor in node.outputs:
        samples = None if tensor.shape is None else rule(node, read, found[read.name], tensor)
        if samples is not None and 0 <= samples.axis < len(tensor.shape):
            yield tensor.name, samples
