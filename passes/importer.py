"""From an ONNX model, whatever its opset and spelling, to the graph that passes work on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import inliner, shape_inference, version_converter

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph import is_constant, tidy

#: Everything is brought to this opset, or stays at a newer one: the first with 4- and 16-bit quantisers.
OPSET = 21

_STANDARD = ("", "ai.onnx")


def import_model(model: onnx.ModelProto) -> gs.Graph:
    """Read a model: functions inlined, one opset, constants private to their readers, the batch axis free.

    Raises:
        InvalidModelError: it is not valid ONNX.
    """
    model = _inlined(model)
    model = _upgraded(_without_unused_domains(model))
    model = _inferred(model)
    graph = gs.import_onnx(model)
    _constants_to_initializers(graph)
    _private_constants(graph)
    _name_nodes(graph)
    return tidy(graph)


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    if not model.functions:
        return model
    try:
        return inliner.inline_local_functions(model, convert_version=True)
    except Exception as error:  # whatever the library raises, the file is at fault
        raise InvalidModelError(
            "its functions cannot be inlined", found=str(error).splitlines()[0]
        ) from error


def _without_unused_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    used = {node.domain for node in model.graph.node}
    kept = [o for o in model.opset_import if o.domain in _STANDARD or o.domain in used]
    if len(kept) == len(model.opset_import):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.opset_import[:]
    result.opset_import.extend(kept)
    return result


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default operator set."""
    return next((o.version for o in model.opset_import if o.domain in _STANDARD), 1)


def _upgraded(model: onnx.ModelProto) -> onnx.ModelProto:
    version = opset_of(model)
    if version >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # as above
        raise InvalidModelError(
            f"it cannot be brought from opset {version} to {OPSET}",
            found=str(error).strip().splitlines()[0],
            remedy="export it again with opset 13 or newer",
        ) from error


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # as above
        raise InvalidModelError(
            "its shapes contradict each other", found=str(error).splitlines()[0]
        ) from error


def _constants_to_initializers(graph: gs.Graph) -> None:
    """Constant nodes, and initializers that are listed as inputs too, become constants."""
    for node in list(graph.nodes):
        if node.op != "Constant" or node.domain:
            continue
        tensor = node.outputs[0]
        values = _constant_values(node)
        constant = gs.Constant(tensor.name, values)
        for reader in list(tensor.outputs):
            reader.inputs = [constant if t is tensor else t for t in reader.inputs]
        if not any(tensor is output for output in graph.outputs):
            node.outputs.clear()
    graph.inputs = [t for t in graph.inputs if not is_constant(t)]


def _constant_values(node: gs.Node) -> np.ndarray:
    for key, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if key in node.attrs:
            return np.asarray(node.attrs[key], dtype)
    value = node.attrs.get("value")
    if value is None:
        raise InvalidModelError("this constant has no numbers", node=node.name, operator="Constant")
    return np.asarray(getattr(value, "values", value))


def _private_constants(graph: gs.Graph) -> None:
    seen: Counter[str] = Counter()
    taken = set(graph.tensors())
    for node in graph.nodes:
        for position, tensor in enumerate(node.inputs):
            if not is_constant(tensor):
                continue
            seen[tensor.name] += 1
            if seen[tensor.name] == 1:
                continue
            name = f"{tensor.name}/{seen[tensor.name]}"
            while name in taken:
                name += "_"
            taken.add(name)
            node.inputs[position] = gs.Constant(name, tensor.values)


def _name_nodes(graph: gs.Graph) -> None:
    taken: set[str] = set()
    for number, node in enumerate(graph.nodes):
        stem = node.name or (node.outputs[0].name if node.outputs else f"{node.op}_{number}")
        name, count = stem, 0
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name)
        node.name = name
        node.domain = "" if node.domain in (None, *_STANDARD) else node.domain
