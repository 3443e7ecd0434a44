"""A network on levels: whole numbers flow between synapses, and thresholds are 1 (METHOD 5, 14).

z ─▶ Staircase(θ) ─▶ k ─▶ Mul α ─▶ Add o ─▶ Conv(W)      becomes      z/θ ─▶ Staircase(1) ─▶ k ─▶ Add −z₀ ─▶ Conv(α·W)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import is_train
from onnx2snn.exact.own_thresholds import own_thresholds, share_thresholds
from onnx2snn.exact.whole_levels import factors_behind_products, signed_levels, tables_together
from onnx2snn.graph.build import CodeGrid, Spelling
from onnx2snn.graph.core import (
    Array,
    Names,
    Pass,
    graph_pass,
    is_constant,
    is_float,
    producer_of,
)
from onnx2snn.operators import of
from onnx2snn.operators.linear import (
    axes_of,
    is_mean,
    is_neuron,
    is_weighted,
)
from onnx2snn.passes.recognise.recognise_staircases import put_staircase, reached_by_synapses
from onnx2snn.passes.rewrite.absorb_scales import absorb_backwards, absorb_forwards, unit_thresholds_of_all
from onnx2snn.passes.rewrite.fuse_batch_norm import fuse_batch_norm
from onnx2snn.passes.rewrite.hold_operands import hold_operands
from onnx2snn.passes.rewrite.insert_integrates import insert_integrates


def entrances(graph: gs.Graph) -> dict[str, list[tuple[gs.Node, int]]]:
    """Analog tensors that the first synapses read, and where, by name: those that the network does not quantise itself."""
    behind = reached_by_synapses(graph)
    quantised = {id(found.output) for found in recognise_checked(graph).found}
    found: dict[str, list[tuple[gs.Node, int]]] = {}
    for node in graph.nodes:
        for position in range(min(2, len(node.inputs)) if is_weighted(node) else 0):
            tensor = node.inputs[position]
            if is_constant(tensor) or not is_float(tensor) or id(tensor) in behind:
                continue
            while (
                id(tensor) not in quantised and (maker := producer_of(tensor)) is not None and of(maker).moves
            ):
                tensor = maker.inputs[0]
            if id(tensor) not in quantised:
                found.setdefault(node.inputs[position].name, []).append((node, position))
    return found


def put_grids(graph: gs.Graph, grids: Mapping[str, CodeGrid]) -> None:
    """Round analog tensors, by name, in front of the synapses that read them.

    x ─▶ Conv      becomes      x ─▶ Div g ─▶ Round ─▶ Clip ─▶ Mul g ─▶ Conv
    """
    names = Names(graph)
    for name, readers in entrances(graph).items():
        if name in grids:
            spelling = Spelling(graph, names, readers[0][0])
            tensor = graph.tensors()[name]
            held = spelling.dequantise(spelling.quantise(tensor, grids[name]), grids[name])
            for node, position in readers:
                node.inputs[position] = held


@graph_pass
def input_levels(graph: gs.Graph) -> gs.Graph:
    """Put a Staircase in place of the quantiser of the network's input, too."""
    names, behind = Names(graph), reached_by_synapses(graph)
    made = {id(t) for node in graph.nodes if is_neuron(node) for t in node.outputs}
    for found in recognise_checked(graph).found:
        if id(found.root) not in behind and id(found.root) not in made:
            put_staircase(graph, names, found)
    return graph


@graph_pass
def sum_averages(graph: gs.Graph) -> gs.Graph:
    """Averages of levels as sums, which are whole numbers; their factor goes on to the next synapses.

        k ─▶ AveragePool      becomes      k ─▶ Conv(1) ─▶ Mul 1/n

    1. Axes are reduced: ReduceSum.
    2. Windows: a convolution with ones, a channel apart. Near a border that is not counted, sums of fewer entries are multiplied
       by whole numbers, so that all have one factor.
    """
    names, kinds = Names(graph), facts(graph).kinds
    for node in list(graph.nodes):
        if not is_mean(node) or of(node).total or not is_train(node.inputs[0], kinds):
            continue
        spelling, tensor, out = Spelling(graph, names, node), node.inputs[0], node.outputs[0]
        if of(node).windows:
            summed = _windows(spelling, node)
        else:
            axes = axes_of(node) or list(range(2, len(tensor.shape)))
            sizes = [tensor.shape[axis] for axis in axes]
            summed = None
            if all(isinstance(size, (int, np.integer)) for size in sizes):
                kept = int(node.attrs.get("keepdims", 1))
                listed = np.array(axes, np.int64)
                sums = spelling.apply("ReduceSum", tensor, listed, sizes=list(out.shape), keepdims=kept)
                summed = sums, math.prod(int(size) for size in sizes)
        if summed is not None:
            node.outputs.clear()
            spelling.apply("Mul", summed[0], np.full(1, 1 / summed[1], np.float32), output=out)
    return graph


def _windows(spelling: Spelling, node: gs.Node) -> tuple[gs.Tensor, int] | None:
    """Case 2: the sums, and by what they are to be divided."""
    tensor, out = node.inputs[0], node.outputs[0]
    sizes = [*tensor.shape[1:], *out.shape[2:]]
    if str(node.attrs.get("auto_pad", "NOTSET")) not in ("NOTSET", "VALID"):
        return None
    kernel, rank = list(node.attrs["kernel_shape"]), len(tensor.shape) - 2
    strides, dilations = (list(node.attrs.get(name) or [1] * rank) for name in ("strides", "dilations"))
    pads = list(node.attrs.get("pads") or [0] * (2 * rank))
    even = not any(pads) or node.attrs.get("count_include_pad", 0)
    if not isinstance(tensor.shape[1], (int, np.integer)):
        return None
    if node.attrs.get("ceil_mode", 0) or not even:
        if not all(isinstance(size, (int, np.integer)) for size in sizes):
            return None
        for axis in range(rank):
            reach = (int(out.shape[2 + axis]) - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
            pads[rank + axis] = max(reach - int(tensor.shape[2 + axis]) - pads[axis], 0)
    channels = int(tensor.shape[1])
    places: dict[str, Any] = {"strides": strides, "dilations": dilations, "pads": pads, "group": channels}
    ones = np.ones((channels, 1, *kernel), np.float32)
    sums = spelling.apply("Conv", tensor, ones, sizes=list(out.shape), **places)
    if even and not node.attrs.get("ceil_mode", 0):
        return sums, math.prod(kernel)
    counted = bool(node.attrs.get("count_include_pad", 0))
    counts = [_counts(node, axis, int(out.shape[2 + axis]), counted=counted) for axis in range(rank)]
    whole = [math.lcm(*map(int, count)) for count in counts]
    factor = np.ones((1,) * (rank + 1))
    for axis, (count, least) in enumerate(zip(counts, whole, strict=True)):
        factor = factor * (least // count).reshape((-1,) + (1,) * (rank - 1 - axis))
    return spelling.apply("Mul", sums, factor.astype(np.float32)), math.prod(whole)


def _counts(node: gs.Node, axis: int, places: int, *, counted: bool) -> Array:
    """How many entries along ``axis`` each window counts."""
    rank = len(node.attrs["kernel_shape"])
    stride, dilation = ((node.attrs.get(n) or [1] * rank)[axis] for n in ("strides", "dilations"))
    pads = node.attrs.get("pads") or [0] * (2 * rank)
    size = int(node.inputs[0].shape[2 + axis])
    first = np.arange(places)[:, None] * stride - pads[axis]
    cells = first + np.arange(node.attrs["kernel_shape"][axis]) * dilation
    low, high = (-pads[axis], size + pads[rank + axis]) if counted else (0, size)
    return np.asarray(np.sum((cells >= low) & (cells < high), axis=1))


#: From a network whose activations are staircases to one on levels.
ON_LEVELS: tuple[Pass, ...] = (
    input_levels,
    tables_together,
    fuse_batch_norm,
    signed_levels,
    factors_behind_products,
    hold_operands,
    insert_integrates,
    absorb_backwards,
    unit_thresholds_of_all,
    absorb_forwards,
    sum_averages,
    absorb_forwards,
    share_thresholds,
    own_thresholds,
)
