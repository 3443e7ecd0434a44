"""Writing a staircase in place of a clipped line, in ordinary ONNX operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.calibration.lines import ClippedLine
from onnx2snn.calibration.step_choice import StepChoice
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, producer_of, tidy


@dataclass(frozen=True)
class Staircased:
    """a = low + α·clip(floor(z/step + start), 0, K), float32; arrays broadcast against one sample.

    Attributes:
        step: In units of z.
        start: In levels.
        scale: α.
        low: The activation at level 0.
        levels: K.
    """

    step: NDArray[np.float32]
    start: NDArray[np.float32]
    scale: NDArray[np.float32]
    low: NDArray[np.float32]
    levels: int

    def level(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """The level k of z (N, ...), as the network computes it."""
        level: NDArray[np.float32] = np.clip(np.floor(z / self.step + self.start), 0, self.levels)
        return level

    def __call__(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """The activation of z (N, ...)."""
        answer: NDArray[np.float32] = self.level(z) * self.scale + self.low
        return answer


def staircase_of(line: ClippedLine, steps: StepChoice, shift: NDArray[np.float64], rank: int) -> Staircased:
    """The staircase that stands in for ``line``.

    Args:
        line: The activation.
        steps: Its steps, in units of u = slope·z + shift of the line; of one channel, or of all.
        shift: Added to u first, (C,).
        rank: Of z.
    """
    shape = (-1,) + (1,) * (rank - 1 - line.axis)

    def column(values: NDArray[np.float64]) -> NDArray[np.float64]:
        same = np.all(values == values.flat[0])
        return values.ravel()[0].reshape(()) if same else values.reshape(shape)

    theta, scale = column(steps.theta), column(steps.alpha)
    low = np.rint(line.low / scale) * scale  # zero is a level: what pads is one of them
    start = column(steps.start) + (line.shift + line.low - low + column(shift)) / theta
    step = theta / line.slope
    wide = [np.asarray(v, np.float32) for v in (step, start, scale, low)]
    return Staircased(wide[0], wide[1], wide[2], wide[3], steps.levels)


def write_staircase(graph: gs.Graph, line: ClippedLine, held: Staircased) -> None:
    """Put ``held`` in place of ``line``, in the graph.

    z ─▶ (the activation's operators) ─▶ a   becomes   z ─▶ Div step ─▶ Add start ─▶ Floor ─▶ Clip 0, K ─▶ Mul α ─▶ Add low ─▶ a
    """
    tensors = graph.tensors()
    z, output = tensors[line.root], tensors[line.output]
    old = producer_of(output)
    if old is None:
        raise AssertionError("an activation is made by a node")
    spelling = Spelling(graph, Names(graph), old)
    old.outputs.clear()
    value = spelling.apply("Add", spelling.apply("Div", z, held.step), held.start)
    level = spelling.apply("Clip", spelling.apply("Floor", value), np.float32(0), np.float32(held.levels))
    if np.any(held.low):
        level = spelling.apply("Mul", level, held.scale)
        spelling.apply("Add", level, held.low, output=output)
    else:
        spelling.apply("Mul", level, held.scale, output=output)
    tidy(graph)
