"""The spiking execution in plain operators: trains of zeros and ones flow, T time steps folded into the batch."""

from __future__ import annotations

import numpy as np

from onnx2snn.runtime.byte_trains import ByteTrains
from onnx2snn.runtime.draft import Draft
from onnx2snn.runtime.integer_currents import Currents
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.neurons import Neuron, Rounding
from onnx2snn.runtime.tensors import attributes
from onnx2snn.runtime.wire import UINT8
from onnx2snn.runtime.writer import Writer


class SpikingWriter(Writer):
    """Trains of zeros and ones flow, T time steps folded into the batch; in bytes where weights are integers."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self._currents = Currents(draft)
        self._trains = ByteTrains(draft)
        self._potentials: dict[str, str] = {}

    def write(self, node: Node) -> bool:
        """As :meth:`Writer.write`; synapses in integers are written with their integration."""
        if node in self._currents:
            reader = self.draft.only_reader(node.outputs[0])
            if reader is None:
                raise AssertionError("currents have one reader")
            steps = int(attributes(reader.content)["input_steps"])
            train = self._trains.get(node.inputs[0])
            self._potentials[node.outputs[0]] = self._currents.integrated(node, train, steps)
            return True
        if self._trains.move(node):
            return True
        self._trains.read_as_floats(node.reads)
        return super().write(node)

    def finish(self) -> None:
        """As :meth:`Writer.finish`."""
        self._trains.read_as_floats(self.draft.network.outputs)

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
        if not self._heard_in_integers(output):
            draft.add("Concat", spikes, output=output, last=True, axis=0)
            return True
        parts = [draft.add("Cast", [spike], output=output, to=UINT8) for spike in spikes]
        self._trains.hold(output, draft.add("Concat", parts, output=output, axis=0))
        return True

    def _heard_in_integers(self, train: str) -> bool:
        """Whether synapses in integers read a train, or a copy of it."""
        if train in self._currents.trains:
            return True
        reader = self.draft.only_reader(train)
        return (
            reader is not None
            and reader.operator in ("Identity", "Flatten")
            and self._heard_in_integers(reader.outputs[0])
        )

    def _integrated(self, x: str, steps: int, output: str) -> str | None:
        """Σ 2^(S−1−t)·I(t), which unrolls v ← 2·v + I; None where the size of a sample is open."""
        if x in self._potentials:
            return self._potentials[x]
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
