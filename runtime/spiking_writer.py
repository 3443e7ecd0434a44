"""The spiking execution in plain operators: trains of zeros and ones flow, T time steps folded into the batch."""

from __future__ import annotations

import numpy as np

from onnx2snn.runtime.network import Node
from onnx2snn.runtime.neurons import Neuron, Rounding
from onnx2snn.runtime.tensors import attributes
from onnx2snn.runtime.writer import Writer


class SpikingWriter(Writer):
    """Trains of zeros and ones flow, T time steps folded into the batch."""

    def integrate(self, node: Node) -> bool:
        """As :meth:`Writer.integrate`."""
        steps = int(attributes(node.content)["input_steps"])
        v = self._integrated(node.inputs[0], steps, node.outputs[0])
        if v is None:
            return False
        self.biased(v, node.inputs[1], output=node.outputs[0], last=True)
        return True

    def neuron(self, neuron: Neuron) -> bool:
        """As :meth:`Writer.neuron`."""
        node, draft = neuron.node, self.draft
        output = node.outputs[0]
        v = self._integrated(node.inputs[0], neuron.steps, output)
        if v is None:
            return False
        v = self.biased(v, node.inputs[1], output=output)
        rounding = self.rounding(neuron)
        spikes = self.compared(v, neuron) if rounding is None else self._bits(v, rounding, neuron)
        draft.add("Concat", spikes, output=output, last=True, axis=0)
        return True

    def _integrated(self, x: str, steps: int, output: str) -> str | None:
        """Σ 2^(S−1−t)·I(t), which unrolls v ← 2·v + I; None where the size of a sample is open."""
        shape = self.draft.sample_shape(x)
        if steps == 1:
            return x
        if not shape:
            return None
        draft = self.draft
        weights = draft.hold(output, 2.0 ** np.arange(steps - 1, -1, -1)[None])
        unfolded = draft.add("Reshape", [x, draft.hold(output, [steps, -1], np.int64)], output=output)
        v = draft.add("MatMul", [weights, unfolded], output=output)
        return draft.add("Reshape", [v, draft.hold(output, [-1, *shape], np.int64)], output=output)

    def _bits(self, v: str, rounding: Rounding, neuron: Neuron) -> list[str]:
        """The binary code of the level: with q(j) = floor(k / 2^j), bit j is q(j) − 2·q(j + 1)."""
        draft, output = self.draft, neuron.node.outputs[0]
        quotients = [self.rounded(v, rounding, output, last=False)]
        for bit in range(1, neuron.timesteps):
            scaled = draft.add("Mul", [quotients[0], draft.hold(output, 2.0**-bit)], output=output)
            quotients.append(draft.add("Floor", [scaled], output=output))
        spikes = [quotients[-1]]
        for q, above in zip(quotients[-2::-1], quotients[:0:-1], strict=True):
            doubled = draft.add("Add", [above, above], output=output)
            spikes.append(draft.add("Sub", [q, doubled], output=output))
        return spikes
