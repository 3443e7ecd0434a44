"""An activation of the source, and how its levels are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.activations import Staircase, Table
from onnx2snn.graph.core import Array
from onnx2snn.graph.neuron_nodes import Reading
from onnx2snn.operators.signals import UNIT

#: Levels (N, ...): whole numbers, which float32 holds exactly.
Levels: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

#: Numbers that are read at a time: few enough to stay in a processor's cache.
BLOCK = 1 << 16
#: What three roundings in float32 (of the scale, a difference, a quotient) may add to the distance from a level, in units of the
#: last place of the largest.
_QUICK = 5


@dataclass(frozen=True)
class Activation:
    """An activation of the source.

    Attributes:
        tensor: The source tensor that holds α·k + o.
        staircase: Its parameters.
        operators: How many operators of the source compute it: each rounds once.
        exact: Whether all that they multiply and divide by are powers of two: then none rounds a few-bit number.
        reading: What shows its level, where no tensor of the source holds α·k + o.
        unit: Unit roundoff of the numbers that the source computes with: 2⁻²⁴ in float32.
    """

    tensor: str
    staircase: Staircase | Table
    operators: int
    exact: bool = False
    unit: float = UNIT
    reading: Reading | None = None

    @property
    def shown_by(self) -> str:
        """The tensor of the normalised source that shows its level."""
        return self.tensor if self.reading is None else self.reading.tensor

    def levels(self, values: Array) -> tuple[Levels, Mask | None]:
        """The level k of what shows it (N, ...), and where that are no such numbers, even up to the source's rounding.

        None if they are such numbers everywhere, as they should be. Activations α·k + o show it themselves, or the levels of a
        quantiser in front of them, or the potential.
        """
        if self.reading is None:
            return self._of_values(values, self.staircase)
        first = self.reading.levels
        if first is None:
            bad = ~np.isfinite(values)
            return self.staircase.level(values).astype(np.float32), bad if bad.any() else None
        k, off = self._of_values(values, first)
        middles = first.lower_edges(k) + first.threshold / 2
        return self.staircase.level(middles).astype(np.float32), off

    def _of_values(self, values: Array, staircase: Staircase | Table) -> tuple[Levels, Mask | None]:
        if values.dtype.kind == "V":  # codes of four bits: NumPy has them from ml_dtypes
            values = values.astype(np.float32)
        if values.dtype.kind not in "fiu" or not _fits(values.shape[1:], staircase):
            return np.zeros(values.shape, np.float32), np.ones(values.shape, bool)
        reach = staircase.levels + 1 + np.abs(staircase.shift / staircase.scale)
        near = np.minimum(2 * (self.operators + 2) * self.unit * reach, 0.25)
        if values.dtype == np.float32:
            k = self._quickly(values, staircase, float(np.min(near - _QUICK * UNIT * reach)))
            if k is not None:
                return k, None
        return self._exactly(values, staircase, near)

    @staticmethod
    def _quickly(values: Array, staircase: Staircase | Table, near: float) -> Levels | None:
        """The same in float32, block by block; None where some value is not even then ``near`` to its level."""
        shift, scale = (np.asarray(a, np.float32) for a in (staircase.shift, staircase.scale))
        k = np.empty_like(values)
        rows = max(1, BLOCK // max(values[:1].size, 1))
        rest = np.empty_like(values[:rows])
        for first in range(0, len(values), rows):
            part, levels = values[first : first + rows], k[first : first + rows]
            r = rest[: len(part)]
            np.divide(np.subtract(part, shift, out=r) if shift.any() else part, scale, out=r)
            np.rint(r, out=levels)
            np.abs(np.subtract(r, levels, out=r), out=r)
            within = levels.min(initial=0) >= 0 and np.all(levels <= staircase.ceilings)
            if not (within and r.max(initial=0) <= near):
                return None
        return k

    @staticmethod
    def _exactly(values: Array, staircase: Staircase | Table, near: Array) -> tuple[Levels, Mask | None]:
        exact = values.astype(np.float64)
        exact -= staircase.shift
        exact /= staircase.scale
        k = np.rint(exact)
        exact -= k
        off = ~((np.abs(exact) <= near) & (k >= 0) & (k <= staircase.ceilings))
        k[~np.isfinite(k)] = 0
        return k.astype(np.float32), off if off.any() else None


def _fits(sample: tuple[int, ...], staircase: Staircase | Table) -> bool:
    """Whether parameters by channel fit the shape of one sample."""
    parameters = (staircase.scale, staircase.shift, staircase.ceilings)
    try:
        return np.broadcast_shapes(sample, *(np.shape(a) for a in parameters)) == sample
    except ValueError:
        return False


def read_alike(one: Levels, other: Levels) -> bool:
    """Whether both are readings of one activation: of one shape, and the same save for what rounding may have decided."""
    return one.shape == other.shape and (one.size == 0 or float(np.mean(one == other)) > 0.5)


def holds_others(off: Mask | None) -> bool:
    """Whether most of what was read is no level."""
    return off is not None and off.size > 0 and float(np.mean(off)) > 0.5
