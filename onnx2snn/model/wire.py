"""Protobuf's wire format, a list of (field number, wire type, value): for weights of gigabytes that nobody copies.

Field numbers are those of onnx.proto (ONNX 1.x, IR 3 and later).
"""

from __future__ import annotations

from collections.abc import Iterator


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
