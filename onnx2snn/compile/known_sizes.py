"""Sizes that are known stand in the file: a batch that is fixed, what follows from it, and shapes of all tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from onnx2snn.compile.draft import reads, sizes_of
from onnx2snn.compile.network import Network
from onnx2snn.compile.size_constants import computed
from onnx2snn.errors import InputError
from onnx2snn.model.nodes import STANDARD, name_each, needed
from onnx2snn.model.weights import SMALL, SplitModel, is_hollow, weights_as_inputs
from onnx2snn.operators.linear import is_copy
from onnx2snn.runtime.layer_records import compiled_facts, tensors_of

#: What counts and states call the batch.
BATCH = "N"


def with_batch(network: Network, batch: int) -> Network:
    """The network for ``batch`` samples at a time.

    Raises:
        InputError: it takes another number of them.
    """
    structure = onnx.ModelProto()
    structure.CopyFrom(network.split.structure)
    graph = structure.graph
    held = {tensor.name for tensor in graph.initializer}
    shapes = [info.type.tensor_type.shape for info in graph.input if info.name not in held]
    axes = [shape.dim[0] for shape in shapes if shape.dim]
    fixed = {axis.dim_value for axis in axes if axis.HasField("dim_value")} - {batch}
    if fixed:
        remedy = "leave the batch as it is, or fix another one before the network is converted"
        raise InputError("this network fixes its batch", found=fixed.pop(), remedy=remedy)
    names = {axis.dim_param for axis in axes} | {BATCH}
    for info in (*graph.input, *graph.output, *graph.value_info):
        for axis in info.type.tensor_type.shape.dim:
            if axis.dim_param in names - {""}:
                axis.dim_value = batch
    for axis in axes:
        axis.dim_value = batch
    return dataclasses.replace(network, split=SplitModel(structure, network.split.weights))


def settled(network: SplitModel) -> SplitModel:
    """A finished graph, its tensors' shapes declared and what follows from known sizes alone computed.

    1. ``Shape`` of a tensor whose sizes are known, and operators that read nothing but small constants, are constants.
    2. What only copies is gone: whoever makes a tensor writes it under the name of its copy, which is the network's own.
    3. Each node has a name, each tensor a shape where it can be inferred.

    What has become a constant may tell further sizes: it goes on until nothing more is known.
    """
    structure = onnx.ModelProto()
    structure.CopyFrom(network.structure)
    infos, open_ = _inferred(structure), len(structure.graph.node) + 1
    while (left := sum(map(_is_open, infos.values()))) < open_:
        open_ = left
        _settle(structure, infos)
        infos = _inferred(structure)
    made_here = {name for node in structure.graph.node for name in node.output}
    made_here -= {info.name for info in structure.graph.output}
    structure.graph.value_info.extend(info for name, info in infos.items() if name in made_here)
    for info in structure.graph.output:
        _complete(info, infos.get(info.name))
    return SplitModel(structure, network.weights)


def _is_open(info: onnx.ValueInfoProto) -> bool:
    """Whether a size is not known."""
    sizes = sizes_of(info)
    return sizes is None or None in sizes


def _settle(structure: onnx.ModelProto, infos: Mapping[str, onnx.ValueInfoProto]) -> None:
    """1 and 2 of :func:`settled`, and names."""
    graph = structure.graph
    held = {t.name: numpy_helper.to_array(t) for t in graph.initializer if not is_hollow(t)}
    constants = {name: values for name, values in held.items() if np.size(values) <= SMALL}
    opsets = [o for o in structure.opset_import if o.domain in STANDARD]
    outputs = {info.name for info in graph.output} | set(_trains(structure))
    made = computed(graph, constants, infos, opsets, kept=outputs, most=SMALL)
    kept = [node for node in graph.node if made.keys().isdisjoint(node.output)]
    nodes = _without_copies(needed(kept, outputs), outputs)
    name_each(nodes)
    read = {name for node in nodes for name in node.input} | outputs
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    stored = [t for t in graph.initializer if t.name in read]
    stored += [numpy_helper.from_array(v, n) for n, v in made.items() if n in read]
    del graph.initializer[:]
    graph.initializer.extend(stored)


def _trains(structure: onnx.ModelProto) -> list[str]:
    """Tensors that the metadata names."""
    facts = compiled_facts({entry.key: entry.value for entry in structure.metadata_props}) or {}
    held = facts.get("trains", {}).values()
    return [name for train in held for name in tensors_of(train)]


def _inferred(structure: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """What is known of all tensors."""
    bare = weights_as_inputs(structure)
    for info in bare.graph.output:  # what is declared would stand in the way of what follows
        info.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    return {info.name: info for info in (*graph.value_info, *graph.input, *graph.output)}


def _without_copies(nodes: Sequence[onnx.NodeProto], outputs: Collection[str]) -> list[onnx.NodeProto]:
    """``nodes``, new ones, without Identity where nobody needs both its names."""
    if any(reads(node) != set(filter(None, node.input)) for node in nodes):
        return list(nodes)  # names that subgraphs read stay
    made = {name for node in nodes for name in node.output}
    names: dict[str, str] = {}
    for node in nodes:
        if is_copy(node):
            before, copy = names.get(node.input[0], node.input[0]), node.output[0]
            if before in made and before not in outputs:
                names |= {old: copy for old, new in names.items() if new == before} | {before: copy}
            elif copy not in outputs:
                names[copy] = before
    kept = []
    for node in nodes:
        other = onnx.NodeProto()
        other.CopyFrom(node)
        other.input[:] = [names.get(name, name) for name in node.input]
        other.output[:] = [names.get(name, name) for name in node.output]
        if not is_copy(node) or other.input != other.output:
            kept.append(other)
    return kept


def _complete(info: onnx.ValueInfoProto, found: onnx.ValueInfoProto | None) -> None:
    """Sizes that an output does not declare, and that are known."""
    if found is None or not found.type.tensor_type.HasField("shape"):
        return
    declared, inferred = info.type.tensor_type, found.type.tensor_type
    if not declared.HasField("shape"):
        declared.shape.CopyFrom(inferred.shape)
    for axis, size in zip(declared.shape.dim, inferred.shape.dim, strict=False):
        if size.HasField("dim_value") and not axis.HasField("dim_value"):
            axis.dim_value = size.dim_value
