"""How a staircase reads its argument: as it is, as a line of it, or as a function that is run as it stands in the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.calibration.lines import QuantiserPlace, function_nodes
from onnx2snn.calibration.stages import Stage
from onnx2snn.model.reference import Reference

Values = NDArray[np.float32]
#: Values that a function is run on at a time.
_AT_A_TIME = 1 << 22


class ArgumentReader:
    """From the argument z of a place to what its staircase rounds.

    Args:
        graph: With the place.
        place: It.
    """

    def __init__(self, graph: gs.Graph, place: QuantiserPlace) -> None:
        self.place = place
        self._function = _function(graph, place) if place.entrance else None

    def raw(self, z: NDArray[Any]) -> Values:
        """The tensor that stands in front of the staircase, of z (N, ...)."""
        if self._function is None:
            return z
        rows = max(1, _AT_A_TIME // max(1, z[0].size))
        parts = [
            self._function.run({self.place.entrance: z[i : i + rows]})[self.place.root]
            for i in range(0, len(z), rows)
        ]
        return np.concatenate(parts)

    def driven(self, z: NDArray[Any]) -> Values:
        """What corrections act on, (N, ...): a line of z, the activation before it is clipped; the argument of a function."""
        return self.place.driven(z) if self._function is None else np.asarray(z, np.float32)

    def rounded(self, driven: Values) -> Values:
        """What is rounded, in units of the activation above its smallest value; of ``driven`` (C, R) of several places."""
        if self._function is None:
            return driven
        shape = [1] * self.place.rank
        shape[0], shape[self.place.axis] = driven.shape[1], len(driven)
        values = self.raw(np.ascontiguousarray(driven.T).reshape(shape))
        return self.place.driven(values.reshape(driven.shape[::-1]).T)

    def value(self, z: NDArray[Any]) -> Values:
        """The float network's activation of z (N, ...)."""
        return self.place.value(self.raw(z))

    def target(self, z: NDArray[Any]) -> Values:
        """The same, inside the range of the staircase, above its smallest value."""
        return np.clip(self.place.driven(self.raw(z)), 0, self.place.span.astype(np.float32))


def _function(graph: gs.Graph, place: QuantiserPlace) -> Reference:
    nodes = function_nodes(graph, place)
    sizes = [f"size{axis}" for axis in range(place.rank)]
    return Reference(Stage(nodes, (place.entrance,), (place.root,)).model(graph, sizes))
