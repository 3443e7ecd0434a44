"""Neurons that read float32 potentials, as the quantiser whose thresholds they have (QuantizeLinear).

    a = clip(round((v − shift) / d) + zero, 0, 255)        v ≥ T_0 + n·d  ⇔  a ≥ n + r

Thresholds lie on a grid, as those of a quantiser do; where the neurons' are scaled by the sample, v is divided by that first. A
division rounds, so a potential within float32's rounding of a threshold may come out on the other side of it; where all
thresholds are short numbers, as in networks that are exact, neurons keep their own comparisons, unless they are scaled: no
quotient is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.byte_lines import HIGHEST, are_short, grid_of
from onnx2snn.compile.byte_rows import NeuronTable, neuron_table
from onnx2snn.compile.draft import Draft, Place, attributes, is_dialect
from onnx2snn.compile.scaled_search import scaled_search
from onnx2snn.dialect.functions import SCALED_IF

Array = NDArray[np.float64]

#: How near to whole a zero point is, in levels, for the rounding of a bias that holds it.
_NEAR = 2.0**-12


@dataclass(frozen=True)
class ByteQuantiser:
    """See the module.

    Attributes:
        step: d.
        shift: What is taken off first.
        zero: What is added behind the rounding.
        reached: By neuron, the byte from which on each of its thresholds is reached.
    """

    step: np.float32
    shift: np.float32
    zero: int
    reached: tuple[NDArray[np.int64], ...]

    def write(self, at: Place, v: str) -> str:
        """The bytes of ``v``."""
        if self.shift:
            v = at.add("Sub", [v, at.constant([self.shift])])
        return at.add("QuantizeLinear", [v, at.constant(self.step), at.constant(self.zero, np.uint8)])


def quantiser_of(thresholds: Sequence[Array], own: float, *, scaled: bool) -> ByteQuantiser | None:
    """The quantiser of neurons that read one potential, if there is one.

    Args:
        thresholds: By neuron, finite and rising.
        own: What neurons add to the potential.
        scaled: Thresholds are scaled by the sample.
    """
    grid = grid_of(thresholds) if all(t.ndim == 1 for t in thresholds) else None
    short = are_short(np.full((1, 1), own), np.concatenate(thresholds)[None])[0]
    if grid is None or (short and not scaled):
        return None
    first, step, places = float(grid[0][0]) - own, float(grid[1][0]), grid[2]
    if max(int(n[-1]) for n in places) + 1 > HIGHEST:
        return None
    zero = 0.5 - first / step
    whole = int(np.rint(zero))
    if not 0 <= whole <= HIGHEST or abs(zero - whole) > _NEAR:
        return ByteQuantiser(np.float32(step), np.float32(first - step / 2), 0, tuple(n + 1 for n in places))
    return ByteQuantiser(np.float32(step), np.float32(0), whole, tuple(n + 1 for n in places))


def table_in_floats(draft: Draft, neuron: onnx.NodeProto) -> NeuronTable | None:
    """As :func:`neuron_table`; of scaled neurons that of the quotient."""
    if not is_dialect(neuron, SCALED_IF):
        return neuron_table(draft, neuron)
    held = scaled_search(draft, neuron)
    if held is None:
        return None
    levels = slice(1, int(attributes(neuron)["levels"]) + 1)
    thresholds = (held.below.astype(np.float64) * held.theta + held.compare)[levels]
    return NeuronTable(thresholds, np.arange(len(thresholds) + 1)[None], None)
