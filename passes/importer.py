"""From an ONNX model, whatever its opset and spelling, to the graph that passes work on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import inliner

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.bodies import open_bodies
from onnx2snn.graph.core import Array, Names, is_constant, tidy
from onnx2snn.model.nodes import STANDARD
from onnx2snn.model.weights import SplitModel, split_model, weights_as_inputs
from onnx2snn.operators import of
from onnx2snn.passes.normalise.inference import inferred
from onnx2snn.passes.normalise.refuse_foreign import refuse_foreign
from onnx2snn.passes.normalise.upgrade_opset import opset_of, upgrade_opset

#: A model whose functions unfold to more nodes is refused.
MAX_NODES = 1_000_000

__all__ = ["import_model", "opset_of"]


def import_model(model: onnx.ModelProto | SplitModel) -> gs.Graph:
    """Read a model: functions inlined, one opset, constants private to their readers, nodes named.

    Names of tensors are the file's own. ``model`` is not changed.

    Raises:
        InvalidModelError: it is not valid ONNX, or of an opset from the future.
        ConversionError: it holds what only the tools know that wrote it.
    """
    split = model if isinstance(model, SplitModel) else split_model(model)
    light = _inlined(weights_as_inputs(split.structure))
    _tidy_domains(light)
    graph = gs.import_onnx(_inferred(upgrade_opset(light)))
    open_bodies(graph)
    _attach(graph, split.weights)
    _constant_nodes(graph)
    _constant_outputs(graph)
    _drop_empty_attributes(graph)
    _write_lists_left_out(graph)
    _private_constants(graph)
    _name_nodes(graph)
    _numpy_types(graph)
    refuse_foreign(graph)
    return tidy(graph)


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    if not model.functions:
        return model
    expanded = _expanded_nodes(model)
    if expanded > MAX_NODES:
        raise InvalidModelError(
            "its functions unfold to too many nodes",
            found=f"{expanded}; at most {MAX_NODES}",
            remedy="export the network again without functions that call each other so often",
        )
    try:
        inlined: onnx.ModelProto = inliner.inline_local_functions(model, convert_version=True)
    except Exception as error:  # whatever the library raises, the file is at fault
        raise InvalidModelError(
            "its functions cannot be inlined",
            found=_first_line(error),
            remedy="export the network again; onnx.inliner.inline_local_functions says what is wrong with its functions",
        ) from error
    return inlined


def _expanded_nodes(model: onnx.ModelProto) -> int:
    """Nodes after inlining; functions that call each other twice grow exponentially. The checker refused recursion."""
    functions = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Iterable[onnx.NodeProto]) -> int:
        return sum(called((node.domain, node.op_type)) for node in nodes)

    def called(name: tuple[str, str]) -> int:
        if name in functions and name not in sizes:
            sizes[name] = size(functions[name].node)
        return sizes.get(name, 1)

    return size(model.graph.node)


def _tidy_domains(model: onnx.ModelProto) -> None:
    """One name for the standard domain; domains that nothing uses are not asked for."""
    for node in model.graph.node:
        if node.domain in STANDARD:
            node.domain = ""
    used = {node.domain for node in model.graph.node}
    kept = [o for o in model.opset_import if o.domain in STANDARD or o.domain in used]
    versions = {"" if o.domain in STANDARD else o.domain: o.version for o in kept}
    del model.opset_import[:]
    model.opset_import.extend(
        onnx.helper.make_opsetid(domain, version) for domain, version in versions.items()
    )


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return inferred(model)
    except Exception as error:  # as above
        raise InvalidModelError(
            "its shapes contradict each other",
            found=_first_line(error),
            remedy="export the network again; onnx.checker.check_model(path, full_check=True) says where",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _attach(graph: gs.Graph, weights: Mapping[str, Array]) -> None:
    """Large weights, and initializers that are listed as inputs, are constants and no inputs."""
    for tensor in graph.inputs:
        if tensor.name in weights:
            _instead(graph, tensor, gs.Constant(tensor.name, weights[tensor.name]))
    graph.inputs = [t for t in graph.inputs if t.name not in weights and not is_constant(t)]


def _constant_nodes(graph: gs.Graph) -> None:
    """What such a node writes is a constant, for the nodes that read it and for whoever runs the graph."""
    for node in graph.nodes:
        if of(node).constant:
            tensor = node.outputs[0]
            _instead(graph, tensor, gs.Constant(tensor.name, _constant_values(node)))
            node.outputs.clear()


def _instead(graph: gs.Graph, tensor: gs.Tensor, constant: gs.Constant) -> None:
    """Nodes that read ``tensor``, and whoever runs the graph, get ``constant``."""
    for reader in list(tensor.outputs):
        reader.inputs = [constant if t is tensor else t for t in reader.inputs]
    graph.outputs = [constant if t is tensor else t for t in graph.outputs]


def _constant_values(node: gs.Node) -> Array:
    for key, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_string", object),
        ("value_strings", object),
    ):
        if key in node.attrs:
            return np.asarray(node.attrs[key], dtype)
    value = node.attrs.get("value")
    if value is None:
        raise InvalidModelError(
            "this constant has no numbers",
            node=node.name,
            operator="Constant",
            remedy="export the network again",
        )
    return np.asarray(getattr(value, "values", value))


def _drop_empty_attributes(graph: gs.Graph) -> None:
    """An attribute that is a list of nothing says nothing, not even of what: the operator's default holds."""
    for nodes in (graph.nodes, *(subgraph.nodes for subgraph in graph.subgraphs(recursive=True))):
        for node in nodes:
            for name in [name for name, value in node.attrs.items() if isinstance(value, list) and not value]:
                del node.attrs[name]


def _write_lists_left_out(graph: gs.Graph) -> None:
    """Lists that an operator (MeanVarianceNormalization) leaves to their default: a strict check does not read it."""
    for node in graph.nodes:
        if not node.domain and onnx.defs.has(node.op):
            for name, attribute in onnx.defs.get_schema(node.op, graph.opset).attributes.items():
                if attribute.default_value.ints:
                    node.attrs.setdefault(name, list(attribute.default_value.ints))


def _constant_outputs(graph: gs.Graph) -> None:
    """A graph output that is a constant is written by an Identity, as every other output is by a node."""
    names = Names(graph)
    for position, tensor in enumerate(graph.outputs):
        if is_constant(tensor):
            output = gs.Variable(tensor.name, tensor.dtype, list(tensor.shape))
            constant = gs.Constant(names.fresh(f"{tensor.name}/value"), tensor.values)
            _instead(graph, tensor, constant)
            graph.nodes.append(gs.Node("Identity", tensor.name, inputs=[constant], outputs=[output]))
            graph.outputs[position] = output


def _private_constants(graph: gs.Graph) -> None:
    """Each constant belongs to one node input; copies share their values and are named ``name/2``, ``name/3`` ..."""
    taken = set(graph.tensors())
    count: dict[str, int] = {}
    for node in graph.nodes:
        for position, tensor in enumerate(node.inputs):
            if not is_constant(tensor):
                continue
            number = count[tensor.name] = count.get(tensor.name, 0) + 1
            if number == 1:
                continue
            name = f"{tensor.name}/{number}"
            while name in taken:
                name += "_"
            taken.add(name)
            node.inputs[position] = gs.Constant(name, tensor.values)


def _name_nodes(graph: gs.Graph) -> None:
    """Nodes without a name take that of their first output; a name that was taken is numbered."""
    taken: set[str] = set()
    for number, node in enumerate(graph.nodes):
        stem = node.name or (node.outputs[0].name if node.outputs else f"{node.op}_{number}")
        name, count = stem, 0
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name)
        node.name = name
        node.domain = node.domain or ""


def _numpy_types(graph: gs.Graph) -> None:
    """Element types that numpy has not (bfloat16, 4 bits) are numpy's all the same, by ``ml_dtypes``.

    What is no tensor (sequences, optionals) has neither a type nor a shape here, unless it is an input or output of the graph.
    """
    ends = {id(tensor) for tensor in (*graph.inputs, *graph.outputs)}
    for nodes in (graph.nodes, *(subgraph.nodes for subgraph in graph.subgraphs(recursive=True))):
        for tensor in (t for node in nodes for t in [*node.inputs, *node.outputs]):
            if isinstance(tensor, gs.Variable) and tensor.type != "tensor_type" and id(tensor) not in ends:
                tensor.dtype = tensor.shape = None
            if isinstance(tensor.dtype, int):
                if is_constant(tensor):
                    tensor.values = np.asarray(tensor.values)
                else:
                    tensor.dtype = _numpy_type(tensor.dtype)


def _numpy_type(code: int) -> np.dtype[Any] | None:
    try:
        return onnx.helper.tensor_dtype_to_np_dtype(code)
    except (KeyError, ValueError):
        return None
