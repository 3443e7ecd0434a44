"""What a converted file declares beside its synapses: the bodies of its neurons, and how to count synaptic operations."""

from __future__ import annotations

import tempfile
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import numpy_helper

from onnx2snn.data import DataSet
from onnx2snn.dialect.functions import DOMAIN, VERSION, function_body
from onnx2snn.dialect.layer_table import (
    Layer,
    read_counting_graph,
    read_layer_table,
    write_counting_graph,
)
from onnx2snn.dialect.synops import counting_graph
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import Array
from onnx2snn.model.files import save_model
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime import Result, SpikingSession

#: Samples on which synaptic operations are counted in two ways.
COUNTED = 4


def check_declared(network: SplitModel, samples: DataSet) -> None:
    """Compare with what the dialect says.

    Raises:
        InvalidModelError: a neuron computes something else in other runtimes than here, or synaptic operations are
            counted of another network.
    """
    table = read_layer_table(network.structure)
    _check_bodies(network.structure, table)
    _check_counting(network, table, samples)


def _check_bodies(converted: onnx.ModelProto, table: dict[str, Any]) -> None:
    """Our runtime puts its own bodies in place of the file's; whoever runs the file as it is has to get the same.

    Dialect 1 wrote other bodies; files of it are held to their answers alone.
    """
    if table["dialect"] < VERSION:
        return
    opset = next(o.version for o in converted.opset_import if o.domain in ("", "ai.onnx"))
    held = {f.name: f for f in converted.functions if f.domain == DOMAIN}
    execution, bias = str(table.get("execution", "spiking")), str(table.get("bias", "once"))
    for name in sorted({node.op_type for node in converted.graph.node if node.domain == DOMAIN}):
        try:
            body = function_body(
                name, timesteps=table["timesteps"], execution=execution, bias=bias, opset=opset
            )
        except ValueError as error:
            raise _foreign(name, str(error)) from error
        if name not in held:
            raise _foreign(name, "no body: another tool has dropped the functions of the file")
        if not same_function(held[name], body):
            raise _foreign(name, "another body than the dialect gives it")


def _foreign(operator: str, found: str) -> InvalidModelError:
    return InvalidModelError(
        "the neurons of this model are not those of the dialect",
        operator=operator,
        found=found,
        remedy="convert the source again",
    )


def _check_counting(network: SplitModel, table: dict[str, Any], samples: DataSet) -> None:
    remedy = "convert the source again"
    try:
        fragment = read_counting_graph(network.structure)
        if fragment is None:
            return
        fresh = counting_graph(network.structure, [Layer(**entry) for entry in table["layers"]])
    except Exception as error:  # a damaged file breaks either in its own way
        raise InvalidModelError("the counting graph of this model is damaged", remedy=remedy) from error
    if fragment == fresh:
        return
    inputs = next(samples.batches(COUNTED)).inputs
    other = onnx.ModelProto()
    other.CopyFrom(network.structure)
    write_counting_graph(other, fresh)
    ours, theirs = _counted(SplitModel(other, network.weights), inputs), _counted(network, inputs)
    for name, count in ours.synops.items():
        if not np.array_equal(count, theirs.synops.get(name, np.zeros(0))):
            raise InvalidModelError(
                "the counting graph of this model is not that of its synapses", node=name, remedy=remedy
            )


def _counted(network: SplitModel, inputs: Mapping[str, Array]) -> Result:
    """What a network spends, as its own counting graph has it; written to a file, as large networks have to be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snn.onnx"
        save_model(network, path)
        return SpikingSession(path, execution="fused").run(inputs)


#: Attributes of a Constant that hold plain values, and the element types that they stand for.
_PLAIN = {
    "value_int": onnx.TensorProto.INT64,
    "value_ints": onnx.TensorProto.INT64,
    "value_float": onnx.TensorProto.FLOAT,
    "value_floats": onnx.TensorProto.FLOAT,
}


#: What a tensor holds: the number of an expression, or which input of which graph, and which of several results.
Value: TypeAlias = tuple[Hashable, int]


def same_function(one: onnx.FunctionProto, other: onnx.FunctionProto) -> bool:
    """Whether both have the same signature and operator set, and each output is the same expression of the inputs."""
    known: dict[Hashable, int] = {}
    return _signature(one) == _signature(other) and _of_function(one, known) == _of_function(other, known)


def _signature(function: onnx.FunctionProto) -> Hashable:
    opsets = {o.version for o in function.opset_import if o.domain in ("", "ai.onnx")}
    return len(function.input), tuple(opsets), tuple(sorted(function.attribute))


def _of_function(function: onnx.FunctionProto, known: dict[Hashable, int]) -> Hashable:
    """Its outputs and the defaults of its attributes."""
    values: dict[str, Value] = {"": ("nothing", 0)}
    values |= {name: ("input 0", place) for place, name in enumerate(function.input)}
    scope = _Scope(values, known, 0)
    scope.read(function.node)
    return scope.results(function.output), scope.attributes(function.attribute_proto)


class _Scope:
    """Tensors of a function, or of a graph inside of one.

    Args:
        values: What is known of tensors by name, those around it included.
        known: A number for each expression: equal expressions have one, in whatever function.
        depth: How many graphs are around it.
    """

    def __init__(self, values: dict[str, Value], known: dict[Hashable, int], depth: int) -> None:
        self._values, self._known, self._depth = values, known, depth

    def read(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Find the expression of what each node writes; one that reads what nobody writes has none."""
        waiting = list(nodes)
        while node := next((n for n in waiting if all(name in self._values for name in n.input)), None):
            waiting.remove(node)
            domain = "" if node.domain == "ai.onnx" else node.domain
            operands = tuple(self._values[name] for name in node.input)
            number = self._number((domain, node.op_type, self.attributes(node.attribute), operands))
            self._values |= {name: (number, place) for place, name in enumerate(node.output) if name}

    def results(self, names: Iterable[str]) -> tuple[Value, ...]:
        """The expressions of tensors; what is not known is equal to nothing else."""
        return tuple(self._values[n] if n in self._values else (self._number(object()), 0) for n in names)

    def attributes(self, attributes: Iterable[onnx.AttributeProto]) -> tuple[tuple[str, Hashable], ...]:
        """Names and values, whatever their order; the several ways to write a constant are one."""
        return tuple(sorted(map(self._attribute, attributes), key=lambda found: found[0]))

    def _number(self, expression: Hashable) -> int:
        return self._known.setdefault(expression, len(self._known))

    def _attribute(self, attribute: onnx.AttributeProto) -> tuple[str, Hashable]:
        if attribute.ref_attr_name:
            return attribute.name, ("the function's", attribute.ref_attr_name)
        if attribute.type == onnx.AttributeProto.GRAPH:
            return attribute.name, self._graph(attribute.g)
        if attribute.type == onnx.AttributeProto.TENSOR:
            return attribute.name, _tensor(attribute.t)
        if attribute.name in _PLAIN:
            return "value", _tensor(_constant(attribute))
        plain = onnx.AttributeProto()
        plain.CopyFrom(attribute)
        plain.ClearField("doc_string")
        return attribute.name, plain.SerializeToString(deterministic=True)

    def _graph(self, graph: onnx.GraphProto) -> Hashable:
        depth = self._depth + 1
        values = dict(self._values)
        values |= {value.name: (f"input {depth}", place) for place, value in enumerate(graph.input)}
        values |= {t.name: (self._number(("Constant", _tensor(t))), 0) for t in graph.initializer}
        inner = _Scope(values, self._known, depth)
        inner.read(graph.node)
        return len(graph.input), inner.results(value.name for value in graph.output)


def _constant(attribute: onnx.AttributeProto) -> onnx.TensorProto:
    value = onnx.helper.get_attribute_value(attribute)
    listed = isinstance(value, list)
    values, dims = (value, [len(value)]) if listed else ([value], [])
    return onnx.helper.make_tensor("", _PLAIN[attribute.name], dims, values)


def _tensor(tensor: onnx.TensorProto) -> Hashable:
    return tensor.data_type, tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes()
