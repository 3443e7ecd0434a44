"""Writing a staircase in place of a clipped line, in ordinary ONNX operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.calibration.lines import QuantiserPlace, function_nodes
from onnx2snn.calibration.step_choice import StepChoice
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, producer_of, tidy
from onnx2snn.operators.linear import ROWS


@dataclass(frozen=True)
class Staircased:
    """a = low + α·clip(floor(z/step + start), 0, K), float32; arrays broadcast against one sample.

    Attributes:
        step: In units of z.
        start: In levels.
        scale: α.
        low: The activation at level 0.
        levels: K.
        before: Added to the argument of a function.
    """

    step: NDArray[np.float32]
    start: NDArray[np.float32]
    scale: NDArray[np.float32]
    low: NDArray[np.float32]
    levels: int
    before: NDArray[np.float32] = field(default_factory=lambda: np.zeros((), np.float32))

    def level(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """The level k of z (N, ...), as the network computes it."""
        level: NDArray[np.float32] = np.clip(np.floor(z / self.step + self.start), 0, self.levels)
        return level

    def __call__(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """The activation of z (N, ...)."""
        return self.value(self.level(z))

    def value(self, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """The activation that a level stands for."""
        answer: NDArray[np.float32] = level * self.scale + self.low
        return answer


def staircase_of(
    line: QuantiserPlace, steps: StepChoice, shift: NDArray[np.float64], rank: int
) -> Staircased:
    """The staircase that stands in for ``line``.

    Args:
        line: The activation.
        steps: Its steps, in units of u = slope·z + shift of the line; of one channel, or of all.
        shift: Added to u first, (C,); of a function, to its argument.
        rank: Of z.
    """
    shape = (-1,) + (1,) * (rank - 1 - line.axis)

    def column(values: NDArray[np.float64]) -> NDArray[np.float64]:
        same = np.all(values == values.flat[0])
        return values.ravel()[0].reshape(()) if same else values.reshape(shape)

    theta, scale = column(steps.theta), column(steps.alpha)
    low = np.rint(line.low / scale) * scale  # zero is a level: what pads is one of them
    before, after = np.zeros(()), column(shift)
    if line.entrance:
        before, after = after, before
    start = column(steps.start) + (line.shift + line.low - low + after) / theta
    step = theta / line.slope
    wide = [np.asarray(v, np.float32) for v in (step, start, scale, low, before)]
    return Staircased(wide[0], wide[1], wide[2], wide[3], steps.levels, wide[4])


#: Steps of the grid of a function's argument, for each level that it answers; at most as many as a table may have.
_FINE, _FINEST = 32, 4096


def write_staircase(graph: gs.Graph, line: QuantiserPlace, held: Staircased) -> None:
    """Put ``held`` in place of ``line``, in the graph.

        z ─▶ (the activation's operators) ─▶ a
        becomes     z ─▶ Div step ─▶ Add start ─▶ Floor ─▶ Clip 0, K ─▶ Mul α ─▶ Add low ─▶ a

    A function is given its argument on a grid, much finer than its levels: between two quantisers it is a table (METHOD 11).
    """
    tensors = graph.tensors()
    if line.entrance:
        _put_on_grid(graph, line, held)
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
    last = producer_of(output)
    if last is not None and ROWS in old.attrs:
        last.attrs[ROWS] = old.attrs[ROWS]
    tidy(graph)


def _put_on_grid(graph: gs.Graph, line: QuantiserPlace, held: Staircased) -> None:
    """Round what the function of ``line`` is given to the middle of a cell, as wide as a power of two."""
    entrance, (least, largest) = graph.tensors()[line.entrance], line.reach
    inside = function_nodes(graph, line)
    first = next(node for node in inside if any(t is entrance for t in node.inputs))
    most = min(_FINEST, _FINE * (held.levels + 1)) - 1
    step = 2.0 ** np.ceil(np.log2(max(largest - least, 1e-20) / (most - 1)))
    low = np.floor(least / step)
    spelling = Spelling(graph, Names(graph), first)
    value = spelling.apply("Add", entrance, held.before) if np.any(held.before) else entrance
    cell = spelling.apply("Floor", spelling.apply("Div", value, np.float32(step)))
    cell = spelling.apply("Clip", cell, np.float32(low), np.float32(low + most))
    on_grid = spelling.apply("Mul", spelling.apply("Add", cell, np.float32(0.5)), np.float32(step))
    for node in inside:
        node.inputs = [on_grid if t is entrance else t for t in node.inputs]
