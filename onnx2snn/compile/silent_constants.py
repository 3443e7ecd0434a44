"""What a silent network carries is computed once: biases that run through synapses beside the trains, from zeros of one sample.

Where levels have an offset, what follows them has a bias that the graph computes: zeros, shaped like one sample, go through
the same operators as the train. Sizes of a sample that the file declares make all of it constants, and what is the same at all
places of an axis stands there once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.compile.draft import Array, is_dialect, is_neuron, reads
from onnx2snn.compile.size_constants import computed
from onnx2snn.model.nodes import needed
from onnx2snn.model.weights import SMALL, SplitModel, hollow, is_hollow

#: Constants of more numbers stay computed: a session would hold them beside the tensors that they are added to.
_MOST = 1 << 22


def without_silence(network: SplitModel) -> SplitModel:
    """The network with constants in place of what it computes of sizes and constants alone."""
    structure = network.structure
    infos = {i.name: i for i in (*structure.graph.value_info, *structure.graph.input)}
    held = {t.name: numpy_helper.to_array(t) for t in structure.graph.initializer if not is_hollow(t)}
    constants: dict[str, Array] = {**held, **network.weights}
    outputs = {info.name for info in structure.graph.output}
    opsets = [o for o in structure.opset_import if not o.domain]
    made = computed(structure.graph, constants, infos, opsets, kept=outputs, most=_MOST)
    if not made:
        return network
    kept = [node for node in structure.graph.node if made.keys().isdisjoint(node.output)]
    return _with_constants(network, needed(kept, list(outputs)), made)


def _with_constants(
    network: SplitModel, nodes: list[onnx.NodeProto], made: Mapping[str, Array]
) -> SplitModel:
    """``network`` of these nodes, with those constants that they read."""
    structure = onnx.ModelProto()
    structure.CopyFrom(network.structure)
    graph, weights = structure.graph, dict(network.weights)
    infos = {info.name: info for info in graph.value_info}
    read = {name for node in nodes for name in reads(node)}
    elsewhere = {n for node in nodes for p, n in enumerate(node.input) if p != 1 or not _adds(node)}
    for name in sorted(read & made.keys()):
        values = made[name] if name in elsewhere else _once(made[name])
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        if name in infos:  # what it declared had all places
            infos[name].CopyFrom(helper.make_tensor_value_info(name, kind, values.shape))
        if values.size > SMALL:
            weights[name] = values
            graph.initializer.append(hollow(name, kind, values.shape))
        else:
            graph.initializer.append(numpy_helper.from_array(values, name))
    del graph.node[:]
    graph.node.extend(nodes)
    return SplitModel(structure, weights)


def _adds(node: onnx.NodeProto) -> bool:
    """Whether its second input is a bias, which broadcasts."""
    return is_neuron(node) or is_dialect(node, "Integrate")


def _once(values: Array) -> Array:
    """``values`` with one place along each axis on which all are the same; without the batch."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        if np.array_equal(np.broadcast_to(first, values.shape), values):
            values = first
    return np.ascontiguousarray(
        values.reshape(values.shape[1:]) if values.ndim > 1 and values.shape[0] == 1 else values
    )
