"""An ONNX graph as nodes and names, read from its bytes without the onnx package; weights are never decoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from onnx2snn.runtime.bodies import DOMAIN
from onnx2snn.runtime.wire import FLOAT, fields, message, read_varint, text

# Field numbers of ModelProto, GraphProto, NodeProto, AttributeProto and the messages below them.
_MODEL_GRAPH, _METADATA, _TRAINING, _FUNCTION = 7, 14, 20, 25
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO, _SPARSE = 1, 5, 11, 12, 13, 15
_READ, _WRITTEN, _NAME, _OPERATOR, _ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_SUBGRAPH, _SUBGRAPHS = 6, 11
_TENSOR_NAME = 8


@dataclass(frozen=True)
class Node:
    """A NodeProto.

    Attributes:
        content: Its bytes.
        name: Its name, or that of its first output.
        operator: Its operator.
        domain: The operator's domain, "" for ONNX's own.
        inputs: What it reads, in order; "" for what is left out.
        captured: What its subgraphs read from outside.
        outputs: What it writes.
    """

    content: bytes
    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    captured: frozenset[str]
    outputs: tuple[str, ...]

    def is_dialect(self, operator: str) -> bool:
        """Whether it calls this function of the dialect."""
        return self.domain == DOMAIN and self.operator == operator

    def with_inputs(self, inputs: Iterable[str]) -> Node:
        """The same node, reading other tensors."""
        return self._with(_READ, inputs)

    def with_outputs(self, outputs: Iterable[str]) -> Node:
        """The same node, writing other tensors."""
        return self._with(_WRITTEN, outputs)

    def _with(self, field: int, names: Iterable[str]) -> Node:
        parts = [text(field, name) for name in names]
        parts += [
            bytes(self.content[start:end])
            for number, _, _, start, end in fields(memoryview(self.content))
            if number != field
        ]
        return read_node(memoryview(b"".join(parts)))

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of all tensors that it depends on."""
        return frozenset(name for name in self.inputs if name) | self.captured


@dataclass(frozen=True)
class Network:
    """A model, taken apart.

    Attributes:
        head: The model without its graph, metadata and the functions of the dialect, serialized.
        nodes: In topological order.
        initializers: Whole fields of GraphProto, by tensor name.
        inputs: ValueInfoProtos by name, without initializers.
        outputs: ValueInfoProtos by name.
        types: Element types, by tensor name, where the file declares them.
        shapes: Sizes, by tensor name, where the file declares them; None for a size that is open.
    """

    head: bytes
    nodes: tuple[Node, ...]
    initializers: Mapping[str, memoryview]
    inputs: Mapping[str, bytes]
    outputs: Mapping[str, bytes]
    types: Mapping[str, int]
    shapes: Mapping[str, tuple[int | None, ...]]

    @cached_property
    def producers(self) -> dict[str, int]:
        """Positions of nodes, by what they write."""
        return {name: position for position, node in enumerate(self.nodes) for name in node.outputs if name}

    def type_of(self, name: str) -> int:
        """Element type; float32, the type of every potential and spike, where the file declares none."""
        return self.types.get(name, FLOAT)


def read_network(content: bytes) -> Network:
    """Take a serialized model apart.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    head: list[bytes] = []
    parts: dict[int, list[memoryview]] = {
        number: [] for number in (_NODE, _INPUT, _OUTPUT, _VALUE_INFO, _INITIALIZER, _SPARSE)
    }
    initializers: dict[str, memoryview] = {}
    for number, _, value, start, end in fields(memoryview(content)):
        if number == _MODEL_GRAPH:
            for part, _, inner, first, last in fields(value):
                if part in (_INITIALIZER, _SPARSE):
                    initializers[_initializer_name(part, inner)] = value[first:last]
                elif part in parts:
                    parts[part].append(inner)
        elif number not in (_METADATA, _TRAINING) and not (number == _FUNCTION and _is_ours(value)):
            head.append(content[start:end])
    infos = {number: dict(map(_named, parts[number])) for number in (_INPUT, _OUTPUT, _VALUE_INFO)}
    types = {
        name: kind
        for found in infos.values()
        for name, info in found.items()
        if (kind := _element_type(info))
    }
    return Network(
        b"".join(head),
        tuple(read_node(value) for value in parts[_NODE]),
        initializers,
        {name: info for name, info in infos[_INPUT].items() if name not in initializers},
        infos[_OUTPUT],
        types,
        {name: shape for found in infos.values() for name, info in found.items() if (shape := _shape(info))},
    )


def read_node(content: memoryview) -> Node:
    """A node from the bytes of its NodeProto."""
    found: dict[int, list[str]] = {}
    captured: set[str] = set()
    for number, _, value, _, _ in fields(content):
        if number == _ATTRIBUTE:
            for subgraph in _subgraphs(value):
                captured |= _captured(subgraph)
        elif number in (_READ, _WRITTEN, _NAME, _OPERATOR, _NODE_DOMAIN):
            found.setdefault(number, []).append(str(value, "utf-8"))
    outputs = tuple(found.get(_WRITTEN, ()))
    name = (found.get(_NAME) or [""])[0] or next(filter(None, outputs), "")
    domain = (found.get(_NODE_DOMAIN) or [""])[0]
    inputs = tuple(found.get(_READ, ()))
    return Node(bytes(content), name, found[_OPERATOR][0], domain, inputs, frozenset(captured), outputs)


def renamed(content: bytes | memoryview, names: Mapping[str, str]) -> bytes:
    """The NodeProto that reads other tensors, inside its subgraphs too."""
    view, parts = memoryview(content), []
    for number, kind, value, start, end in fields(view):
        if number == _READ:
            name = str(value, "utf-8")
            parts.append(text(_READ, names.get(name, name)))
        elif number == _ATTRIBUTE:
            parts.append(message(_ATTRIBUTE, _renamed_inside(value, names, (_SUBGRAPH, _SUBGRAPHS))))
        else:
            parts.append(bytes(view[start:end]))
        del kind
    return b"".join(parts)


def _renamed_inside(content: memoryview, names: Mapping[str, str], subgraphs: tuple[int, ...]) -> bytes:
    """An AttributeProto whose graphs read other tensors."""
    parts = []
    for number, _, value, start, end in fields(content):
        if number not in subgraphs:
            parts.append(bytes(content[start:end]))
            continue
        nodes = [
            message(_NODE, renamed(inner, names)) if part == _NODE else bytes(value[first:last])
            for part, _, inner, first, last in fields(value)
        ]
        parts.append(message(number, b"".join(nodes)))
    return b"".join(parts)


def _subgraphs(attribute: memoryview) -> list[memoryview]:
    return [
        v for number, kind, v, _, _ in fields(attribute) if kind == 2 and number in (_SUBGRAPH, _SUBGRAPHS)
    ]


def _captured(graph: memoryview) -> set[str]:
    """What a subgraph reads and does not make itself."""
    read: set[str] = set()
    made: set[str] = set()
    for number, _, value, _, _ in fields(graph):
        if number == _NODE:
            node = read_node(value)
            read |= node.reads
            made.update(node.outputs)
        elif number == _INPUT:
            made.add(_named(value)[0])
        elif number in (_INITIALIZER, _SPARSE):
            made.add(_initializer_name(number, value))
    return read - made


def _first(content: memoryview, wanted: int) -> memoryview:
    """The first field of this number; empty where there is none."""
    return next((value for number, _, value, _, _ in fields(content) if number == wanted), memoryview(b""))


def _initializer_name(part: int, content: memoryview) -> str:
    tensor = _first(content, 1) if part == _SPARSE else content
    return str(_first(tensor, _TENSOR_NAME), "utf-8")


def _named(info: memoryview) -> tuple[str, bytes]:
    return str(_first(info, 1), "utf-8"), bytes(info)


def _element_type(info: bytes) -> int:
    """The element type of a ValueInfoProto of a tensor; 0 of anything else."""
    tensor = _first(_first(memoryview(info), 2), 1)
    kind = _first(tensor, 1)
    return kind[0] if len(kind) == 1 else 0


def _shape(info: bytes) -> tuple[int | None, ...]:
    """The sizes that a ValueInfoProto declares; () where it declares none."""
    declared = _first(_first(_first(memoryview(info), 2), 1), 2)
    dims = []
    for _, _, dim, _, _ in fields(declared):
        value = _first(dim, 1)
        dims.append(read_varint(value, 0)[0] if len(value) else None)
    return tuple(dims)


def _is_ours(function: memoryview) -> bool:
    return str(_first(function, 10), "utf-8") == DOMAIN
