"""Put a Staircase node, and the line that decodes it, in place of each quantised activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations import Staircase
from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.activations.neuron_nodes import (
    DECIDED_BY,
    DIVIDES_WHOLE,
    EXTENT,
    READING,
    Reading,
    staircase_node,
)
from onnx2snn.activations.recognise import Found
from onnx2snn.activations.rules import rules_of
from onnx2snn.activations.tables import Table, extent
from onnx2snn.activations.tabulate import Tabulated, tabulate
from onnx2snn.activations.whole_quotients import deciding, divides_whole
from onnx2snn.activations.whole_shifts import whole_shift
from onnx2snn.analysis.dataflow import influenced_by, influencing
from onnx2snn.analysis.facts import facts
from onnx2snn.graph.build import Spelling, make_constant
from onnx2snn.graph.core import Array, Names, graph_pass, origin, producer_of
from onnx2snn.operators.linear import ROWS, is_weighted

#: What was found.
A = TypeVar("A", bound=Found | Tabulated)


@graph_pass
def recognise_staircases(graph: gs.Graph) -> gs.Graph:
    """Replace every recognised activation.

        z ─▶ (any elementwise operators) ─▶ a     becomes     z ─▶ Staircase ─▶ k ─▶ Mul α ─▶ Add o ─▶ a

    Where o is n·α, n whole, as a zero point makes it: k ─▶ Add n ─▶ Mul α ─▶ a, which rounds once, and keeps zero.

    1. The quantiser of the network's input (no synapse in front of it) stays as it is: the input is analog.
    2. A quantiser of the network's output that would need more time steps than all others stays: a readout.
    3. Where that would leave no neuron at all, those become neurons too.
    4. A function of one tensor that is no staircase of a line of it: tables of thresholds, one of its rising steps and one of its
       falling ones (METHOD 11).
    """
    names = Names(graph)
    recognition = recognise_checked(graph)
    tables = tabulate(graph, recognition)[0]
    covered = {id(one.output) for one in tables}
    staircases = [found for found in recognition.found if id(found.output) not in covered]
    candidates: list[Found | Tabulated] = [*staircases, *tables]
    for one in chosen(graph, candidates):
        if isinstance(one, Tabulated):
            put_table(graph, names, one)
        else:
            put_staircase(graph, names, one)
    return graph


def put_table(graph: gs.Graph, names: Names, one: Tabulated) -> None:
    """Case 4: neurons in place of a function of one tensor, all on that potential; α·(k − k') + o."""
    last = one.nodes[-1]
    origins = list(dict.fromkeys(name for node in one.nodes for name in origin(node)))
    stem = origin(last)[-1] if origin(last) else one.output.name
    reading = _reading(one)
    spelling = Spelling(graph, names, last)
    last.outputs = [gs.Variable(names.fresh(f"{one.output.name}/replaced"), np.float32, one.output.shape)]
    levels = []
    for number, part in enumerate(one.parts):
        suffix = f"/{number}" if len(one.parts) > 1 else ""
        held = part if number else replace(part, shift=one.shift)
        node = staircase_node(
            names,
            held,
            one.root,
            name=f"{stem}/neuron{suffix}",
            origin=origins,
            source=f"{one.output.name}{suffix}",
        )
        if suffix:
            node.attrs[READING] = reading
        if ROWS in last.attrs:
            node.attrs[ROWS] = last.attrs[ROWS]
        graph.nodes.append(node)
        levels.append(node.outputs[0])
    _decode(spelling, levels, list(one.parts), one)


def _reading(one: Tabulated) -> Reading:
    if one.first is not None:
        return Reading(one.first.output.name, one.first.staircase)
    if len(one.parts) != 2 or not np.array_equal(one.parts[0].scale, -one.parts[1].scale):
        return Reading(one.root.name, None)  # steps of several sizes are no level of one grid
    rising, falling = one.parts
    ceilings, nothing = np.asarray(rising.ceilings + falling.ceilings), np.zeros(())
    total = Staircase(
        threshold=nothing + 1,
        offset=nothing,
        levels=int(ceilings.max()),
        ceilings=ceilings,
        scale=rising.scale,
        shift=np.asarray(one.shift - rising.scale * falling.ceilings),
        rounding=rules_of("floor"),
    )
    return Reading(one.root.name, None, one.output.name, total)


def _decode(
    spelling: Spelling, levels: list[gs.Tensor], parts: list[Staircase | Table], one: Tabulated
) -> None:
    """Σ α·k + o; levels of scales that differ in sign alone are subtracted first, and of a single one o is added to k."""
    differences = []
    while levels:
        level, part = levels.pop(0), parts.pop(0)
        if parts and np.array_equal(parts[0].scale, -part.scale):
            level, falling = spelling.apply("Sub", level, levels.pop(0)), parts.pop(0)
            if isinstance(part, Table) and isinstance(falling, Table):
                level.inputs[0].attrs[EXTENT] = extent(part, falling)
        differences.append((level, part.scale))
    if len(differences) == 1:
        level, scale = differences[0]
        *lines, (last, values) = _lines(scale, one.shift)
        for op, held in lines:
            level = spelling.apply(op, level, _held(held))
        spelling.apply(last, level, *([] if values is None else [_held(values)]), output=one.output)
        return
    total = None if differences else spelling.apply("Mul", one.root, np.zeros(1, np.float32))
    for level, scale in differences:
        term = spelling.apply("Mul", level, _held(scale))
        total = term if total is None else spelling.apply("Add", total, term)
    spelling.apply("Add", total, _held(one.shift), output=one.output)


def _held(values: Any) -> NDArray[np.float32]:
    return np.atleast_1d(np.asarray(values, np.float32))


def between_synapses(graph: gs.Graph, activations: Sequence[tuple[gs.Tensor, gs.Tensor]]) -> list[gs.Tensor]:
    """Of activations (root, output), the outputs of those that neurons stand for: synapses in front and behind.

    Where none has synapses behind it, those with synapses in front.
    """
    behind, feeding = reached_by_synapses(graph), influencing(graph, is_weighted)
    hidden = [output for root, output in activations if id(root) in behind]
    return [output for output in hidden if id(output) in feeding] or hidden


def chosen(graph: gs.Graph, found: Sequence[A]) -> list[A]:
    """The activations that become neurons; see the cases of :func:`recognise_staircases`."""
    behind = facts(graph).behind_weights
    hidden = [f for f in found if id(f.root) in behind]
    if not hidden:
        return [f for f in found if isinstance(f, Found)]
    feeding = facts(graph).before_synapses
    inner = [f for f in hidden if id(f.output) in feeding]
    if not inner:
        return hidden
    most = max(f.timesteps for f in inner)
    return [f for f in hidden if id(f.output) in feeding or f.timesteps <= most]


def reached_by_synapses(graph: gs.Graph) -> set[int]:
    """Tensors that some weighted operator influences."""
    return influenced_by(graph, is_weighted)


def put_staircase(graph: gs.Graph, names: Names, found: Found) -> None:
    """Put a Staircase node and its line in place of the activation ``found``."""
    staircase, root = found.staircase, found.root
    old = producer_of(found.output)
    if old is None:
        raise AssertionError("an activation is made by a node")
    last = origin(found.nodes[-1])
    node = staircase_node(
        names,
        staircase,
        root,
        name=f"{last[-1] if last else found.output.name}/neuron",
        origin=found.source_nodes,
        source=found.output.name,
    )
    node.attrs[DIVIDES_WHOLE], node.attrs[DECIDED_BY] = divides_whole(found.nodes), deciding(found.nodes)
    if ROWS in old.attrs:
        node.attrs[ROWS] = old.attrs[ROWS]
    graph.nodes.append(node)
    old.outputs = [gs.Variable(names.fresh(f"{found.output.name}/replaced"), np.float32, found.output.shape)]
    wanted = _lines(staircase.scale, staircase.shift)
    value = node.outputs[0]
    for position, (op, values) in enumerate(wanted):
        inputs = [value]
        if values is not None:
            inputs.append(make_constant(names, f"{node.name}/{op.lower()}", np.asarray(values, np.float32)))
        last_one = position == len(wanted) - 1
        out = (
            found.output
            if last_one
            else gs.Variable(names.fresh(f"{node.name}/scaled"), np.float32, value.shape)
        )
        graph.nodes.append(
            gs.Node(op=op, name=names.fresh(f"{node.name}/{op}"), inputs=inputs, outputs=[out])
        )
        value = out


def _lines(scale: Array, shift: Array) -> list[tuple[str, Array | None]]:
    """The operators that decode levels, in order: α·(k + n), or α·k + o; without those that change nothing."""
    whole = whole_shift(scale, shift)
    lines: list[tuple[str, Array, float]] = [("Mul", scale, 1.0), ("Add", shift, 0.0)]
    if whole is not None:
        lines = [("Add", whole, 0.0), lines[0]]
    wanted: list[tuple[str, Array | None]] = [(op, v) for op, v, neutral in lines if np.any(v != neutral)]
    return wanted or [("Identity", None)]
