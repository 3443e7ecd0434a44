"""Staircases of T levels in place of staircases of K: what T spikes of a rate code can say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import Staircase
from onnx2snn.activations.neuron_nodes import SOURCE, parameters, set_parameters, staircase_of
from onnx2snn.activations.rules import by_rule, rules_of
from onnx2snn.errors import ConversionError
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Names, Pass, graph_pass, origin
from onnx2snn.operators.linear import is_neuron
from onnx2snn.remedies import BINARY


def most_levels(graph: gs.Graph) -> int:
    """The largest K of a graph's staircases."""
    return max((parameters(node).levels for node in graph.nodes if is_neuron(node)), default=1)


def rate_levels(timesteps: int | None) -> Pass:
    """The pass that gives every staircase the T levels of a rate code; the line between its ends stays where it was.

        z ─▶ Staircase(θ, K) ─▶ k      becomes      z ─▶ Staircase(θ·K/T, T) ─▶ n ─▶ Mul K/T ─▶ k

    1. K = T: the levels are the same.
    2. K ≠ T: coarser or finer ones, rounded half up.

    Args:
        timesteps: T; None for the largest K.
    """

    @graph_pass
    def rate_levels_with(graph: gs.Graph) -> gs.Graph:
        names = Names(graph)
        steps = timesteps or most_levels(graph)
        for node in list(graph.nodes):
            if not is_neuron(node):
                continue
            before = staircase_of(node)
            if before is None:
                raise ConversionError(
                    "a rate code counts levels of equal steps, and those of this activation are not",
                    node=next(iter(origin(node)), node.name),
                    remedy=BINARY,
                )
            after = with_levels(before, steps)
            set_parameters(names, node, after)
            node.attrs[SOURCE] = after
            _weigh(graph, names, node, before.ceilings / steps)
        return graph

    rate_levels_with.__name__ = "rate_levels"
    return rate_levels_with


def with_levels(staircase: Staircase, levels: int) -> Staircase:
    """The staircase of ``levels`` equal steps along the same clipped line.

    Level k of the old one stands for the pre-activation k·θ − δ′ at the middle of its step: δ′ = δ − θ/2 where it rounds
    down, δ where it rounds to the nearest, δ + θ/2 where it rounds up.
    """
    middle = by_rule(staircase.rounding, floor=-0.5, ceil=0.5, half_even=0, half_odd=0) * staircase.threshold
    ratio = staircase.ceilings / levels
    threshold = staircase.threshold * ratio
    return replace(
        staircase,
        threshold=threshold,
        offset=staircase.offset + middle + threshold / 2,
        levels=levels,
        ceilings=np.full_like(staircase.ceilings, levels),
        scale=staircase.scale * ratio,
        rounding=rules_of("floor"),
    )


def _weigh(graph: gs.Graph, names: Names, node: gs.Node, ratio: np.ndarray) -> None:
    """What a spike of the new code is worth in levels of the old one."""
    if np.all(ratio == 1):
        return
    level = node.outputs[0]
    count = gs.Variable(names.fresh(f"{level.name}/count"), np.float32, list(level.shape))
    node.outputs = [count]
    held = make_constant(names, f"{node.name}/worth", ratio.astype(np.float32))
    graph.nodes.append(
        gs.Node(
            op="Mul",
            name=names.fresh(f"{node.name}/worth"),
            attrs={ORIGIN: origin(node)},
            inputs=[count, held],
            outputs=[level],
        )
    )
