"""Each recognised staircase against the operators it came from, at every threshold and one ulp beside it.

The algebra is exact; the source computes in float32. Both must agree, save within the rounding error of the source's own
operators around a threshold. Anything else means that the expression was misread, and the activation is rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.chains import Part, Sharing, side_by_side
from onnx2snn.activations.entrywise import Opsets, read_by_place
from onnx2snn.activations.neuron import ARRAYS, Staircase
from onnx2snn.activations.recognise import Found, Recognition, Rejected, recognise
from onnx2snn.activations.rules import counted_from, rules_of
from onnx2snn.model.reference import Reference
from onnx2snn.operators.linear import from_sizes
from onnx2snn.remedies import CALIBRATE, PLATEAUS

#: Thresholds that are probed of one staircase; more levels than this are sampled evenly.
MAX_PROBES = 1000

#: Half an ulp for every operator of the activation, on the largest number that takes part.
EPSILON = float(np.finfo(np.float32).eps)

#: Where an activation keeps what came of its check.
_CHECKED = "checked"

#: Potentials that are run at once, over all activations.
_AT_ONCE = 1 << 20

#: Pre-activations below all thresholds at which it is probed, and above all: near them, and up to so many times their reach away.
#: A clip by absolute values, |z| − |z − a| + a, rounds differently at each.
ENDS, BEYOND = 128, 4.0

#: How far an answer may be from a level, in levels.
ON_GRID = 1e-3


def recognise_checked(graph: gs.Graph) -> Recognition:
    """As :func:`recognise`, and every staircase probed against its own operators.

    What is made of sizes alone (the grid of a detector) is alike for every sample of a batch: no activation.
    """
    recognition, sized = recognise(graph), from_sizes(graph)
    agreed, wrong = probe([f for f in recognition.found if id(f.root) not in sized], Opsets.of(graph))
    rejected = dict(recognition.rejected)
    for one in agreed:
        if not one.staircase.levels:
            node, names = one.nodes[-1], tuple(n.name for n in one.nodes)
            rejected[one.output.name] = Rejected(node.name, node.op, "it has 1 level", CALIBRATE, names)
    agreed = [one for one in agreed if one.staircase.levels]
    for one, miss in wrong:
        node = one.nodes[-1]
        rejected[one.output.name] = Rejected(
            node.name,
            node.op,
            f"in float32 it is no staircase: at {miss.z:.9g} it answers {miss.answer:.6g}, {miss.expected}",
            PLATEAUS,
            tuple(n.name for n in one.nodes),
        )
    return replace(recognition, found=tuple(agreed), rejected=rejected)


@dataclass(frozen=True)
class Disagreement:
    """Where the source answers another level than the staircase, further from a threshold than rounding explains.

    Attributes:
        z: Where.
        level: What its level there stands for.
        answer: The source's.
        far: Further out on the same plateau, where the source answers ``level``; None between thresholds.
    """

    z: float
    level: float
    answer: float
    far: float | None

    @property
    def expected(self) -> str:
        """What it should answer, and why."""
        if self.far is None:
            return f"not {self.level:.6g}"
        return f"and at {self.far:.9g}, on the same plateau, {self.level:.6g}: there rounding decides"


def probe(found: Sequence[Found], opsets: Opsets) -> tuple[list[Found], list[tuple[Found, Disagreement]]]:
    """Sort staircases into those that agree with their operators and those that do not.

    A staircase whose last plateau the source's rounding reaches one level earlier or later (``clip(z, 0, 6)/s`` may round
    up to the next integer) is corrected first.
    """
    keys = [(_CHECKED, opsets.version, len(one.root.shape)) for one in found]
    both = zip(found, keys, strict=True)
    asked = {(id(one.known), key): one for one, key in both if key not in one.known}  # each chain once
    for one, narrow, z, answer in _answered([*asked.values()], _points, opsets):
        corrected = _with_plateau(_of_one_step(narrow.staircase, answer), answer)
        miss = _disagreement(len(one.nodes), corrected, z, answer)
        right = one.staircase if corrected is narrow.staircase else narrow.widened(one.staircase, corrected)
        one.known[_CHECKED, opsets.version, len(one.root.shape)] = miss or right
    told = [(one, one.known[key]) for one, key in zip(found, keys, strict=True)]
    agreed = [replace(one, staircase=right) for one, right in told if isinstance(right, Staircase)]
    return agreed, [(one, miss) for one, miss in told if isinstance(miss, Disagreement)]


def plateaus(found: Sequence[Found], opsets: Opsets) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The smallest and the largest answer of each activation, as its own operators round them to float32.

    Shape (1, ...) where it differs by channel, else ().
    """
    ends = []
    for _, narrow, _, answer in _answered(found, _far, opsets):
        low, high = (narrow.sharing.spread(end[None]) for end in (answer.min(axis=0), answer.max(axis=0)))
        ends.append((_collapsed(low), _collapsed(high)))
    return ends


def _collapsed(values: NDArray[np.float64]) -> NDArray[np.float32]:
    same = np.all(values == values.ravel()[0])
    return (values.ravel()[0] if same else values).astype(np.float32)


class _Narrow:
    """A staircase for the C kinds of places that its operators tell apart.

    Attributes:
        sharing: Which those are.
        staircase: Its arrays of shape (C,).
    """

    def __init__(self, found: Found) -> None:
        self.sharing = Sharing([t for node in found.nodes for t in read_by_place(node)], found.root)
        arrays = {name: self.sharing.gathered(getattr(found.staircase, name)[None])[0] for name in ARRAYS}
        self.staircase = replace(found.staircase, **arrays)

    def widened(self, wide: Staircase, staircase: Staircase) -> Staircase:
        """``wide``, whose narrow form this is, with what differs in ``staircase``."""
        arrays = {
            name: self.sharing.spread(np.broadcast_to(getattr(staircase, name), (1, self.sharing.channels)))[
                0
            ]
            for name in ARRAYS
            if getattr(staircase, name) is not getattr(self.staircase, name)
        }
        if "rounding" in arrays:
            arrays["rounding"] = rules_of(arrays["rounding"])
        return replace(wide, levels=staircase.levels, **arrays)


def _points(staircase: Staircase) -> NDArray[np.float32]:
    """Pre-activations (P, C): every threshold, one ulp to both sides, the middle of every level, and far out."""
    count = staircase.levels
    levels = np.unique(np.linspace(1, count, min(count, MAX_PROBES)).astype(np.int64))
    shape = (levels.size, staircase.threshold.size)
    edges = np.broadcast_to(staircase.lower_edges(levels[:, None].astype(np.float64)), shape).astype(
        np.float32
    )
    middles = (edges.astype(np.float64) + staircase.threshold / 2).astype(np.float32)
    infinity = np.float32(np.inf)
    near = [edges, np.nextafter(edges, infinity), np.nextafter(edges, -infinity), middles]
    return np.concatenate([*near, _far(staircase)]).astype(np.float32)


def _far(staircase: Staircase) -> NDArray[np.float32]:
    """Pre-activations below all thresholds, from far to near, and above all, from near to far: (2·ENDS, C)."""
    reach = staircase.threshold * (staircase.levels + 2.0)
    low, high = (staircase.lower_edges(np.full((1, 1), k))[0] for k in (1.0, float(staircase.levels)))
    away = np.geomspace(2.0**-6, BEYOND, ENDS)
    ends = [low - r * reach for r in away[::-1]] + [high + r * reach for r in away]
    return np.stack(np.broadcast_arrays(*ends)).astype(np.float32)


_Answered: TypeAlias = "tuple[Found, _Narrow, NDArray[np.float32], NDArray[np.float64]]"


def _answered(
    found: Sequence[Found], points: Callable[[Staircase], NDArray[np.float32]], opsets: Opsets
) -> Iterator[_Answered]:
    """Activations with potentials (P, C) and what their own operators answer to them: many side by side in one model."""
    waiting: list[tuple[Found, _Narrow, NDArray[np.float32]]] = []
    for one in found:
        narrow = _Narrow(one)
        waiting.append((one, narrow, points(narrow.staircase)))
        if sum(z.size for *_, z in waiting) >= _AT_ONCE:
            yield from _run(waiting, opsets)
            waiting = []
    yield from _run(waiting, opsets)


def _run(asked: Sequence[tuple[Found, _Narrow, NDArray[np.float32]]], opsets: Opsets) -> Iterator[_Answered]:
    if not asked:
        return
    shared = [(one, narrow.sharing) for one, narrow, _ in asked]
    parts = [Part(one.root, one.nodes, (one.output,), s.shape, s.copies) for one, s in shared]
    feed = {f"z{i}": z.reshape(len(z), *narrow.sharing.shape) for i, (_, narrow, z) in enumerate(asked)}
    answers = Reference(side_by_side(parts, opsets)).run(feed)
    for i, (one, narrow, z) in enumerate(asked):
        answer = np.broadcast_to(answers[f"z{i}/0"], feed[f"z{i}"].shape).reshape(z.shape)
        yield one, narrow, z, answer.astype(np.float64)


def _levels(staircase: Staircase, answer: NDArray[np.float64]) -> NDArray[np.float64]:
    levels: NDArray[np.float64] = (answer - staircase.shift) / staircase.scale
    return levels


def _of_one_step(staircase: Staircase, answer: NDArray[np.float64]) -> Staircase:
    """Of one step, both ends are what the source answers far out: behind the step it may round to another multiple."""
    levels = _levels(staircase, answer[[-2 * ENDS, -1]])
    if staircase.levels != 1 or np.all(np.abs(levels - np.rint(levels)) <= ON_GRID):
        return staircase
    low, high = answer[-2 * ENDS], answer[-1]
    return replace(staircase, scale=np.where(high == low, staircase.scale, high - low), shift=low)


def _with_plateau(staircase: Staircase, answer: NDArray[np.float64]) -> Staircase:
    """Both plateaus as the source reaches them far out, where they are one level from what exact arithmetic says.

    1. The upper one: K is one more, or less.
    2. The lower one (the function falls): k is counted from there, so all thresholds move by one step.
    """
    levels = _levels(staircase, answer)
    low, high = (np.rint(levels[i]).astype(np.int64) for i in (-2 * ENDS, -1))
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


def _disagreement(
    operators: int, staircase: Staircase, z: NDArray[np.float32], answer: NDArray[np.float64]
) -> Disagreement | None:
    exact = _levels(staircase, answer)
    source = np.rint(exact)
    wide = z.astype(np.float64)
    level = staircase.level(wide)
    magnitude = np.abs(wide) + np.abs(staircase.offset) + staircase.threshold * (staircase.levels + 1.0)
    slack = (operators + 2) * EPSILON * magnitude
    low, high = np.minimum(level, source), np.maximum(level, source)
    edge = staircase.lower_edges(high)
    explained = (high - low == 1) & (np.abs(wide - edge) <= slack)
    on_grid = np.abs(exact - source) <= ON_GRID + slack / staircase.threshold
    bad = ~(((level == source) | explained) & on_grid)
    if not bad.any():
        return None
    where = tuple(np.argwhere(bad)[0])
    far = None
    if where[0] >= len(z) - 2 * ENDS:
        end = len(z) - 2 * ENDS if where[0] < len(z) - ENDS else len(z) - 1
        far = float(wide[end][where[1:]])
    stands = np.broadcast_to(level * staircase.scale + staircase.shift, answer.shape)
    return Disagreement(float(wide[where]), float(stands[where]), float(answer[where]), far)
