"""What a part of a result is made of: the rules of the records, along one axis.

Every rule keeps one promise: the operator, given the parts that the rule names, and with the attributes and constants that it
gives, writes the part that was asked for. None: no part is made without all of what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper

from onnx2snn.model.weights import Array
from onnx2snn.operators.table import of

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Span:
    """Entries ``first`` to ``last`` (that one left out) along an axis, counted from the front."""

    axis: int
    first: int
    last: int

    @property
    def at(self) -> tuple[slice, ...]:
        """Where it is in a tensor."""
        return (*(slice(None),) * self.axis, slice(self.first, self.last))

    def of(self, shape: Shape) -> Shape:
        """The shape of that part of a tensor."""
        return (*shape[: self.axis], self.last - self.first, *shape[self.axis + 1 :])


def within(span: Span | None, at: tuple[slice, ...]) -> tuple[slice, ...]:
    """Where the place ``at`` of a part is in the whole."""
    if span is None:
        return at
    whole = [*at, *(slice(None),) * (span.axis + 1 - len(at))]
    begin, end = whole[span.axis].start or 0, whole[span.axis].stop
    size = span.last - span.first
    whole[span.axis] = slice(span.first + begin, span.first + (size if end is None else min(end, size)))
    return tuple(whole)


@dataclass(frozen=True)
class Asked:
    """A part of what a node writes.

    Attributes:
        node: It.
        span: Of its results.
        result: Their shape.
        shapes: Of what it reads; None where it is not known.
        constants: The values of what is constant; None of other inputs.
    """

    node: onnx.NodeProto
    span: Span
    result: Shape
    shapes: Sequence[Shape | None]
    constants: Sequence[Array | None]

    @property
    def attributes(self) -> dict[str, Any]:
        """Of the node, by name."""
        return {a.name: helper.get_attribute_value(a) for a in self.node.attribute}

    def along(self, axis: int) -> Span:
        """The same entries along another axis."""
        return replace(self.span, axis=axis)


@dataclass(frozen=True)
class Cut:
    """How a part is made.

    Attributes:
        reads: By input, the part that is read; None: all of it.
        attributes: Others in the place of the node's.
        constants: Other values for some inputs.
        made: What is written, where that is more than was asked for.
    """

    reads: tuple[Span | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[int, Array] = field(default_factory=dict)
    made: Span | None = None


Rule: TypeAlias = Callable[[Asked], "Cut | None"]


def rule_of(node: onnx.NodeProto) -> Rule | None:
    """That of a node's operator."""
    return of(node).parts or (entrywise if of(node).elementwise else None)


def entrywise(asked: Asked) -> Cut | None:
    """The same entries of all operands, which are broadcast to each other."""
    reads = [_aligned(asked, shape) for shape in asked.shapes]
    return None if any(span is _UNKNOWN for span in reads) else Cut(tuple(reads))


_UNKNOWN = Span(-1, 0, 0)


def _aligned(asked: Asked, shape: Shape | None, *, leading: bool = False) -> Span | None:
    """The entries of one operand; all of it, where it is the same along that axis.

    Args:
        asked: The part.
        shape: Of the operand.
        leading: Its first axis is another one.
    """
    if shape is None:
        return _UNKNOWN
    axis = asked.span.axis - len(asked.result) + len(shape)
    if axis < int(leading) or shape[axis] == 1:
        return None
    return asked.along(axis) if shape[axis] == asked.result[asked.span.axis] else _UNKNOWN


def neuron(asked: Asked) -> Cut | None:
    """A neuron of our own: compare and subtract hold a row for each time step, a table has no axes of the tensor."""
    table = asked.node.op_type.startswith("Table")
    reads = [
        None if table and i == 2 else _aligned(asked, shape, leading=i in (2, 3) and not table)
        for i, shape in enumerate(asked.shapes)
    ]
    return None if any(span is _UNKNOWN for span in reads) else Cut(tuple(reads))


def whole(asked: Asked, first: int) -> tuple[None, ...]:
    """All of the inputs from the ``first`` on."""
    return (None,) * (len(asked.shapes) - first)


def by_channel(asked: Asked) -> Cut | None:
    """What takes all places of a channel together: some channels."""
    return Cut((asked.span,)) if asked.span.axis == 1 and asked.shapes[0] is not None else None


def reduced(asked: Asked) -> Cut | None:
    """Along an axis that stays, where all do."""
    x, given = asked.shapes[0], asked.attributes.get("axes")
    if len(asked.constants) > 1:
        given = asked.constants[1]
    if x is None or given is None or not asked.attributes.get("keepdims", 1):
        return None
    gone = [int(a) % len(x) for a in np.atleast_1d(given)]
    return None if not gone or asked.span.axis in gone else Cut((asked.span, *whole(asked, 1)))


def normalised(asked: Asked) -> Cut | None:
    """By constants of each channel."""
    of_channels = asked.along(0) if asked.span.axis == 1 else None
    if asked.shapes[0] is None or len(asked.node.output) > 1:
        return None
    return Cut((asked.span, *(of_channels for _ in asked.shapes[1:])))


def filled(asked: Asked) -> Cut | None:
    """A ConstantOfShape, and a constant spread out: less of it, where sizes are constant."""
    position = len(asked.shapes) - 1
    sizes = asked.constants[position]
    if sizes is None or len(sizes) != len(asked.result):
        return None
    fresh = np.array(sizes)
    fresh[asked.span.axis] = asked.span.last - asked.span.first
    reads = [None] if not position else [_aligned(asked, asked.shapes[0]), None]
    return None if _UNKNOWN in reads else Cut(tuple(reads), constants={position: fresh})


def turned(asked: Asked) -> Cut | None:
    """A Transpose."""
    perm = asked.attributes.get("perm") or range(len(asked.result))[::-1]
    return Cut((asked.along(int(perm[asked.span.axis])),))


def beside(asked: Asked) -> Cut | None:
    """A Concat along another axis."""
    joined = int(asked.attributes["axis"]) % len(asked.result)
    return None if joined == asked.span.axis else Cut((asked.span,) * len(asked.shapes))


def multiplied(asked: Asked) -> Cut | None:
    """A MatMul: rows of the first operand, columns of the second, or the same entries of axes in front."""
    rank = len(asked.result)
    first, second = asked.shapes
    if first is None or second is None or min(len(first), len(second)) < 2:
        return None
    if asked.span.axis == rank - 1:
        return Cut((None, asked.along(len(second) - 1)))
    if asked.span.axis == rank - 2:
        return Cut((asked.along(len(first) - 2), None))
    return entrywise(asked)


def resized(asked: Asked) -> Cut | None:
    """By a power of two: the cells around, and those of the result that they decide."""
    x, span = asked.shapes[0], asked.span
    given = [i for i, values in enumerate(asked.constants) if i > 1 and values is not None and values.size]
    kind = asked.attributes.get("coordinate_transformation_mode", b"half_pixel")
    if (
        x is None
        or len(given) != 1
        or "axes" in asked.attributes
        or kind not in (b"half_pixel", b"asymmetric")
    ):
        return None
    if asked.attributes.get("antialias", 0) or asked.result[span.axis] % x[span.axis]:
        return None
    factor = asked.result[span.axis] // x[span.axis]
    if factor & (factor - 1):  # places of others are rounded in float32, the farther away the more
        return None
    position, values = given[0], np.array(asked.constants[given[0]])
    if position == 2 and values[span.axis] != factor:
        return None
    around = 0 if factor == 1 else _NEIGHBOURS
    first, last = max(0, span.first // factor - around), min(x[span.axis], -(-span.last // factor) + around)
    if position == 3:
        values[span.axis] = (last - first) * factor
    inside = replace(
        span,
        first=0 if not first else (first + around) * factor,
        last=asked.result[span.axis] if last == x[span.axis] else (last - around) * factor,
    )
    return _within(asked, Span(span.axis, first, last), {position: values}, inside, factor)


#: Cells beside a place that an interpolation reads, at most: of cubic ones, two.
_NEIGHBOURS = 2


def _within(
    asked: Asked, read: Span, constants: Mapping[int, Array], inside: Span, factor: int
) -> Cut | None:
    """What is written of the cells that are read holds what was asked for, and more that is thrown away."""
    if not inside.first <= asked.span.first < asked.span.last <= inside.last:
        return None
    made = replace(read, first=read.first * factor, last=read.last * factor)
    return Cut((read, *whole(asked, 1)), constants=constants, made=made)
