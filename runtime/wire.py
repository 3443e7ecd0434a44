"""The few protobuf messages of ONNX that the runtime writes, without the onnx package.

Protobuf's wire format is a list of (field number, wire type, value). Writing needs a dozen lines; a device that runs
spiking networks needs no more than that. Field numbers are those of onnx.proto (ONNX 1.x, IR 3 and later).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, DOUBLE = 1, 2, 3, 6, 7, 9, 10, 11
#: Element types, by the name of numpy's type.
ELEMENT_TYPES = {
    "float32": FLOAT,
    "uint8": UINT8,
    "int8": INT8,
    "int32": INT32,
    "int64": INT64,
    "bool": BOOL,
    "float16": FLOAT16,
    "float64": DOUBLE,
}
_FLOAT_ATTRIBUTE, _INT, _STRING, _TENSOR, _GRAPH, _INTS = 1, 2, 3, 4, 5, 7


def varint(value: int) -> bytes:
    """Base-128 groups, least significant first; negative numbers as their 64-bit two's complement."""
    value &= (1 << 64) - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def number(field: int, value: int) -> bytes:
    """A field that holds a varint."""
    return varint(field << 3) + varint(value)


def head(field: int, length: int) -> bytes:
    """What stands in front of the ``length`` bytes of a length-delimited field."""
    return varint(field << 3 | 2) + varint(length)


def message(field: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return head(field, len(content)) + content


def text(field: int, value: str) -> bytes:
    """A field that holds a string."""
    return message(field, value.encode())


def tensor(values: NDArray[np.generic]) -> bytes:
    """A TensorProto of any of :data:`ELEMENT_TYPES`."""
    return tensor_head(values) + values.tobytes()


def tensor_head(values: NDArray[np.generic], name: str = "") -> bytes:
    """A TensorProto up to its raw bytes, which come last."""
    return _described(values, name) + head(9, values.nbytes)


def external_tensor(values: NDArray[np.generic], name: str, location: str) -> bytes:
    """A TensorProto whose values lie elsewhere."""
    return _described(values, name) + message(13, text(1, "location") + text(2, location)) + number(14, 1)


def _described(values: NDArray[np.generic], name: str) -> bytes:
    """Sizes, element type and name of a TensorProto."""
    dims = b"".join(number(1, size) for size in values.shape)
    return dims + number(2, ELEMENT_TYPES[values.dtype.name]) + (text(8, name) if name else b"")


def attribute(name: str, value: object) -> bytes:
    """An AttributeProto; a string that starts with ``@`` refers to an attribute of the enclosing function."""
    head = text(1, name)
    if isinstance(value, str) and value.startswith("@"):
        return head + number(20, _INT) + text(21, value[1:])
    if isinstance(value, bool | int):
        return head + number(3, int(value)) + number(20, _INT)
    if isinstance(value, str):
        return head + text(4, value) + number(20, _STRING)
    if isinstance(value, np.ndarray):
        return head + message(5, tensor(value)) + number(20, _TENSOR)
    if isinstance(value, bytes):
        return head + message(6, value) + number(20, _GRAPH)
    if isinstance(value, Sequence):
        return head + b"".join(number(8, int(v)) for v in value) + number(20, _INTS)
    raise TypeError(f"no attribute holds a {type(value).__name__}")


def node(operator: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: object) -> bytes:
    """A NodeProto of the default domain."""
    return b"".join(
        [
            *(text(1, name) for name in inputs),
            *(text(2, name) for name in outputs),
            text(4, operator),
            *(message(5, attribute(key, value)) for key, value in attributes.items()),
        ]
    )


def call(
    domain: str, operator: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: object
) -> bytes:
    """A NodeProto that calls a function of ``domain``."""
    return node(operator, inputs, outputs, **attributes) + text(7, domain)


def value_info(name: str, kind: int = FLOAT) -> bytes:
    """A ValueInfoProto without a shape: of any rank."""
    return text(1, name) + message(2, message(1, number(1, kind)))


def graph(name: str, nodes: Iterable[bytes], inputs: Iterable[str], outputs: Iterable[str]) -> bytes:
    """A GraphProto of float32 values: the body of a Scan."""
    return b"".join(
        [
            *(message(1, n) for n in nodes),
            text(2, name),
            *(message(11, value_info(i)) for i in inputs),
            *(message(12, value_info(o)) for o in outputs),
        ]
    )


def function(
    domain: str,
    name: str,
    nodes: Iterable[bytes],
    inputs: Iterable[str],
    outputs: Iterable[str],
    *,
    attributes: Iterable[str],
    opset: int,
    doc: str,
) -> bytes:
    """A FunctionProto whose body is written in ``opset`` of the default domain."""
    return b"".join(
        [
            text(1, name),
            *(text(4, i) for i in inputs),
            *(text(5, o) for o in outputs),
            *(text(6, a) for a in attributes),
            *(message(7, n) for n in nodes),
            text(8, doc),
            message(9, text(1, "") + number(2, opset)),
            text(10, domain),
        ]
    )


def fields(content: memoryview) -> Iterator[tuple[int, int, memoryview, int, int]]:
    """The top-level fields of a message: (field, wire type, value, start, end); nothing is copied.

    ``value`` is the content of a length-delimited field, or the raw bytes of a number; ``start:end`` is the whole field.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    position = 0
    while position < len(content):
        start = position
        key, position = read_varint(content, position)
        kind = key & 7
        if kind == 0:
            _, end = read_varint(content, position)
            value = content[position:end]
        elif kind == 1:
            end = position + 8
            value = content[position:end]
        elif kind == 5:
            end = position + 4
            value = content[position:end]
        elif kind == 2:
            length, position = read_varint(content, position)
            end = position + length
            value = content[position:end]
        else:
            raise ValueError(f"wire type {kind}")
        if end > len(content):
            raise ValueError("a field is longer than the message")
        yield key >> 3, kind, value, start, end
        position = end


def read_varint(content: memoryview, position: int) -> tuple[int, int]:
    """A varint at ``position``, and the position behind it."""
    value = shift = 0
    while True:
        if position >= len(content) or shift > 63:
            raise ValueError("a number does not end")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
