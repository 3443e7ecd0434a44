"""What was found of a graph's activations, and what keeps others from being one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import onnx_graphsurgeon as gs

from onnx2snn.activations.jumps import Rounded
from onnx2snn.activations.neuron import Staircase
from onnx2snn.graph.core import origin
from onnx2snn.remedies import CALIBRATE


@dataclass(frozen=True)
class Found:
    """A quantised activation: ``output`` = staircase(``root``).

    Attributes:
        staircase: Its parameters, arrays shaped like one sample of ``root`` (without the batch axis).
        root: The pre-activation z.
        output: The tensor that holds a = α·k + o.
        nodes: The nodes that compute it, in topological order.
        known: What was found of the same operators before; see :class:`onnx2snn.activations.expression.Value`.
    """

    staircase: Staircase
    root: gs.Tensor
    output: gs.Tensor
    nodes: tuple[gs.Node, ...]
    known: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def timesteps(self) -> int:
        """T."""
        return self.staircase.timesteps

    @property
    def source_nodes(self) -> list[str]:
        """Names of the user's nodes, each once."""
        return list(dict.fromkeys(name for node in self.nodes for name in origin(node)))


@dataclass(frozen=True)
class Rejected:
    """An activation that is no staircase: where, why, and what to do.

    Attributes:
        node: The node at fault.
        operator: Its operator.
        reason: What keeps it from being a staircase.
        remedy: What to do.
        nodes: Names of all nodes of the activation.
    """

    node: str
    operator: str
    reason: str
    remedy: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recognition:
    """All activations of a graph.

    Attributes:
        found: The staircases.
        rejected: What is elementwise and not linear, but no staircase; by the name of the tensor that holds it.
        inner: Staircases that nothing but the rejected are made of.
        unbounded: The roundings of those, where they lack a lowest or a highest level.
    """

    found: tuple[Found, ...]
    rejected: dict[str, Rejected]
    unbounded: tuple[Rounded, ...] = ()
    inner: tuple[Found, ...] = ()


def rejected(node: gs.Node, reason: str, nodes: tuple[str, ...]) -> Rejected:
    """In the user's names."""
    return Rejected(next(iter(origin(node)), node.name), node.op, reason, CALIBRATE, nodes)
