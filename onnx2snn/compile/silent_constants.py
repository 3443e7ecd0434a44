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

from onnx2snn.compile.draft import Array, attributes, is_dialect, is_neuron, reads, sizes_of
from onnx2snn.compile.one_node import session_of
from onnx2snn.model.nodes import is_own, needed
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
    made: dict[str, Array] = {}
    kept = []
    for node in structure.graph.node:
        found = None if outputs.intersection(node.output) else _computed(node, constants, infos, opsets)
        if found is None:
            kept.append(node)
        else:
            made |= found
            constants |= found
    if not made:
        return network
    return _with_constants(network, needed(kept, list(outputs)), made)


def _computed(
    node: onnx.NodeProto,
    constants: Mapping[str, Array],
    infos: Mapping[str, onnx.ValueInfoProto],
    opsets: list[onnx.OperatorSetIdProto],
) -> dict[str, Array] | None:
    """The values that ``node`` writes, where sizes of a sample and constants decide them."""
    if is_own(node, "Shape"):
        return _sizes(node, infos)
    names = list(filter(None, node.input))
    if node.domain or not names or any(name not in constants for name in names) or reads(node) != set(names):
        return None
    written = [onnx.ValueInfoProto(name=name) for name in node.output]
    read = {name: constants[name] for name in names}
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in read.items()}
    graph = helper.make_graph(
        [node],
        "silence",
        [helper.make_tensor_value_info(n, k, read[n].shape) for n, k in kinds.items()],
        written,
    )
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    feeds = {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in read.items()}
    try:
        answers = session_of(model).run(None, feeds)
    except Exception:  # noqa: BLE001 - a damaged network is told by the session that runs it whole
        return None
    found = dict(zip(node.output, answers, strict=True))
    return found if all(value.size <= _MOST for value in found.values()) else None


def _sizes(node: onnx.NodeProto, infos: Mapping[str, onnx.ValueInfoProto]) -> dict[str, Array] | None:
    """The sizes that a ``Shape`` asks for, if they are declared."""
    sizes, limits = sizes_of(infos[node.input[0]]) if node.input[0] in infos else None, attributes(node)
    asked = None if sizes is None else sizes[limits.get("start", 0) : limits.get("end")]
    if not asked or None in asked:
        return None
    return {node.output[0]: np.array(asked, np.int64)}


def _with_constants(
    network: SplitModel, nodes: list[onnx.NodeProto], made: Mapping[str, Array]
) -> SplitModel:
    """``network`` of these nodes, with those constants that they read."""
    structure = onnx.ModelProto()
    structure.CopyFrom(network.structure)
    graph, weights = structure.graph, dict(network.weights)
    read = {name for node in nodes for name in reads(node)}
    elsewhere = {n for node in nodes for p, n in enumerate(node.input) if p != 1 or not _adds(node)}
    for name in sorted(read & made.keys()):
        values = made[name] if name in elsewhere else _once(made[name])
        if values.size > SMALL:
            weights[name] = values
            graph.initializer.append(
                hollow(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
            )
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
