"""What an IF node computes, read from its constants: a rounding operator where one does, comparisons otherwise.

With θ = 1 and the thresholds of a rounding rule, generation equals the rule for every float32 v (METHOD 5; each
subtraction v − 2^j happens with 2^j ≤ v < 2^(j+1) and is exact):

    floor      k = floor(clip(v, 0, pred(K + 1)))         pred: the float32 below
    half_even  k = round(clip(v, 0, K))
    ceil       k = ceil(clip(v, 0, K))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.draft import Draft
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.tensors import attributes

Array: TypeAlias = NDArray[Any]

_INFINITY = np.float32(np.inf)


@dataclass(frozen=True)
class Rounding:
    """A neuron that rounds: operator(clip((v − shift)·multiplier, 0, top)).

    Attributes:
        operator: ``Floor``, ``Round`` or ``Ceil``.
        top: What the potential is cut to before; one value, or one per channel.
        multiplier: None for 1.
        shift: None for 0.
    """

    operator: str
    top: Array
    multiplier: Array | None = None
    shift: Array | None = None


@dataclass(frozen=True)
class Neuron:
    """An IF node and its constants; equation in :mod:`onnx2snn.runtime.bodies`.

    Attributes:
        node: The node.
        steps: S, time steps of its input.
        timesteps: T, of its output.
        compare: (T, ...).
        subtract: (T, ...).
        ceiling: Broadcasts to one sample.
    """

    node: Node
    steps: int
    timesteps: int
    compare: Array
    subtract: Array
    ceiling: Array

    @property
    def rounding(self) -> Rounding | None:
        """The rounding operator that gives the same level for every potential, if there is one."""
        powers = np.ldexp(np.float32(1), np.arange(self.timesteps - 1, -1, -1)).astype(np.float32)
        powers = powers.reshape((-1,) + (1,) * (self.subtract.ndim - 1))
        if self.timesteps > 22 or not np.array_equal(
            self.subtract, np.broadcast_to(powers, self.subtract.shape)
        ):
            return None
        half, last = powers - np.float32(0.5), powers == 1
        for operator, compare, highest in (
            ("Floor", powers, self.ceiling - np.float32(0.5)),
            ("Ceil", np.nextafter(powers - np.float32(1), _INFINITY), self.ceiling + np.float32(0.5)),
            ("Round", np.where(last, np.nextafter(half, _INFINITY), half), self.ceiling),
        ):
            levels = np.array_equal(highest, np.floor(highest)) and np.all(highest < 2 * powers[0])
            if levels and np.array_equal(self.compare, np.broadcast_to(compare, self.compare.shape)):
                top = np.nextafter(highest + 1, -_INFINITY) if operator == "Floor" else highest
                return Rounding(operator, top.astype(np.float32))
        return None


def neuron_of(node: Node, draft: Draft) -> Neuron | None:
    """The neuron of an IF node; None where its thresholds are no constants."""
    compare, subtract, ceiling = (draft.value(name) for name in node.inputs[2:5])
    if compare is None or subtract is None or ceiling is None:
        return None
    held = attributes(node.content)
    return Neuron(node, int(held["input_steps"]), int(held["timesteps"]), compare, subtract, ceiling)
