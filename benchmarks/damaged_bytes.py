"""Damaged bytes, whatever they stand for: what disks, networks and strangers do to a file."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

#: Numbers at which programs break.
EXTREMES = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    255,
    2**15,
    2**16,
    2**31 - 1,
    -(2**31),
    2**32,
    2**40,
    2**60,
    2**63 - 1,
    -(2**63),
)
FLOATS = (0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e-45, 1e-38, 3.4e38, 1e30, 0.5)

Bytes = Callable[[bytes, random.Random], bytes]


def _empty(content: bytes, draw: random.Random) -> bytes:
    return draw.choice((b"", b"\n", b"this is a text\n" * 9, b"\0" * 100, content[:1]))


def _truncated(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _bits_flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16, 64))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _random_bytes(content: bytes, draw: random.Random) -> bytes:
    del content
    return draw.randbytes(draw.choice((1, 10, 100, 1000, 10_000)))


def _spliced(content: bytes, draw: random.Random) -> bytes:
    """A piece goes, another comes."""
    at, cut = draw.randrange(len(content)), draw.choice((0, 1, 4, 64, 1000))
    take = draw.randrange(len(content))
    piece = draw.choice(
        (draw.randbytes(draw.randrange(1, 40)), content[take : take + draw.randrange(1, 400)])
    )
    return content[:at] + piece + content[at + cut :]


def _field(content: bytes, draw: random.Random) -> bytes:
    """One field of the message, at any depth, goes, comes twice, or holds something else."""
    places = list(_fields(content, 0, len(content), 0)) or [(0, 0, len(content), 2)]
    start, value, end, kind = draw.choice(places[:4000])
    field, inner = content[start:end], content[value:end]
    change = draw.randrange(4)
    if change == 0:
        return content[:start] + content[end:]
    if change == 1:
        return content[:end] + field * draw.choice((1, 1, 50)) + content[end:]
    if kind == 0:
        return content[:value] + _varint(draw.choice(EXTREMES)) + content[end:]
    if kind == 5:
        return content[:value] + struct.pack("<f", draw.choice(FLOATS)) + content[end:]
    longer = draw.choice((b"", inner * 3, draw.randbytes(len(inner) % 99), b"\xff" * len(inner)))
    return content[:value] + longer[: max(len(inner), 1)] + content[end:]


def _fields(content: bytes, start: int, stop: int, depth: int) -> Iterator[tuple[int, int, int, int]]:
    """(start, start of the value, end, wire type) of what may be a field, inside other fields too."""
    while start < stop:
        try:
            key, position = _read(content, start)
            kind = key & 7
            if kind == 0:
                end = _read(content, position)[1]
            elif kind == 2:
                length, position = _read(content, position)
                end = position + length
            elif kind in (1, 5):
                end = position + (8 if kind == 1 else 4)
            else:
                return
        except IndexError:
            return
        if end > stop:
            return
        yield start, position, end, kind
        if kind == 2 and depth < 7 and end - position < 100_000:
            yield from _fields(content, position, end, depth + 1)
        start = end


def _read(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


BYTES: dict[str, Bytes] = {
    "empty or text": _empty,
    "truncated": _truncated,
    "bits flipped": _bits_flipped,
    "random bytes": _random_bytes,
    "spliced": _spliced,
    "protobuf field": _field,
    "protobuf field, twice": lambda content, draw: _field(_field(content, draw) or b"\0", draw),
}
