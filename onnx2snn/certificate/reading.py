"""Where the source's own file holds its levels: its tensors, as they are, or moved and scaled by constants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import inliner

from onnx2snn.graph.core import is_constant, tidy
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.weights import SplitModel, weights_as_inputs
from onnx2snn.operators import of


def open_functions(model: SplitModel) -> SplitModel:
    """The file with its functions inlined, as a runtime does it, so that tensors inside of them can be read."""
    light = weights_as_inputs(model.structure)
    inlined: onnx.ModelProto = inliner.inline_local_functions(light, convert_version=True)
    return SplitModel(inlined, model.weights)


def with_tensors(model: SplitModel, tensors: Iterable[str]) -> SplitModel:
    """The file as it is, with these tensors as further outputs."""
    instrumented = onnx.ModelProto()
    instrumented.CopyFrom(model.structure)
    have = {output.name for output in instrumented.graph.output}
    added = [onnx.ValueInfoProto(name=name) for name in tensors if name not in have]
    instrumented.graph.output.extend(added)
    return SplitModel(instrumented, model.weights)


def written_tensors(model: SplitModel) -> frozenset[str]:
    """Names of what the nodes of the file write."""
    return frozenset(name for node in model.structure.graph.node for name in node.output if name)


def written_codes(model: SplitModel) -> frozenset[str]:
    """Names of the integers among them."""
    nodes = model.structure.graph.node
    return frozenset(name for node in nodes if of(node).whole for name in node.output if name)


def origins(
    graph: gs.Graph, activations: Iterable[str], there: Collection[str], better: Collection[str] = ()
) -> dict[str, str]:
    """By activation of the normalised ``graph``, the tensor ``there`` in the file that it is a move of; others are left out.

    Those that are ``better`` are preferred to nearer ones: where floats are coarse, values of codes are rounded, codes are not.
    """
    tensors = graph.tensors()
    found = {name: list(_back(tensors[name])) for name in activations}
    chosen = {
        name: next((t for t in way if t in better), None) or next((t for t in way if t in there), None)
        for name, way in found.items()
    }
    return {name: origin for name, origin in chosen.items() if origin is not None}


def _back(tensor: gs.Tensor) -> Iterator[str]:
    """The tensors in front, over what decides nothing: layouts, and the lines that make values of codes."""
    while True:
        yield str(tensor.name)
        node = tensor.inputs[0] if tensor.inputs else None
        if node is None or not (of(node).plain or of(node).moves or of(node).line):
            return
        signals = [t for t in node.inputs if not is_constant(t) and not t.is_empty()]
        if len(signals) != 1:
            return
        tensor = signals[0]


def moves(graph: gs.Graph, found: Mapping[str, str]) -> SplitModel:
    """What makes activations of the tensors of the file: these, in float32, are its inputs."""
    return resumed(graph, dict.fromkeys(found.values()), [n for n, origin in found.items() if n != origin])


def resumed(graph: gs.Graph, given: Iterable[str], wanted: Iterable[str]) -> SplitModel:
    """The part of the normalised form that leads from tensors that are ``given``, and its inputs, to those ``wanted``."""
    copy = graph.copy()
    tensors = copy.tensors()
    entrances = [tensors[name] for name in given]
    for tensor in entrances:
        tensor.inputs.clear()
        tensor.dtype = np.float32
    copy.inputs = [*copy.inputs, *entrances]
    copy.outputs = [tensors[name] for name in wanted]
    copy = tidy(copy)
    copy.inputs = [tensor for tensor in copy.inputs if tensor.outputs]
    return to_split_model(copy)


def responses(graph: gs.Graph, activations: Iterable[str]) -> SplitModel:
    """The normalised form, each activation made of those before it, which are given: ``<name>/own`` are its outputs."""
    copy = graph.copy()
    tensors = copy.tensors()
    copy.outputs = []
    for name in activations:
        given = tensors[name]
        own = gs.Variable(own_name(name), given.dtype, given.shape)
        maker = given.inputs[0]
        maker.outputs = [own if tensor is given else tensor for tensor in maker.outputs]
        given.dtype = np.float32
        copy.inputs.append(given)
        copy.outputs.append(own)
    copy = tidy(copy)
    copy.inputs = [tensor for tensor in copy.inputs if tensor.outputs]
    return to_split_model(copy)


def own_name(activation: str) -> str:
    """What :func:`responses` calls the answer of an activation."""
    return f"{activation}/own"
