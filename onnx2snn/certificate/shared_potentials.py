"""Neurons that share a potential, whose levels the source shows as one sum: k − k' of a function that rises and falls.

The potential tells both levels, save where the source's own operators may take either side of a threshold. There the sum tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onnx2snn.certificate.reading import ReadActivation
from onnx2snn.graph.core import Array


def sums_of(activations: Mapping[str, ReadActivation]) -> dict[str, ReadActivation]:
    """By tensor, the sums that the source may hold, as activations of their own."""
    found = {}
    for one in activations.values():
        if one.reading is not None and one.reading.total is not None:
            found[one.reading.sum] = ReadActivation(
                one.reading.sum, one.reading.total, one.operators, exact=one.exact, unit=one.unit
            )
    return found


def settled(z: Array, parts: Sequence[ReadActivation], levels: Sequence[Array], total: Array) -> None:
    """Change ``levels`` (N, ...) of the parts, in place, where they do not add up to ``total``: those nearest to a threshold."""
    rising, falling = (one.staircase for one in parts)
    up, down = levels
    missing = total - (up - down + falling.ceilings)
    for sign in (1, -1):
        places = np.nonzero(missing == sign)
        if not len(places[0]):
            continue
        edges = [
            part.lower_edges((k + (step > 0)).astype(np.int64))[places]
            for part, k, step in ((rising, up, sign), (falling, down, -sign))
        ]
        away = [np.abs(z[places].astype(np.float64) - edge) for edge in edges]
        first = away[0] <= away[1]
        up[tuple(axis[first] for axis in places)] += sign
        down[tuple(axis[~first] for axis in places)] -= sign
