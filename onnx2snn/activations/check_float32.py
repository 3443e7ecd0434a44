"""Each recognised staircase against the operators it came from, at every threshold and one ulp beside it.

The algebra is exact; the source computes in float32. Both must agree, save within the rounding error of the source's own
operators around a threshold. Anything else means that the expression was misread, and the activation is rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.neuron import Staircase
from onnx2snn.activations.recognise import Found, Recognition, Rejected, recognise
from onnx2snn.activations.rules import counted_from
from onnx2snn.graph.core import is_constant
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.reference import run_reference
from onnx2snn.operators.linear import from_sizes
from onnx2snn.remedies import CALIBRATE, PLATEAUS

#: Thresholds that are probed of one staircase; more levels than this are sampled evenly.
MAX_PROBES = 1000

#: Half an ulp for every operator of the activation, on the largest number that takes part.
EPSILON = float(np.finfo(np.float32).eps)

#: How far an answer may be from a level, in levels.
ON_GRID = 1e-3


def recognise_checked(graph: gs.Graph) -> Recognition:
    """As :func:`recognise`, and every staircase probed against its own operators.

    What is made of sizes alone (the grid of a detector) is alike for every sample of a batch: no activation.
    """
    recognition, sized = recognise(graph), from_sizes(graph)
    agreed, wrong = probe([f for f in recognition.found if id(f.root) not in sized], graph.opset)
    rejected = dict(recognition.rejected)
    for one in agreed:
        if not one.staircase.levels:
            node, names = one.nodes[-1], tuple(n.name for n in one.nodes)
            rejected[one.output.name] = Rejected(node.name, node.op, "it has 1 level", CALIBRATE, names)
    agreed = [one for one in agreed if one.staircase.levels]
    for miss in wrong:
        node = miss.found.nodes[-1]
        rejected[miss.found.output.name] = Rejected(
            node.name,
            node.op,
            f"in float32 it is no staircase: at {miss.z:.9g} it answers level {miss.source_level:.6g}, not {miss.level}",
            PLATEAUS,
            tuple(n.name for n in miss.found.nodes),
        )
    return replace(recognition, found=tuple(agreed), rejected=rejected)


@dataclass(frozen=True)
class Disagreement:
    """Where the source answers another level than the staircase, further from a threshold than rounding explains."""

    found: Found
    z: float
    level: int
    source_level: float


def probe(found: Sequence[Found], opset: int) -> tuple[list[Found], list[Disagreement]]:
    """Sort staircases into those that agree with their operators and those that do not.

    One model with all activations side by side is run once. A staircase whose last plateau the source's rounding
    reaches one level earlier or later (``clip(z, 0, 6)/s`` may round up to the next integer) is corrected first.
    """
    if not found:
        return [], []
    points = [_ranked(_points(f), f) for f in found]
    answers = _run(found, points, opset)
    agreed, wrong = [], []
    for one, z, answer in zip(found, points, answers, strict=True):
        corrected = replace(one, staircase=_with_plateau(_of_one_step(one.staircase, answer), answer))
        miss = _disagreement(corrected, z, answer)
        if miss is None:
            agreed.append(corrected)
        else:
            wrong.append(miss)
    return agreed, wrong


def plateaus(found: Sequence[Found], opset: int) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The smallest and the largest answer of each activation, as its own operators round them to float32.

    Shape (1, ...) where it differs by channel, else ().
    """
    if not found:
        return []
    answers = _run(found, [_ranked(_far(one.staircase), one) for one in found], opset)
    ends = [(a.min(axis=0, keepdims=True), a.max(axis=0, keepdims=True)) for a in answers]
    return [(_collapsed(low), _collapsed(high)) for low, high in ends]


def _collapsed(values: NDArray[np.float64]) -> NDArray[np.float32]:
    same = np.all(values == values.ravel()[0])
    return (values.ravel()[0] if same else values).astype(np.float32)


def _points(found: Found) -> NDArray[np.float32]:
    """Pre-activations (P, ...): every threshold, one ulp to both sides, the middle of every level, and far out."""
    staircase = found.staircase
    count = staircase.levels
    levels = np.unique(np.linspace(1, count, min(count, MAX_PROBES)).astype(np.int64))
    shape = _shape(staircase)
    column = levels.reshape((-1,) + (1,) * len(shape)).astype(np.float64)
    edges = np.broadcast_to(staircase.lower_edges(column), (levels.size, *shape)).astype(np.float32)
    middles = (edges.astype(np.float64) + staircase.threshold / 2).astype(np.float32)
    infinity = np.float32(np.inf)
    near = [edges, np.nextafter(edges, infinity), np.nextafter(edges, -infinity), middles]
    return np.concatenate([*near, _far(staircase)]).astype(np.float32)


def _far(staircase: Staircase) -> NDArray[np.float32]:
    """Two pre-activations below all thresholds, and two above: (4, ...)."""
    shape = _shape(staircase)
    reach = staircase.threshold * (staircase.levels + 2.0)
    ends = [np.broadcast_to(s * reach - staircase.offset, shape) for s in (-2.0, -1.0, 1.5, 3.0)]
    return np.stack(ends).astype(np.float32)


def _shape(staircase: Staircase) -> tuple[int, ...]:
    arrays = (staircase.threshold, staircase.offset, staircase.ceilings, staircase.rounding)
    return np.broadcast_shapes(*(values.shape for values in arrays))


def _ranked(points: NDArray[np.float32], found: Found) -> NDArray[np.float32]:
    """Points as the operators expect them: of the rank of the pre-activation."""
    missing = len(found.root.shape) - points.ndim
    return points.reshape((points.shape[0],) + (1,) * missing + points.shape[1:])


def _run(
    found: Sequence[Found], points: Sequence[NDArray[np.float32]], opset: int
) -> list[NDArray[np.float64]]:
    inputs, outputs, nodes, feed = [], [], [], {}
    for number, (one, z) in enumerate(zip(found, points, strict=True)):
        root = gs.Variable(f"z{number}", np.float32, [f"P{number}", *z.shape[1:]])
        feed[root.name] = z
        copies: dict[int, gs.Tensor] = {id(one.root): root}
        nodes += [_copy(node, copies, f"{number}") for node in one.nodes]
        inputs.append(root)
        last = copies[id(one.output)]
        outputs.append(gs.Variable(f"a{number}", np.float32, [f"a{number}_{i}" for i in range(z.ndim)]))
        nodes.append(
            gs.Node(op="Cast", name=f"out{number}", attrs={"to": 1}, inputs=[last], outputs=[outputs[-1]])
        )
    model = to_split_model(gs.Graph(nodes, inputs, outputs, name="probe", opset=opset))
    answers = run_reference(model, feed)
    return [answers[f"a{i}"].astype(np.float64) for i in range(len(points))]


def _copy(node: gs.Node, copies: dict[int, gs.Tensor], suffix: str) -> gs.Node:
    inputs: list[gs.Tensor] = []
    for tensor in node.inputs:
        if is_constant(tensor):
            inputs.append(gs.Constant(f"{tensor.name}#{suffix}", tensor.values))
        else:
            inputs.append(tensor if tensor.is_empty() else copies[id(tensor)])
    outputs = [gs.Variable(f"{t.name}#{suffix}", t.dtype) for t in node.outputs]
    copies.update((id(t), o) for t, o in zip(node.outputs, outputs, strict=True))
    return gs.Node(
        op=node.op, name=f"{node.name}#{suffix}", attrs=dict(node.attrs), inputs=inputs, outputs=outputs
    )


def _levels(staircase: Staircase, answer: NDArray[np.float64]) -> NDArray[np.float64]:
    levels: NDArray[np.float64] = (answer - staircase.shift) / staircase.scale
    return levels


def _of_one_step(staircase: Staircase, answer: NDArray[np.float64]) -> Staircase:
    """Of one step, both ends are what the source answers far out: behind the step it may round to another multiple."""
    levels = _levels(staircase, answer[[-4, -1]])
    if staircase.levels != 1 or np.all(np.abs(levels - np.rint(levels)) <= ON_GRID):
        return staircase
    low, high = answer[-4], answer[-1]
    return replace(staircase, scale=np.where(high == low, staircase.scale, high - low), shift=low)


def _with_plateau(staircase: Staircase, answer: NDArray[np.float64]) -> Staircase:
    """Both plateaus as the source reaches them far out, where they are one level from what exact arithmetic says.

    1. The upper one: K is one more, or less.
    2. The lower one (the function falls): k is counted from there, so all thresholds move by one step.
    """
    levels = _levels(staircase, answer)
    low, high = (np.rint(levels[i]).astype(np.int64) for i in (-4, -1))
    ceilings = np.broadcast_to(staircase.ceilings, np.broadcast_shapes(high.shape, staircase.ceilings.shape))
    if not np.any(low) and np.array_equal(high, ceilings):
        return staircase
    if np.any(np.abs(high - ceilings) > 1) or np.any(np.abs(low) > 1) or np.any(high - low < 0):
        return staircase
    counted = _counted_from(staircase, low) if np.any(low) else staircase
    return replace(counted, ceilings=high - low, levels=int((high - low).max()))


def _counted_from(staircase: Staircase, lowest: NDArray[np.int64]) -> Staircase:
    """Levels counted from ``lowest``; where ties go to even levels, they may go to odd ones."""
    return replace(
        staircase,
        offset=np.asarray(staircase.offset - lowest * staircase.threshold),
        shift=np.asarray(staircase.shift + lowest * staircase.scale),
        rounding=counted_from(staircase.rounding, lowest),
    )


def _disagreement(found: Found, z: NDArray[np.float32], answer: NDArray[np.float64]) -> Disagreement | None:
    staircase = found.staircase
    exact = _levels(staircase, answer)
    source = np.rint(exact)
    wide = np.broadcast_to(z, answer.shape).astype(np.float64)
    level = staircase.level(wide)
    magnitude = np.abs(wide) + np.abs(staircase.offset) + staircase.threshold * (staircase.levels + 1.0)
    slack = (len(found.nodes) + 2) * EPSILON * magnitude
    low, high = np.minimum(level, source), np.maximum(level, source)
    edge = staircase.lower_edges(high)
    explained = (high - low == 1) & (np.abs(wide - edge) <= slack)
    on_grid = np.abs(exact - source) <= ON_GRID + slack / staircase.threshold
    bad = ~(((level == source) | explained) & on_grid)
    if not bad.any():
        return None
    where = tuple(np.argwhere(bad)[0])
    return Disagreement(found, float(wide[where]), int(level[where]), float(exact[where]))
