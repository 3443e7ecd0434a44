"""Whether two functions compute the same by the same operators: what tools that tidy a model leave alone.

Optimisers put nodes into another order, rename tensors inside, merge equal constants and drop names of nodes. None of that
changes what is computed; anything else might, and counts as another function.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias

import onnx
from onnx import numpy_helper

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
