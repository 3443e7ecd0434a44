"""Shifts that are a whole number of steps: values of a quantiser with a zero point, one of which is zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: A shift is as far from that number of steps, at most: less than a certificate allows for the rounding of constants.
NEAR = 2.0**-22
#: So many steps, at most: of more, any number is near.
MOST = 2**20


def whole_shift(scale: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """N where o = n·α up to float32's rounding, so that α·k + o is α·(k + n); None where some o is no such number.

    The sum of whole numbers is exact, and rounded once behind it: as DequantizeLinear computes, so that zero is zero.

    >>> whole_shift(np.array([0.1]), np.array([-0.3])), whole_shift(np.array([0.1]), np.array([0.25]))
    (array([-3.], dtype=float32), None)
    """
    scale, shift = np.asarray(scale, np.float64), np.asarray(shift, np.float64)
    steps = np.divide(
        shift, scale, out=np.zeros(np.broadcast_shapes(scale.shape, shift.shape)), where=scale != 0
    )
    whole = np.rint(steps)
    there = (np.abs(steps - whole) <= NEAR * np.abs(whole)) & (np.abs(whole) <= MOST) & (scale != 0)
    return whole.astype(np.float32) if np.all(there) else None
