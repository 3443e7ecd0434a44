"""Weights and biases on grids: every partial sum is a whole number of steps below 2²⁴, which float32 holds (METHOD 14).

For each tensor between levels and a neuron, u is a power of two for each channel with Σ w·K + b < 2²⁴·u at the neuron, over
what is positive and over what is negative. Where several synapses lie behind each other the bits are shared out among them: each
adds its weights' bits to what it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import SOURCE_TENSOR, parameters, set_parameters, staircase_of
from onnx2snn.activations.rules import by_rule
from onnx2snn.activations.tables import Table, smallest_reached
from onnx2snn.activations.whole_quotients import beside_potential
from onnx2snn.analysis.dataflow import influencing
from onnx2snn.analysis.scale_propagation import factor_of, is_short, output_factors
from onnx2snn.exact.steps import Wide, power_of_two, rounded, steps_for, through
from onnx2snn.graph.build import make_constant, replace_weights
from onnx2snn.graph.core import Array, Names, constant_input, is_constant, is_float, signals, value_of
from onnx2snn.graph.walks import carried, values_forward
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_hold, is_integrate, is_linear, is_mean, is_neuron, is_weighted
from onnx2snn.operators.places import compact
from onnx2snn.operators.scales import as_scale, is_power_of_two
from onnx2snn.operators.signals import quantum

#: Where a neuron with a table keeps its thresholds, (J, ...), in units of its input.
THRESHOLDS = "_onnx2snn_thresholds"
#: Bits of a number of float32.
BITS = 24
#: A single factor takes this share of the bits that synapses take.
FACTOR = 0.25
#: Biases of neurons without synapses are multiples of this share of what levels are multiples of.
FINE = 2.0**-10
#: Weights of a readout that rounding would change by more, over their size, are left to float32: nothing fires behind them.
READOUT = 2.0**-8
#: So much may rounding add to a sum of magnitudes.
SLACK = 1 + 2.0**-8


@dataclass(frozen=True)
class Change:
    """What rounding did to the constants of one layer of synapses.

    Attributes:
        name: The user's node.
        bits: Of its largest weight in steps of its channel, the sign left out.
        weights: Root mean square change over the root mean square of the weights.
    """

    name: str
    bits: int
    weights: float


class Grids:
    """Steps of every tensor between levels and neurons, and the rounding of constants to them.

    Args:
        graph: On levels; its constants are changed.
        sizes: Of every tensor, from :func:`onnx2snn.exact.magnitudes.magnitudes`.
        spare: Bits of float32 that are not used in front of a layer, or of an output, by name.
    """

    def __init__(self, graph: gs.Graph, sizes: Mapping[str, Array], *, spare: Mapping[str, float]) -> None:
        self._graph, self._sizes = graph, sizes
        self._names = Names(graph)
        self._bits_left = self._room(spare)
        self._leading = influencing(graph, is_neuron)
        self._before = self._depths()
        self._after = self._depths(backwards=True)
        self._few = self._bits()
        self._steps: dict[int, Wide] = {}
        self._held: dict[int, float] = {}

    def _room(self, spare: Mapping[str, float]) -> dict[int, float]:
        """By tensor, the bits that there are for what neurons and outputs make of it; names that are not here stand for all."""
        layers = {node.attrs[SOURCE_TENSOR] for node in self._graph.nodes if is_neuron(node)}
        known = layers | {t.name for t in self._graph.outputs}
        most = BITS - max((bits for name, bits in spare.items() if name not in known), default=0.0)
        room = {id(t): min(most, BITS - spare.get(t.name, 0.0)) for t in self._graph.outputs}

        def rule(node: gs.Node, room: dict[int, float]) -> Iterable[tuple[int, float]]:
            behind = [BITS - spare.get(node.attrs[SOURCE_TENSOR], 0.0)] if is_neuron(node) else []
            behind = behind or [room.get(id(t), most) for t in node.outputs]
            return [(id(t), min(room.get(id(t), most), *behind)) for t in node.inputs]

        return carried(reversed(self._graph.nodes), rule, room)

    def _depths(self, *, backwards: bool = False) -> dict[int, float]:
        """By tensor, synapses on the longest way from levels, or to the next neuron."""
        depths: dict[int, float] = {}
        for node in reversed(self._graph.nodes) if backwards else self._graph.nodes:
            ends = is_neuron(node) or not _is_synaptic(node)
            read, made = (node.outputs, node.inputs) if backwards else (node.inputs, node.outputs)
            far = 0.0 if ends else max((depths.get(id(t), 0.0) for t in read), default=0.0) + _share(node)
            for tensor in made:
                depths[id(tensor)] = max(depths.get(id(tensor), 0.0), far)
        return depths

    def _bits(self) -> dict[int, float]:
        """By tensor, the bits of the levels that it is made of."""

        def rule(node: gs.Node, read: list[float | None]) -> float:
            made = node.outputs[0]
            if self._before.get(id(made), 0.0) == 0 and made.name in self._sizes:
                return float(np.log2(np.max(self._sizes[made.name]) + 1))
            return max((bits or 0.0 for bits in read), default=0.0)

        return values_forward(self._graph.nodes, rule, {})

    def round(self) -> list[Change]:
        """Round all constants between levels and neurons."""
        for node in reversed(self._graph.nodes):
            self._ask(node)
        changes = []
        for node in self._graph.nodes:
            change = self._settle(node)
            if change is not None:
                changes.append(change)
        return changes

    def _ask(self, node: gs.Node) -> None:
        """The steps that ``node`` needs of what it reads, from those of what it writes."""
        out = node.outputs[0]
        for tensor in signals(node):
            size = self._sizes.get(tensor.name)
            if size is None or not is_float(tensor) or not self._before.get(id(tensor)):
                continue
            after, room = self._after.get(id(tensor), 0.0), self._bits_left[id(tensor)]
            wanted = self._steps.get(id(out))
            if is_neuron(node) or not _is_synaptic(node) or wanted is None:
                step = power_of_two(self._with_bias(node, size) * SLACK * 2.0**-room)
            elif after == 0.0 or not _share(node):
                step = through(node, wanted, tensor)
            else:
                before, few = self._before.get(id(tensor), 0.0), self._few.get(id(tensor), 1.0)
                bits = few + (room - few) * before / (before + after)
                step = power_of_two(size * SLACK * 2.0**-bits)
            old = self._steps.get(id(tensor))
            self._steps[id(tensor)] = step if old is None else np.maximum(*np.broadcast_arrays(old, step))

    def _with_bias(self, node: gs.Node, size: Wide) -> Wide:
        """The potential of a neuron, its own bias and a threshold in it."""
        if not is_neuron(node) or not is_constant(node.inputs[1]):
            return size
        beside = sum((np.abs(values) for values in beside_potential(parameters(node))[1:]), np.ones(()))
        own = as_scale(np.abs(value_of(node.inputs[1])) + beside, size.ndim)
        fits = all(a in (1, b) for a, b in zip(own.shape, size.shape, strict=True))
        return np.asarray(size + (own if fits else own.max()))

    def _settle(self, node: gs.Node) -> Change | None:
        """Round the constants of ``node``, and tell what its results are multiples of."""
        out = node.outputs[0]
        if is_neuron(node):
            self._held[id(out)] = 1.0
            self._settle_neuron(node)
            return None
        read = [self._held.get(id(t), 0.0) for t in signals(node) if is_float(t)]
        if not read or min(read) == 0.0 or out.name not in self._sizes:
            return None
        steps = self._steps.get(id(out))
        held, change = min(read), None
        if is_weighted(node) and is_constant(node.inputs[1]) and not _share(node):
            held *= quantum(value_of(node.inputs[1]))
        elif is_weighted(node) and is_constant(node.inputs[1]) and steps is not None:
            change = self._settle_weights(node, held, steps)
            held = 0.0 if change is None else float(steps.min())
        elif (factor := factor_of(node)) is not None and steps is not None:
            held = self._settle_factor(node, factor, held, steps)
        elif of(node).sums and steps is not None:
            for position, tensor in enumerate(node.inputs):
                if is_constant(tensor):
                    self._set(node, position, rounded(value_of(tensor), steps_for(value_of(tensor), steps)))
                    held = min(held, quantum(value_of(node.inputs[position])))
        elif is_integrate(node):
            held = min(held, quantum(value_of(node.inputs[1])))
        elif of(node).bilinear and len(read) == 2:
            held = read[0] * read[1]
        elif (is_mean(node) and not of(node).total) or (not _is_synaptic(node) and not of(node).plain):
            held = 0.0
        for tensor in node.outputs:
            self._held[id(tensor)] = held
        return change

    def _settle_weights(self, node: gs.Node, held: float, steps: Wide) -> Change | None:
        """Round the weights of ``node``; None: a readout that has too few bits for them keeps its own."""
        weights = value_of(node.inputs[1])
        column = output_factors(node, steps)
        unit = np.asarray((steps.min() if column is None else column) / held)
        exact = weights.astype(np.float64)
        whole = np.rint(exact / unit)
        found = whole * unit
        power = float(np.mean(exact**2))
        change = float(np.sqrt(np.mean((found - exact) ** 2) / power)) if power else 0.0
        if change > READOUT and id(node.outputs[0]) not in self._leading:
            return None
        replace_weights(self._names, node, f"{node.name}/weight", found.astype(np.float32))
        bias = constant_input(node, 2)
        if bias is not None:
            own = steps.reshape(-1) if steps.size == bias.size else steps.min()
            self._set(node, 2, rounded(bias, np.asarray(own)))
        return Change(node.name, int(np.ceil(np.log2(np.max(np.abs(whole), initial=0) + 1))), change)

    def _settle_factor(self, node: gs.Node, factor: Wide, held: float, steps: Wide) -> float:
        found = factor
        if not is_short(factor):
            own = all(s in (1, f) for s, f in zip(steps.shape, factor.shape, strict=True))
            unit = (steps if own else steps.max()) / held
            found = np.rint(factor / unit) * unit
        node.op = "Mul"
        values = found.astype(np.float32)
        values = values.reshape(values.shape[1:]) if values.size > 1 else values.reshape(1)
        node.inputs = [signals(node)[0], make_constant(self._names, f"{node.name}/factor", values)]
        return held * quantum(found)

    def _settle_neuron(self, node: gs.Node) -> None:
        """The bias of a neuron, its rounding rule in it: what is left is to round down; a threshold of its own."""
        whole, staircase = self._held.get(id(node.inputs[0]), 0.0), staircase_of(node)
        steps = self._steps_behind(node, whole)
        if not is_constant(node.inputs[1]):
            return
        if staircase is None:
            self._settle_table(node, cast("Table", parameters(node)), steps)
            return
        bias, theta = value_of(node.inputs[1]).astype(np.float64), staircase.threshold
        rules, unit = staircase.rounding, np.ones(()) if steps is None else steps_for(bias + 0 * theta, steps)
        if not np.all(theta == 1) and whole:
            theta = np.maximum(rounded(theta, unit), unit)
            set_parameters(self._names, node, replace(staircase, threshold=theta), bias=bias)
        ceil = theta - unit if whole else theta
        bias = bias + by_rule(rules, floor=0.0, ceil=ceil, half_even=theta / 2, half_odd=theta / 2)
        self._set(node, 1, rounded(bias, unit) if whole else bias)

    def _steps_behind(self, node: gs.Node, whole: float) -> Wide | None:
        """Steps of the potential of a neuron; without weights in front, so fine as its sums leave bits for, and need be."""
        potential = node.inputs[0]
        steps, size = self._steps.get(id(potential)), self._sizes.get(potential.name)
        if steps is not None or not whole:
            return steps
        least = (
            0.0
            if size is None
            else np.max(self._with_bias(node, size)) * SLACK * 2.0 ** -self._bits_left[id(potential)]
        )
        return np.asarray(power_of_two(np.asarray(max(least, whole * FINE))))

    def _settle_table(self, node: gs.Node, table: Table, steps: Wide | None) -> None:
        """Thresholds at the least multiple of the step that reaches them: no function is changed.

        Thresholds are those of what synapses and the bias add up to, whole multiples of θ taken off the bias: tables on one
        potential then have the same.
        """
        bias, reached = (
            np.asarray(v, np.float64) for v in (value_of(node.inputs[1]), smallest_reached(table))
        )
        theta = float(table.threshold.flat[0])
        whole = np.floor(bias.flat[0] / theta) * theta
        bias, reached = bias - whole, reached - whole
        if steps is not None and self._held.get(id(node.inputs[0])):
            unit = steps_for(reached[0] if bias.size == 1 else bias, steps)
            missing = max(0, unit.ndim + 1 - reached.ndim)
            reached = reached.reshape(len(reached), *(1,) * missing, *reached.shape[1:])
            reached = compact(np.ceil(reached / unit) * unit, first=1)
            bias = rounded(bias, unit)
        self._set(node, 1, bias)
        node.attrs[THRESHOLDS] = reached

    def _set(self, node: gs.Node, position: int, values: Array) -> None:
        stem = node.inputs[position].name
        node.inputs[position] = make_constant(self._names, stem, np.asarray(values, np.float32))


def _is_synaptic(node: gs.Node) -> bool:
    """Whether exact numbers stay exact: linear operators, products, maxima, and what only holds."""
    record = of(node)
    return (
        is_linear(node)
        or record.bilinear
        or bool(record.compares)
        or record.extreme
        or is_hold(node)
        or is_integrate(node)
    )


def _share(node: gs.Node) -> float:
    """Of the bits, what the constants of ``node`` need: none where they are powers of two, or a factor of few bits."""
    if is_weighted(node) and (weights := constant_input(node, 1)) is not None:
        return 0.0 if is_power_of_two(np.where(weights == 0, 1, weights)) else 1.0
    factor = factor_of(node)
    return 0.0 if factor is None or is_short(factor) else FACTOR
