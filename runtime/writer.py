"""What all session-time rewritings share: how a neuron is written in plain operators."""

from __future__ import annotations

import numpy as np

from onnx2snn.runtime.dense_maps import tap_by_tap
from onnx2snn.runtime.draft import Draft
from onnx2snn.runtime.integers import is_whole, whole_rounding
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.neurons import Neuron, Rounding, neuron_of

#: Unrolled comparisons are four nodes a time step.
_MOST_STEPS = 24


class Writer:
    """Writes nodes in place of those of a network."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def write(self, node: Node) -> bool:
        """Whether something else has been written in place of ``node``."""
        if node.is_dialect("IF"):
            neuron = neuron_of(node, self.draft)
            return neuron is not None and neuron.timesteps <= _MOST_STEPS and self.neuron(neuron)
        if node.is_dialect("Integrate"):
            return self.integrate(node)
        if node.operator == "Conv" and not node.domain:
            return self.convolution(node)
        return False

    def keep(self, node: Node) -> None:
        """Write ``node`` as it is."""
        self.draft.keep(node)

    def finish(self) -> None:
        """Write what the network's outputs still need."""

    def neuron(self, neuron: Neuron) -> bool:
        """Write an IF node."""
        raise NotImplementedError

    def integrate(self, node: Node) -> bool:
        """Write an Integrate node."""
        raise NotImplementedError

    def convolution(self, node: Node) -> bool:
        """Write a convolution."""
        return tap_by_tap(node, self.draft)

    def biased(self, v: str, bias: str, *, output: str, last: bool = False) -> str:
        """``v`` + ``bias``; where every bias is zero, ``v`` itself."""
        values = self.draft.value(bias)
        if values is not None and not np.any(values):
            return self.draft.add("Identity", [v], output=output, last=True) if last else v
        if values is None:
            return self.draft.add("Add", [v, bias], output=output, last=last)
        # A runtime would move an addition into the product in front, where its place among the summands is another.
        return self.draft.add("Sub", [v, self.draft.hold(output, -values)], output=output, last=last)

    def rounded(self, v: str, rounding: Rounding, output: str, *, last: bool) -> str:
        """The level of ``v``."""
        draft, top = self.draft, rounding.top
        if rounding.shift is not None:
            v = draft.add("Sub", [v, draft.hold(output, rounding.shift)], output=output)
        # Behind a convolution a Relu costs nothing; it keeps the factor out of the weights, which are exact.
        v = draft.add("Relu", [v], output=output)
        if rounding.multiplier is not None:
            v = draft.add("Mul", [v, draft.hold(output, rounding.multiplier)], output=output)
        if top.size == 1:
            limits = [draft.hold(output, 0), draft.hold(output, top.reshape(()))]
            cut = draft.add("Clip", [v, *limits], output=output)
        else:
            cut = draft.add("Min", [v, draft.hold(output, top)], output=output)
        return draft.add(rounding.operator, [cut], output=output, last=last)

    def rounding(self, neuron: Neuron) -> Rounding | None:
        """The rounding operator that gives the same levels: for every potential, or for the integers that reach this one."""
        if neuron.rounding is not None:
            return neuron.rounding
        bias, shape = self.draft.value(neuron.node.inputs[1]), self.draft.sample_shape(neuron.node.inputs[0])
        if bias is None or not shape or not is_whole(self.draft, neuron.node.inputs[0]):
            return None
        return whole_rounding(neuron, bias, shape)

    def compared(self, v: str, neuron: Neuron) -> list[str]:
        """The spikes of each time step, by the comparisons of the canonical body."""
        draft, output = self.draft, neuron.node.outputs[0]
        v = draft.add("Min", [v, draft.hold(output, neuron.ceiling)], output=output)
        spikes = []
        for step in range(neuron.timesteps):
            fires = draft.add("GreaterOrEqual", [v, draft.hold(output, neuron.compare[step])], output=output)
            spikes.append(draft.add("Cast", [fires], output=output, to=1))
            if step + 1 < neuron.timesteps:
                subtract = draft.hold(output, neuron.subtract[step])
                v = draft.add(
                    "Sub", [v, draft.add("Mul", [spikes[-1], subtract], output=output)], output=output
                )
        return spikes
