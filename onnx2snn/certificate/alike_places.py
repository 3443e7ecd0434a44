"""Places of a map that compute alike: a smaller map has one of each kind, and shows the same synapses.

Convolutions, poolings and operators that work entry by entry do the same at every place, but for places whose windows reach
padding, and for constants that change from place to place. So what they make of levels is known at all places when it is known
at those near each border, and at a few between: the rest is cut out of the middle, and cost follows the weights, not the pixels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.dialect.subnetworks import POTENTIAL
from onnx2snn.graph.core import Array
from onnx2snn.graph.walks import carried, values_forward
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of

#: Places between the borders that stay.
INSIDE = 4


@dataclass(frozen=True)
class SmallMap:
    """Both networks on a map without most of its middle.

    Attributes:
        models: The source and the spiking network, with the constants of the places that stay.
        example: One sample of their inputs.
        borders: By spatial axis, places of the result in front of what was cut out.
        missing: By spatial axis, how many were.
    """

    models: tuple[SplitModel, SplitModel]
    example: Mapping[str, Array]
    borders: tuple[int, ...]
    missing: tuple[int, ...]

    def place(self, neuron: tuple[int, ...]) -> tuple[int, ...]:
        """Where a neuron (C, ...) of the small map stands in the whole one."""
        places = zip(neuron[1:], self.borders, self.missing, strict=True)
        return (*neuron[:1], *(at + missing * (at >= border) for at, border, missing in places))


def small_map(
    models: tuple[SplitModel, SplitModel],
    example: Mapping[str, Array],
    shape: Sequence[int],
    parameters: Sequence[Array],
) -> SmallMap | None:
    """The networks on a smaller map; None where places are not known to be alike, or no fewer would do.

    Args:
        models: What both compute of levels and network inputs, ``POTENTIAL`` their only output.
        example: One sample of these (1, ...).
        shape: Of the result (N, C, ...).
        parameters: Of the neurons behind it, by channel.
    """
    axes = len(shape) - 2
    if axes < 1 or any(size != 1 for p in parameters for size in np.shape(p)[-axes:]):
        return None
    given = {name: np.shape(value) for name, value in example.items()}
    found = [_places(model, given, axes) for model in models]
    if any(one is None or one.sizes != tuple(shape[2:]) for one in found):
        return None
    maps = [one for one in found if one is not None]
    if any(maps[0].strides.get(n, own) != own for n, own in maps[1].strides.items() if n in given):
        return None
    left, right = ([max(ends) for ends in zip(*(m.ends[side] for m in maps), strict=True)] for side in (0, 1))
    edges = zip(shape[2:], left, right, strict=True)
    missing = tuple(max(0, size - first - last - INSIDE) for size, first, last in edges)
    if not any(missing):
        return None
    strides = {**maps[0].strides, **maps[1].strides}
    smaller = {name: _cut(value, strides.get(name), missing) for name, value in example.items()}
    source, spiking = (m.without(model, missing) for m, model in zip(maps, models, strict=True))
    return SmallMap((source, spiking), smaller, tuple(n + INSIDE // 2 for n in left), missing)


def _cut(value: Array, strides: tuple[int, ...] | None, missing: tuple[int, ...]) -> Array:
    """As many places fewer as the result has, times the strides between them: of an example, whichever."""
    if strides is None:
        return value
    sizes = zip(value.shape[2:], strides, missing, strict=True)
    places = tuple(slice(n - s * m) for n, s, m in sizes)
    return value[(slice(None),) * 2 + places]


@dataclass(frozen=True)
class _Places:
    """What a network does at the places of its result.

    Attributes:
        sizes: How many there are, by axis.
        ends: How many at the beginning, and at the end, by axis, do something of their own.
        strides: By tensor, how many of its places one place of the result stands for, by axis.
        constants: By node and input, constants with places of their own: the first place, by axis, of those that are alike.
    """

    sizes: tuple[int, ...]
    ends: tuple[tuple[int, ...], tuple[int, ...]]
    strides: Mapping[str, tuple[int, ...]]
    constants: Mapping[tuple[str, int], tuple[int | None, ...]]

    def without(self, model: SplitModel, missing: tuple[int, ...]) -> SplitModel:
        """``model`` with the constants of a map that lacks so many places."""
        structure = onnx.ModelProto()
        structure.CopyFrom(model.structure)
        for node in structure.graph.node:
            for position, name in enumerate(node.input):
                firsts = self.constants.get((node.output[0], position))
                if firsts is None:
                    continue
                values, strides = model.constants[name], self.strides[node.output[0]]
                for axis, first in enumerate(firsts, values.ndim - len(firsts)):
                    if first is not None:
                        count = strides[axis - values.ndim] * missing[axis - values.ndim]
                        values = np.delete(values, range(first, first + count), axis)
                node.input[position] = f"{node.output[0]}/{position}/few places"
                structure.graph.initializer.append(numpy_helper.from_array(values, node.input[position]))
        return SplitModel(structure, model.weights)


def _places(model: SplitModel, given: Mapping[str, tuple[int, ...]], axes: int) -> _Places | None:
    """What ``model`` does at the places of its result; None where that is not known."""
    strides = _strides(model, axes)
    if strides is None:
        return None
    inputs = {n: own for n, own in given.items() if n in strides}
    if any(len(own) != axes + 2 for own in inputs.values()):
        return None
    known = {name: [(size, 0, 0) for size in own[2:]] for name, own in inputs.items()}
    constants: dict[tuple[str, int], tuple[int | None, ...]] = {}

    def rule(node: onnx.NodeProto, read: list[_Ends | None]) -> _Ends | None:
        signals = [
            one for name, one in zip(node.input, read, strict=True) if name in strides and one is not None
        ]
        if not signals or len(signals) < sum(name in strides for name in node.input):
            return None
        if of(node).windows:
            return _windowed(node, model, signals[0])
        held = None
        if all(_sizes(one) == _sizes(signals[0]) for one in signals):
            held = _constants(node, model, _sizes(signals[0]))
        if held is None:
            return None
        constants.update({key: tuple(run and run[1] for run in runs) for key, runs in held.items()})
        made = functools.reduce(_both, [_ends(runs, signals[0]) for runs in held.values()], signals[0])
        return functools.reduce(_both, signals[1:], made)

    known = values_forward(model.structure.graph.node, rule, known)
    if POTENTIAL not in known:
        return None
    sizes, left, right = zip(*known[POTENTIAL], strict=True)
    return _Places(sizes, (left, right), strides, constants)


#: By axis: places, and those at both ends that do something of their own.
_Ends: TypeAlias = list[tuple[int, int, int]]


def _sizes(ends: _Ends) -> list[int]:
    return [size for size, _, _ in ends]


def _both(one: _Ends, other: _Ends) -> _Ends:
    pairs = zip(one, other, strict=True)
    return [(size, max(a, c), max(b, d)) for (size, a, b), (_, c, d) in pairs]


def _ends(runs: Sequence[tuple[int, int, int] | None], signal: _Ends) -> _Ends:
    """Those of a constant."""
    pairs = zip(runs, signal, strict=True)
    return [(size, 0, 0) if run is None else (size, run[1], run[2]) for run, (size, _, _) in pairs]


#: Of a signal, by axis.
_Strides: TypeAlias = tuple[int, ...]


def _strides(model: SplitModel, axes: int) -> dict[str, tuple[int, ...]] | None:
    """By signal, how many of its places one of the result stands for; None where an operator is not alike at all places."""

    def rule(
        node: onnx.NodeProto, found: dict[str, _Strides | None]
    ) -> Iterable[tuple[str, _Strides | None]]:
        own, signals = found.get(node.output[0]), [n for n in node.input if n and n not in model.constants]
        if own is None or len(node.output) != 1 or not _is_alike(node, signals, model):
            return [(node.output[0], None)]
        if of(node).windows:
            steps = _attribute(node, "strides", [1] * axes)
            own = tuple(math.prod(pair) for pair in zip(own, steps, strict=True))
        return [(name, own if found.get(name, own) == own else None) for name in signals]

    start: dict[str, _Strides | None] = {POTENTIAL: (1,) * axes}
    found = carried(reversed(model.structure.graph.node), rule, start)
    known = {name: strides for name, strides in found.items() if strides is not None}
    return known if len(known) == len(found) else None


def _is_alike(node: onnx.NodeProto, signals: Sequence[str], model: SplitModel) -> bool:
    """Whether ``node`` does the same at every place, but near its borders.

    1. Windows of one signal, times constant weights or not, with padding that is written down.
    2. A batch norm, or signals beside each other, channel by channel.
    3. Entry by entry, of signals and of constants that are taken against them.
    """
    record = of(node)
    if record.windows:
        padded = _attribute(node, "auto_pad", b"NOTSET") == b"NOTSET" and not _attribute(node, "ceil_mode", 0)
        return record.channels_second and list(signals) == list(node.input[:1]) and padded
    if record.normalises is not None:
        return list(signals) == list(node.input[:1])
    if record.joins:
        return _attribute(node, "axis", 0) == 1 and len(signals) == len(node.input)
    constants = [model.constants[name] for name in node.input if name and name not in signals]
    return record.elementwise and (record.broadcasts or all(value.size == 1 for value in constants))


def _windowed(node: onnx.NodeProto, model: SplitModel, signal: _Ends) -> _Ends | None:
    """Behind windows: those that reach padding, or what does something of its own."""
    axes = len(signal)
    extents = _attribute(node, "kernel_shape", None)
    if extents is None:
        extents = model.constants[node.input[1]].shape[2:]
    dilations, strides = (_attribute(node, name, [1] * axes) for name in ("dilations", "strides"))
    pads = _attribute(node, "pads", [0] * 2 * axes)
    found = []
    for axis, (size, left, right) in enumerate(signal):
        before, after, step = pads[axis], pads[axis + axes], strides[axis]
        room = size + before + after - ((extents[axis] - 1) * dilations[axis] + 1)
        if min(room, before, after) < 0:
            return None
        found.append((room // step + 1, -(-(left + before) // step), -(-(right + after) // step)))
    return found


def _constants(
    node: onnx.NodeProto, model: SplitModel, sizes: Sequence[int]
) -> dict[tuple[str, int], list[tuple[int, int, int] | None]] | None:
    """Constants of an operator that have places: by axis their number, and how many at both ends are not as those between."""
    found: dict[tuple[str, int], list[tuple[int, int, int] | None]] = {}
    if not of(node).elementwise:
        return found
    for position, name in enumerate(node.input):
        values = model.constants.get(name) if name else None
        if values is None or values.size == 1:
            continue
        if not len(sizes) <= values.ndim <= len(sizes) + 2:
            return None
        if all(size == 1 for size in values.shape[-len(sizes) :]):
            continue
        own = list(zip(range(values.ndim - len(sizes), values.ndim), sizes, strict=True))
        if any(values.shape[axis] not in (1, size) for axis, size in own):
            return None
        found[node.output[0], position] = [
            None if values.shape[axis] == 1 else _run(np.moveaxis(values, axis, 0)) for axis, _ in own
        ]
    return found


def _run(values: Array) -> tuple[int, int, int]:
    """How many there are, and how many lie before and behind those in the middle that are all equal."""
    flat = values.reshape(len(values), -1)
    changes = np.flatnonzero(np.any(flat[1:] != flat[:-1], axis=1)) + 1
    middle = len(flat) // 2
    first = int(max(changes[changes <= middle], default=0))
    last = int(min(changes[changes > middle], default=len(flat)))
    return len(flat), first, len(flat) - last


def _attribute(node: onnx.NodeProto, name: str, default: object) -> Any:
    held = next((a for a in node.attribute if a.name == name), None)
    return default if held is None else helper.get_attribute_value(held)
