"""Weights that are whole numbers times a scale stay whole numbers (METHOD 5, scale freedom)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.neuron_nodes import parameters, set_parameters
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.scale_propagation import COARSE, is_coarse
from onnx2snn.analysis.trains import is_train
from onnx2snn.graph.build import make_constant, replace_weights
from onnx2snn.graph.core import (
    Array,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    is_read_once,
    producer_of,
    signals,
    value_of,
)
from onnx2snn.operators import of
from onnx2snn.operators.linear import by_axis_1, by_channel, is_integrate, is_neuron, is_weighted
from onnx2snn.operators.scales import is_power_of_two

#: Where a node notes the whole number that its largest weight is, by output channel.
NOTE = "_onnx2snn_largest_integer"
#: 8-bit weights: signed, or unsigned less their zero point.
_HIGHEST = 255
#: Sums of whole numbers are exact in float32 below this.
EXACT = 2**24
#: The passes in between round a weight a few times.
_ROUNDINGS = 2.0**-21
#: A bias is as far from the whole number that it was, at most: less than a certificate allows for the rounding of constants.
_SNAPPED = 2.0**-22
_SAMPLED = 48
#: Weights of a row that rule out most numbers.
_FIRST = 4
_CANDIDATES = np.arange(1, _HIGHEST + 1)
#: Weights that are looked at together.
_AT_A_TIME = 1 << 17


@graph_pass
def note_integers(graph: gs.Graph) -> gs.Graph:
    """Note on each layer of synapses whose float32 weights are exactly n·s, |n| ≤ 255, which n its largest weight is.

    One scale s by output channel, or one in all: what QuantizeLinear/DequantizeLinear and ``Quant`` make of weights.
    """
    for node in graph.nodes:
        weights = constant_input(node, 1) if is_weighted(node) else None
        rows = None if weights is None else _rows(node, weights)
        largest = None if rows is None else _largest_integers(rows)
        if largest is not None:
            node.attrs[NOTE] = largest
    return graph


def _rows(node: gs.Node, weights: Array) -> Array | None:
    """(output channels, weights of each), None where an operator has no such order."""
    held = of(node).weights
    return None if held is None else held.rows(node, weights)


def _largest_integers(rows: Array) -> NDArray[np.int64] | None:
    if not rows.size:
        return None
    peaks = np.maximum(rows.max(axis=1), -rows.min(axis=1))  # no copy of large weights
    if not np.all(np.isfinite(peaks)):
        return None
    safe = _nonzero(peaks).astype(np.float64)[:, None]
    few = rows[:, :: max(1, rows.shape[1] // _SAMPLED)] / safe
    found = _smallest(few[:1])
    if np.any(found == 0):
        return None
    found = np.concatenate([_smallest(few[at]) for at in _blocks(few, _HIGHEST)])
    if np.any(found == 0):
        return None
    for multiple in _CANDIDATES:  # few weights may share a divisor that all do not
        n = found * multiple
        wrong = ~_is_exact(rows, peaks, n)
        if not wrong.any():
            return n
        found = np.where(wrong, found, n // multiple)
        if np.any(found * (multiple + 1) > _HIGHEST):
            return None
    return None


def _smallest(shares: Array) -> NDArray[np.int64]:
    """The smallest number that a row's largest integer can be, where its weights are these shares of it; 0: none."""
    first = shares[:, :_FIRST, None] * _CANDIDATES
    row, column = np.nonzero(np.all(_are_whole(first, _CANDIDATES), axis=1))
    n = _CANDIDATES[column]
    fits = np.all(_are_whole(shares[row] * n[:, None], n[:, None]), axis=1)
    found = np.full(len(shares), _HIGHEST + 1)
    np.minimum.at(found, row[fits], n[fits])
    return np.where(found > _HIGHEST, 0, found)


def _are_whole(steps: Array, n: Array) -> NDArray[np.bool_]:
    """Whether shares times ``n`` are whole numbers, up to the rounding of a weight."""
    near: NDArray[np.bool_] = np.abs(steps - np.rint(steps)) <= n * _ROUNDINGS
    return near


def _is_exact(rows: Array, peaks: Array, largest: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether some float32 scale s gives every weight as float32(n·s), by row."""
    scale = (peaks / largest.astype(np.float64)).astype(np.float32)
    exact = np.zeros(len(rows), np.bool_)
    for at in _blocks(rows):
        integers = np.rint(rows[at] / _nonzero(peaks[at])[:, None] * largest[at, None]).astype(np.float32)
        for step in (
            scale[at],
            np.nextafter(scale[at], np.float32(0)),
            np.nextafter(scale[at], np.float32(np.inf)),
        ):
            exact[at] |= np.all(integers * step[:, None] == rows[at], axis=1)
    return exact


def _nonzero(peaks: Array) -> Array:
    """Divisors: 1 where all weights of a row are zero."""
    return np.where(peaks > 0, peaks, 1)


def _blocks(rows: Array, each: int = 1) -> Iterator[slice]:
    """Some rows after the other: what is computed, ``each`` numbers for a weight, is small beside large weights."""
    step = max(1, _AT_A_TIME * len(rows) // (rows.size * each))
    return (slice(first, first + step) for first in range(0, len(rows), step))


@graph_pass
def integer_weights(graph: gs.Graph) -> gs.Graph:
    """Give the scale of whole-number weights to the threshold behind them.

        s ─▶ Conv(n·r) ─▶ IF(θ, bias)      becomes      s ─▶ Conv(n) ─▶ IF(θ/r, bias/r)

    Integration is exact then, in every execution and every order of summation. A bias that is a whole number of steps,
    up to float32's rounding, becomes that number.

    1. An Integrate and a maximum stand in between, as in front of a pooled neuron: they are scaled alike.
    2. The weights are coarse (multiples of 2⁻¹², so that integration is exact as it is): r is a power of two, or nothing is
       done, since thresholds and biases would be rounded and ties decided otherwise.
    3. Sums could leave the whole numbers that float32 holds, something else reads the currents, or what comes in are no
       spikes but the currents of other synapses: nothing is done.
    """
    names = Names(graph)
    kinds = facts(graph).kinds
    neurons = [node for node in graph.nodes if is_neuron(node)]
    most = max((2 ** parameters(node).timesteps - 1 for node in neurons), default=1)
    for neuron in neurons:
        chain = chain_to(graph, neuron, inputs=2)
        if chain is None or not is_train(chain[-1].inputs[0], kinds) or not _is_spikes(chain[-1].inputs[0]):
            continue
        synapses = chain[-1]
        found = integers_of(synapses)
        if found is None or largest_sum(found[0]) * most >= EXACT:
            continue
        if not by_axis_1(synapses) and any(map(is_pooling, chain)):
            continue
        set_integers(names, synapses, found[0])
        rescale(names, neuron, chain[:-1], by_channel(synapses, 1 / found[1]))
    return graph


def is_pooling(node: gs.Node) -> bool:
    """Whether ``node`` takes maxima within channels."""
    return of(node).compares is not None and of(node).channels_second


def chain_to(graph: gs.Graph, neuron: gs.Node, *, inputs: int) -> list[gs.Node] | None:
    """What stands between ``neuron`` and its only layer of synapses, and that layer last, which may have so many inputs."""
    chain: list[gs.Node] = []
    tensor = neuron.inputs[0]
    if not is_constant(neuron.inputs[1]):
        return None
    while True:
        node = producer_of(tensor)
        if node is None or not is_read_once(graph, tensor) or len(node.outputs) != 1:
            return None
        chain.append(node)
        if NOTE in node.attrs:
            return chain if len(node.inputs) <= inputs else None
        passable = is_constant(node.inputs[1]) if is_integrate(node) else is_pooling(node)
        if not passable:
            return None
        tensor = node.inputs[0]


def _is_spikes(tensor: gs.Tensor) -> bool:
    """Whether a train holds zeros and ones: what neurons make, and what only moves it or puts it side by side."""
    node = producer_of(tensor)
    if node is None:
        return False
    if is_neuron(node):
        return True
    copies = of(node).copies
    return copies is not None and copies(node) and all(_is_spikes(signal) for signal in signals(node))


def integers_of(node: gs.Node) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
    """(whole numbers (channels, weights), their scale by channel), if the weights still are such."""
    weights = constant_input(node, 1)
    rows = None if weights is None else _rows(node, weights)
    largest = node.attrs[NOTE]
    if rows is None or len(rows) != len(largest):
        return None
    peaks = np.maximum(rows.max(axis=1), -rows.min(axis=1)).astype(np.float64)
    scale = _nonzero(peaks) / largest
    if is_coarse(rows):
        scale = _powers_of_two(rows)
        if np.any(peaks > _HIGHEST * scale):
            return None
    integers = np.empty_like(rows, np.float32)
    for at in _blocks(rows):
        steps = np.rint(rows[at] / scale[at, None])
        if not np.all(np.abs(steps * scale[at, None] - rows[at]) <= _ROUNDINGS * np.abs(rows[at])):
            return None
        integers[at] = steps
    return integers, scale


def _powers_of_two(rows: Array) -> NDArray[np.float64]:
    """By row of coarse weights, the largest power of two of which all are multiples."""
    found = np.empty(len(rows))
    for at in _blocks(rows):
        units = (rows[at] / COARSE).astype(np.int64)
        lowest = np.where(units == 0, np.iinfo(np.int64).max, units & -units).min(axis=1)
        found[at] = np.where(lowest == np.iinfo(np.int64).max, 1.0, lowest * COARSE)
    return found


def largest_sum(rows: NDArray[np.float32]) -> float:
    """The largest sum of magnitudes of a row; exact."""
    return max(float(np.abs(rows[at]).sum(axis=1, dtype=np.float64).max()) for at in _blocks(rows))


def set_integers(names: Names, node: gs.Node, rows: NDArray[np.float32]) -> None:
    """Give ``node`` these weights, (output channels, weights of each)."""
    weights = of(node).weights
    if weights is not None:
        held = weights.held(node, rows, value_of(node.inputs[1]).shape)
        replace_weights(names, node, f"{node.name}/integers", held)


def rescale(names: Names, neuron: gs.Node, between: list[gs.Node], factor: NDArray[np.float64]) -> None:
    """Multiply threshold and bias of ``neuron``, and biases in between, by ``factor``."""
    factor = factor.reshape(()) if factor.size == 1 else factor
    for node in between:
        if is_integrate(node):
            bias = snapped(value_of(node.inputs[1]), factor)
            node.inputs[1] = make_constant(names, f"{node.name}/bias", np.atleast_1d(bias))
    staircase = parameters(neuron)
    scaled = replace(staircase, threshold=staircase.threshold * factor, offset=staircase.offset * factor)
    set_parameters(names, neuron, scaled, bias=snapped(value_of(neuron.inputs[1]), factor))


def snapped(bias: Array, factor: NDArray[np.float64]) -> Array:
    """``bias`` in steps of the weights: a whole number, where rounding alone can have made it none."""
    steps = bias.astype(np.float64) * factor
    if is_power_of_two(factor):
        return steps.astype(np.float32)  # exact: nothing was rounded that had to be undone
    whole = np.rint(steps)
    return np.where(np.abs(steps - whole) <= _SNAPPED * np.abs(whole), whole, steps).astype(np.float32)
