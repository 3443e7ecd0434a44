"""Following a tensor back to the staircase whose level it carries, through decoding lines and moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, constant_input, producer_of, signals
from onnx2snn.operators.linear import DOMAIN, MOVEMENT, ORDER_PRESERVING, STAIRCASE


@dataclass(frozen=True)
class Carried:
    """A tensor that is a rising line of a staircase's level, moved about: ``nodes`` lead from the level to it."""

    staircase: gs.Node
    nodes: tuple[gs.Node, ...]

    @property
    def constants(self) -> list[Array]:
        """The factors and terms on the way."""
        found = (line_constant(node) for node in self.nodes)
        return [c for c in found if c is not None]

    @property
    def moves(self) -> bool:
        """Whether values change places on the way."""
        return any(node.op in MOVEMENT and node.op != "Identity" for node in self.nodes)


def line_constant(node: gs.Node) -> Array | None:
    """The constant of a ``Mul c`` or ``Add c``."""
    if node.op not in ("Mul", "Add") or node.domain or len(node.inputs) != 2:
        return None
    first = constant_input(node, 0)
    return constant_input(node, 1) if first is None else first


def is_rising_line(node: gs.Node) -> bool:
    """Whether ``node`` is an ``Add c``, or a ``Mul c`` with c > 0."""
    constant = line_constant(node)
    return constant is not None and (node.op == "Add" or bool(np.all(constant > 0)))


def carried(tensor: gs.Tensor, *, through_pools: bool = False) -> Carried | None:
    """The staircase behind ``tensor``, if only rising lines and moves (and pools, if asked) lie between."""
    nodes: list[gs.Node] = []
    node = producer_of(tensor)
    while node is not None:
        if node.op == STAIRCASE and node.domain == DOMAIN:
            return Carried(node, tuple(reversed(nodes)))
        passes = node.op in MOVEMENT or is_rising_line(node)
        if not passes and not (through_pools and node.op in ORDER_PRESERVING):
            return None
        nodes.append(node)
        read = signals(node)
        node = producer_of(read[0]) if read else None
    return None
