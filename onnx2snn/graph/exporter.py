"""From the graph that passes work on back to an ONNX model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import helper, numpy_helper
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter, update_import_domains

from onnx2snn.graph.bodies import close_bodies
from onnx2snn.graph.core import INSIDE, Array, is_constant, needed_for, tidy
from onnx2snn.model.domains import imports_of
from onnx2snn.model.reference import Reference
from onnx2snn.model.weights import IR_VERSION, SMALL, SplitModel, hollow

#: Attributes with this prefix are the passes' own notes.
PRIVATE = "_onnx2snn"


def to_model(graph: gs.Graph) -> onnx.ModelProto:
    """The graph as a model; notes of the passes are left out, equal constants are stored once."""
    return to_split_model(graph).whole()


def to_split_model(graph: gs.Graph, wanted: Sequence[gs.Tensor] | None = None) -> SplitModel:
    """As :func:`to_model`, the large weights left in the arrays where they are. The graph is not copied.

    Args:
        graph: In topological order.
        wanted: What to compute instead of the graph's outputs: what they do not need is left out.
    """
    if wanted is not None:
        needed = needed_for(wanted)
        inputs = [t for t in graph.inputs if any(id(reader) in needed for reader in t.outputs)]
        export = _Export([n for n in graph.nodes if id(n) in needed], inputs, wanted)
    else:
        export = _Export(graph.nodes, graph.inputs, graph.outputs)
    proto = export.graph(graph)
    functions = [OnnxExporter.export_function(function) for function in graph.functions]
    imports = imports_of(proto.node, update_import_domains(graph), functions)
    model = helper.make_model(proto, opset_imports=imports, functions=functions)
    model.producer_name, model.producer_version = graph.producer_name or "", graph.producer_version or ""
    # Not the newest that the onnx package knows: onnxruntime may be older.
    model.ir_version = graph.ir_version or max(
        IR_VERSION, helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    )
    return SplitModel(model, export.weights)


class _Export:
    """Nodes and tensors on their way into a model.

    Attributes:
        weights: The large constants, by name.
    """

    def __init__(
        self, nodes: Sequence[gs.Node], inputs: Sequence[gs.Tensor], outputs: Sequence[gs.Tensor]
    ) -> None:
        self.weights: dict[str, Array] = {}
        self._nodes, self._inputs, self._outputs = nodes, inputs, outputs
        self._first: dict[tuple[object, ...], gs.Constant] = {}

    def graph(self, graph: gs.Graph) -> onnx.GraphProto:
        """All of them."""
        nodes = [self._node(node) for node in self._nodes]
        small = {id(t): t for t in self._first.values() if t.name not in self.weights}
        initializers = [_stored(tensor) for tensor in small.values()]
        large = [t for t in self._first.values() if t.name in self.weights]
        initializers += [
            hollow(t.name, helper.np_dtype_to_tensor_dtype(np.dtype(t.dtype)), t.shape) for t in large
        ]
        return helper.make_graph(
            nodes,
            graph.name,
            [_described(tensor) for tensor in self._inputs],
            [_described(tensor) for tensor in self._outputs],
            initializers,
            doc_string=graph.doc_string,
            value_info=[_described(tensor) for tensor in self._between()],
        )

    def _node(self, node: gs.Node) -> onnx.NodeProto:
        read = [self._shared(t).name if is_constant(t) else t.name for t in node.inputs]
        proto: onnx.NodeProto = helper.make_node(
            node.op, read, [t.name for t in node.outputs], name=node.name, domain=node.domain
        )
        kept = {k: value for k, value in node.attrs.items() if k == INSIDE or not k.startswith(PRIVATE)}
        proto.attribute.extend(OnnxExporter.export_attributes(kept))
        close_bodies(proto)
        return proto

    def _shared(self, tensor: gs.Constant) -> gs.Constant:
        """The first constant with these values."""
        values = tensor.values
        key: tuple[object, ...] = (id(values),)
        if values.size <= 64:
            key = (str(values.dtype), values.shape, np.ascontiguousarray(values).tobytes())
        first = self._first.setdefault(key, tensor)
        if first is tensor and math.prod(values.shape) > SMALL and values.dtype.isbuiltin == 1:
            self.weights[tensor.name] = np.ascontiguousarray(values)  # runtimes take no other
        return first

    def _between(self) -> Iterator[gs.Tensor]:
        """Tensors inside, of which something is known."""
        ends = {id(t) for t in (*self._inputs, *self._outputs)}
        found: dict[int, gs.Tensor] = {}
        for node in self._nodes:
            for tensor in (*node.inputs, *node.outputs):
                known = not is_constant(tensor) and (tensor.dtype is not None or tensor.shape is not None)
                if known and id(tensor) not in ends:
                    found.setdefault(id(tensor), tensor)
        yield from found.values()


def _described(tensor: gs.Tensor) -> onnx.ValueInfoProto:
    """What is known of a tensor; the library takes types that numpy has not for others, or does not know them."""
    kind = tensor.dtype
    if not isinstance(kind, np.dtype) or kind.isbuiltin == 1:
        return OnnxExporter.export_value_info_proto(tensor, do_type_check=False)
    alike = gs.Variable(tensor.name, np.float32, tensor.shape)
    info = OnnxExporter.export_value_info_proto(alike, do_type_check=False)
    info.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(kind)
    return info


def _stored(tensor: gs.Constant) -> onnx.TensorProto:
    """An initializer; numbers of types that numpy has not are packed, two of 4 bits in a byte, and text is text."""
    if tensor.values.dtype.isbuiltin != 1 or tensor.values.dtype.kind in "OSU":
        return numpy_helper.from_array(tensor.values, tensor.name)
    return OnnxExporter.export_tensor_proto(tensor)


def declared_as(model: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """``model``, its inputs and outputs with the types and shapes that ``source`` declares, dynamic axes too; in place."""
    for ours, theirs in ((model.graph.input, source.graph.input), (model.graph.output, source.graph.output)):
        declared = {info.name: info for info in theirs}
        for info in ours:
            if info.name in declared:
                info.CopyFrom(declared[info.name])
    return model


def with_outputs(graph: gs.Graph, names: Sequence[str]) -> Reference:
    """The network, loaded, with further outputs."""
    copy = graph.copy()
    tensors = copy.tensors()
    have = {t.name for t in copy.outputs}
    copy.outputs = [*copy.outputs, *(tensors[n] for n in dict.fromkeys(names) if n not in have)]
    return Reference(to_model(tidy(copy)))
