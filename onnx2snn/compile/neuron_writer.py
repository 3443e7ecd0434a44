"""What executions share: how a neuron is written in plain operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from onnx2snn.compile.draft import Array, Draft, Place, is_dialect, is_neuron
from onnx2snn.compile.integers import is_whole, whole_rounding
from onnx2snn.compile.small_images import tap_by_tap
from onnx2snn.compile.spike_sums import SPIKE_SUMS
from onnx2snn.compile.thresholds import RoundingOperator, steps_of, thresholds_of, timesteps_of
from onnx2snn.dialect.functions import HOLD, SCALED_IF, TABLE_IF
from onnx2snn.dialect.neuron_bodies import Search, fired, rows_of, searched
from onnx2snn.operators.linear import is_convolution


class Writer:
    """Writes nodes in place of those of a network.

    Args:
        draft: Where.
        bias: The form in which the network stores biases.
    """

    def __init__(self, draft: Draft, *, bias: str = "once") -> None:
        self.draft, self.form = draft, bias
        #: Neurons and synapses by the operators of the dialect's own bodies.
        self.plain = draft.target.plain
        self._roundings: dict[str, RoundingOperator | None] = {}

    def run(self) -> None:
        """Write the network."""
        for node in self.draft.nodes:
            if not self.write(node):
                self.draft.keep(node)
        self.finish()

    def write(self, node: onnx.NodeProto) -> bool:
        """Whether something else has been written in place of ``node``."""
        if is_neuron(node):
            self.neuron(node)
        elif is_dialect(node, "Integrate"):
            self.integrate(node)
        elif is_dialect(node, HOLD):
            self.hold(node)
        elif is_dialect(node, SPIKE_SUMS):
            self.sums(node)
        else:
            return is_convolution(node) and not self.plain and self.convolution(node)
        return True

    def finish(self) -> None:
        """Write what the network's outputs still need."""

    def stands_as(self, train: str) -> Any:
        """What holds a train of the network, or its levels, in what has been written (a tensor, for one); None: nothing does."""
        return train

    def neuron(self, node: onnx.NodeProto) -> None:
        """Write a neuron."""
        raise NotImplementedError

    def integrate(self, node: onnx.NodeProto) -> None:
        """Write an Integrate node."""
        raise NotImplementedError

    def hold(self, node: onnx.NodeProto) -> None:
        """Write a potential that is held beside a train."""
        raise NotImplementedError

    def sums(self, node: onnx.NodeProto) -> None:
        """Write sums over the spikes of a layer."""
        raise NotImplementedError

    def scaled(self, at: Place, node: onnx.NodeProto) -> str:
        """The potential of a neuron whose thresholds are scaled: its bias is scaled alike."""
        bias = self.draft.value(node.input[1])
        if bias is not None and not np.any(bias):
            return str(node.input[0])
        return at.add("Add", [node.input[0], at.add("Mul", [node.input[1], node.input[5]])])

    def convolution(self, node: onnx.NodeProto) -> bool:
        """Write a convolution; False: it stays as it is."""
        return tap_by_tap(node, self.draft)

    def biased(self, at: Place, v: str, bias: str, *, factor: float = 1, output: str = "") -> str:
        """``v`` + ``factor``·``bias``; where every bias is zero, ``v`` itself."""
        values = self.draft.value(bias)
        if values is None:
            whole = bias if factor == 1 else at.add("Mul", [bias, at.constant([factor])])
            return at.add("Add", [v, whole], output=output)
        if not np.any(values):
            return at.add("Identity", [v], output=output) if output else v
        # A runtime would move an addition into the product in front, where its place among the summands is another.
        return at.add("Sub", [v, at.constant(-values * np.float32(factor))], output=output)

    def rounded(self, at: Place, v: str, rounding: RoundingOperator, *, output: str = "") -> str:
        """The level of ``v``."""
        top = rounding.top
        if rounding.shift is not None:
            v = at.add("Sub", [v, at.constant(rounding.shift)])
        # Behind a convolution a Relu costs nothing; it keeps the factor out of the weights, which are exact.
        v = at.add("Relu", [v])
        if rounding.multiplier is not None:
            v = at.add("Mul", [v, at.constant(rounding.multiplier)])
        if top.size == 1:
            v = at.add("Clip", [v, at.constant(0), at.constant(top.reshape(()))])
        else:
            v = at.add("Min", [v, at.constant(top)])
        return at.add(rounding.operator, [v], output=output)

    def rounding(self, node: onnx.NodeProto) -> RoundingOperator | None:
        """The rounding operator that gives the same levels: for every potential, or for the integers that reach this neuron."""
        if node.output[0] not in self._roundings:
            self._roundings[node.output[0]] = self._rounding(node)
        return self._roundings[node.output[0]]

    def _rounding(self, node: onnx.NodeProto) -> RoundingOperator | None:
        held = thresholds_of(node, self.draft) if is_dialect(node, "IF") and not self.plain else None
        if held is None or held.rounding is not None:
            return None if held is None else held.rounding
        bias, shape = self.draft.value(node.input[1]), self.draft.sample_shape(node.input[0])
        if bias is None or not shape or not is_whole(self.draft, node.input[0]):
            return None
        return whole_rounding(held, bias, shape)

    def compared(self, at: Place, v: str, node: onnx.NodeProto) -> list[str]:
        """The spikes of each time step, by the neuron's own comparisons."""
        timesteps = timesteps_of(node)
        if is_dialect(node, TABLE_IF):
            return searched(at, v, Search(at, *node.input[2:4]), timesteps)[0]
        ceiling = node.input[4]
        compare, subtract = (self.rows(at, name, timesteps) for name in node.input[2:4])
        if is_dialect(node, SCALED_IF):
            scale = node.input[5]
            ceiling = at.add("Mul", [ceiling, scale])
            compare = [at.add("Mul", [row, scale]) for row in compare]
            subtract = [at.add("Mul", [row, scale]) for row in subtract]
        return fired(at, at.add("Min", [v, ceiling]), compare, subtract)[0]

    def rows(self, at: Place, name: str, steps: int) -> list[str]:
        """An operand of a neuron (T, ...) for each time step."""
        values = self.draft.value(name)
        return rows_of(at, name, steps) if values is None else [at.constant(row) for row in values]

    def factor(self, node: onnx.NodeProto) -> float:
        """How often a neuron's or an Integrate's bias is added in all (METHOD 4)."""
        steps = steps_of(node)
        return float({"once": 1, "per-step": 2**steps - 1, "paper": steps}[self.form])


def whole_values(values: Array) -> bool:
    """Whether all are whole numbers."""
    return bool(np.all(values == np.rint(values)))
