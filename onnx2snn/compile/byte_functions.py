"""Tensors that are functions of bytes: tables of 256 values, by the network's own operators, written when they are read.

What stands between two 8-bit kernels entry by entry (a table neuron, the difference of two, a weight, a gate's sigmoid) is a
function of one byte, so that the whole of it is one look-up. What meets (a residual sum, a gate's product) is one of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.compile.packed_levels import packed

#: Values of a byte.
CODES = 256
#: Roundings of float32 between values that are multiples of one step.
_NEAR = 2.0**-20
#: Those of a value that was multiplied and added to.
_ROUNDINGS = 2
MICROSOFT = "com.microsoft"
#: All channels.
ALL = slice(None)


@dataclass(frozen=True)
class ByteTensor:
    """A tensor of bytes in a draft.

    Attributes:
        name: Its name.
        last: Channels lie last, and not behind the samples.
        sizes: Of one sample, in the network's own order.
        top: The highest byte that it may hold.
        low: The lowest one.
    """

    name: str
    last: bool
    sizes: tuple[int, ...]
    top: int = CODES - 1
    low: int = 0


@dataclass(frozen=True)
class Function:
    """A tensor of the network as a function of bytes.

    Attributes:
        bases: The one or two tensors of bytes.
        values: Its value for each byte, (256,), or for each of both, (256, 256), or by row for each byte, (R, 256); float32.
        summed: Of how many bytes it is a function of the sum: then ``values`` has one for each sum.
        offsets: What is added to ``values`` by place, with as many axes as a sample, where parts or rows are one; None: nothing.
        rows: The row of each place, with as many axes as a sample; None: all places are alike.
    """

    bases: tuple[ByteTensor, ...]
    values: NDArray[np.float32]
    summed: int = 0
    offsets: NDArray[np.float64] | None = None
    rows: NDArray[np.int64] | None = None

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """Of one sample, of each base; of the sums where it is a function of such."""
        held = tuple(base.sizes for base in self.bases)
        return tuple((one[0], *(1,) * (len(one) - 1)) for one in held) if self.summed else held

    @property
    def named(self) -> Any:
        """The tensor of bytes, where these are levels; else it, and the level of each byte."""
        base = self.bases[0]
        if not base.last and np.array_equal(self.values, np.arange(CODES)):
            return base.name
        found = {"bytes": base.name, "channels_last": base.last}
        if self.rows is None:
            return found | {"levels": self.values.astype(int).tolist()}
        return found | {"levels": packed(self.values), "rows": packed(self.rows)}

    @property
    def is_identity(self) -> bool:
        """Whether it is the byte itself, of all that there may be."""
        codes = np.arange(self.bases[0].top + 1)
        return self.is_of_one and np.array_equal(self.values[: len(codes)], codes)

    @property
    def is_of_one(self) -> bool:
        """Whether it is a function of one byte, alike in all channels."""
        return self.is_line and self.offsets is None

    @property
    def is_line(self) -> bool:
        """Whether it is a function of one byte, and a number that its channel adds."""
        return len(self.bases) == 1 and not self.summed and self.rows is None


@dataclass(frozen=True)
class Codes:
    """A function of a byte that takes whole multiples of one step: value = step·(code − zero).

    Attributes:
        codes: Of each byte, (256,) uint8, or by row, (R, 256).
        step: The step.
        zero: The code of zero.
    """

    codes: NDArray[np.uint8]
    step: float
    zero: int


def identity(base: ByteTensor) -> Function:
    """The bytes themselves."""
    return Function((base,), np.arange(CODES, dtype=np.float32))


def bytes_of_sums(top: int, count: int) -> NDArray[np.uint8]:
    """``count`` bytes that differ by one at most, for each sum of so many bytes up to ``top``; (sums, count)."""
    whole, more = np.divmod(np.arange(top * count + 1), count)
    return (whole[:, None] + (np.arange(count) < more[:, None])).astype(np.uint8)


def codes_of(function: Function) -> Codes | None:
    """The codes of a function of one byte; None where its values are no multiples of one step, or too many."""
    found = steps_of(function)
    if found is None:
        return None
    inside = (..., slice(0, function.bases[0].top + 1))
    held = function.values[inside].astype(np.float64)
    first = int(np.rint(held.min() / found.step))
    zero = max(0, -first)
    codes = found.codes.astype(np.int64)[inside] + first + zero
    off = np.abs((codes - zero) * found.step - held)
    if np.any(off > _NEAR * np.abs(held).max()) or codes.max() >= CODES or zero >= CODES:
        return None
    whole = np.zeros(function.values.shape, np.uint8)
    whole[inside] = codes
    return Codes(whole, found.step, zero)


def dequantised(function: Function) -> tuple[np.float32, int] | None:
    """(scale, zero) of bytes whose float32 product by (byte − zero) is a function's value, but for the roundings of that.

    None where there are none. The scale is the one of its neighbours that meets the most values.
    """
    found, top = codes_of(function), function.bases[0].top
    codes = np.arange(top + 1)
    if found is None or not np.array_equal(found.codes[: top + 1], codes):
        return None
    values = function.values[: top + 1]
    first = np.float32(found.step)
    steps = [first, np.nextafter(first, np.float32(np.inf)), np.nextafter(first, np.float32(0))]
    lines = [(codes - found.zero).astype(np.float32) * step for step in steps]
    best = int(np.argmax([(line == values).sum() for line in lines]))
    if np.abs(lines[best] - values).max() > _ROUNDINGS * np.spacing(np.abs(values).max()):
        return None
    return steps[best], found.zero


def steps_of(function: Function) -> Codes | None:
    """How many steps a function of one byte is above its lowest value; None where they differ, or are too many."""
    inside = (..., slice(0, function.bases[0].top + 1))
    held = function.values[inside].astype(np.float64)
    every = np.unique(held)
    if not np.all(np.isfinite(held)) or every.size < 2:
        return None
    near = _NEAR * np.abs(every).max()
    apart = np.diff(every)
    step = float(apart[apart > near].min(initial=np.inf))
    if not np.isfinite(step) or np.rint((every[-1] - every[0]) / step) >= CODES:
        return None
    step = float((every[-1] - every[0]) / np.rint((every[-1] - every[0]) / step))
    steps = np.rint((held - every[0]) / step)
    if np.any(np.abs(steps * step + every[0] - held) > near):
        return None
    whole = np.zeros(function.values.shape, np.uint8)
    whole[inside] = steps
    return Codes(whole, step, 0)
