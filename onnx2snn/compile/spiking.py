"""The spiking execution in plain operators: trains of zeros and ones flow, T time steps folded into the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from onnx2snn.compile.byte_trains import ByteTrains
from onnx2snn.compile.draft import Draft, Place, is_dialect, reads
from onnx2snn.compile.im2col import Currents
from onnx2snn.compile.neuron_writer import Writer
from onnx2snn.compile.thresholds import RoundingOperator, steps_of, timesteps_of
from onnx2snn.dialect.functions import SCALED_IF
from onnx2snn.dialect.neuron_bodies import integrated, rate_fired, rows_of
from onnx2snn.operators import of


class SpikingWriter(Writer):
    """Trains of zeros and ones flow, T time steps folded into the batch; in bytes where weights are integers."""

    def __init__(self, draft: Draft, *, coding: str = "binary", **options: Any) -> None:
        super().__init__(draft, **options)
        self._rate = coding == "rate"
        self._currents = Currents(draft, none=self.plain or self._rate)
        self._trains = ByteTrains(draft)
        self._potentials: dict[str, str] = {}

    def write(self, node: onnx.NodeProto) -> bool:
        """As :meth:`Writer.write`; synapses in integers are written with their integration."""
        if node in self._currents:
            reader = self.draft.only_reader(node.output[0])
            if reader is None:
                raise AssertionError("currents have one reader")
            train = self._trains.get(node.input[0])
            self._potentials[node.output[0]] = self._currents.integrated(node, train, steps_of(reader))
            return True
        if self._trains.move(node):
            return True
        self._trains.read_as_floats(sorted(reads(node)))
        return super().write(node)

    def finish(self) -> None:
        """As :meth:`Writer.finish`."""
        self._trains.read_as_floats(self.draft.outputs)

    def stands_as(self, train: str) -> str:
        """As :meth:`Writer.stands_as`."""
        return self._trains.stands_as(train)

    def integrate(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.integrate`."""
        at = self.draft.at(node.output[0])
        if self._rate:
            total = at.add("ReduceSum", [self.unfolded(at, node), at.constant([0], np.int64)], keepdims=0)
            self.biased(at, total, node.input[1], factor=steps_of(node), output=node.output[0])
        else:
            at.end("Identity", [self.potential(at, node)])

    def hold(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.hold`."""
        self.draft.at(node.output[0]).end("Concat", [node.input[0]] * timesteps_of(node), axis=0)

    def neuron(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.neuron`."""
        at = self.draft.at(node.output[0])
        spikes = self._rate_spikes(at, node) if self._rate else self._spikes(at, node)
        if not self._heard_in_integers(node.output[0]):
            at.end("Concat", spikes, axis=0)
            return
        parts = [at.add("Cast", [spike], to=TensorProto.UINT8) for spike in spikes]
        self._trains.hold(node.output[0], at.add("Concat", parts, axis=0))

    def _spikes(self, at: Place, node: onnx.NodeProto) -> list[str]:
        v, rounding = self.potential(at, node), self.rounding(node)
        return self.compared(at, v, node) if rounding is None else self._bits(at, v, rounding, node)

    def _rate_spikes(self, at: Place, node: onnx.NodeProto) -> list[str]:
        timesteps = timesteps_of(node)
        currents = self.rate_currents(at, node, timesteps)
        compare, subtract = (self.rows(at, name, timesteps) for name in node.input[2:4])
        return rate_fired(at, currents, node.input[1], compare, subtract)[0]

    def rate_currents(self, at: Place, node: onnx.NodeProto, timesteps: int) -> list[str]:
        """What arrives in each time step; an analog value is a constant current."""
        if steps_of(node) == 1:
            return [at.add("Mul", [node.input[0], at.constant(np.float32(1 / timesteps))])] * timesteps
        return rows_of(at, self.unfolded(at, node), timesteps)

    def potential(self, at: Place, node: onnx.NodeProto) -> str:
        """The potential of a neuron or an Integrate, with its bias."""
        x, steps = node.input[0], steps_of(node)
        if is_dialect(node, SCALED_IF):
            return self.scaled(at, node)
        if not self.plain:
            return self.biased(at, self._summed(at, x, steps), node.input[1])
        currents = [x] if steps == 1 else rows_of(at, self.unfolded(at, node), steps)
        return integrated(at, currents, node.input[1], self.form)[0]

    def unfolded(self, at: Place, node: onnx.NodeProto) -> str:
        """What a neuron or an Integrate reads, (S, N, ...)."""
        sample = at.add("Shape", [node.input[0]], start=1)
        shape = at.add("Concat", [at.constant([steps_of(node), -1], np.int64), sample], axis=0)
        return at.add("Reshape", [node.input[0], shape])

    def _summed(self, at: Place, x: str, steps: int) -> str:
        """Σ 2^(S−1−t)·I(t), which unrolls v ← 2·v + I."""
        if x in self._potentials or steps == 1:
            return self._potentials.get(x, x)
        shape = self.draft.sample_shape(x)
        unfolded = at.add("Reshape", [x, at.constant([steps, -1], np.int64)])
        v = at.add("MatMul", [at.constant(2.0 ** np.arange(steps - 1, -1, -1)[None]), unfolded])
        if shape:
            return at.add("Reshape", [v, at.constant([-1, *shape], np.int64)])
        sample = at.add("Shape", [x], start=1)
        return at.add("Reshape", [v, at.add("Concat", [at.constant([-1], np.int64), sample], axis=0)])

    def _bits(self, at: Place, v: str, rounding: RoundingOperator, node: onnx.NodeProto) -> list[str]:
        """The binary code of the level: with q(j) = floor(k / 2^j), bit j is q(j) − 2·q(j + 1)."""
        quotients = [self.rounded(at, v, rounding)]
        for bit in range(1, timesteps_of(node)):
            scaled = at.add("Mul", [quotients[0], at.constant(2.0**-bit)])
            quotients.append(at.add("Floor", [scaled]))
        spikes = [quotients[-1]]
        for q, above in zip(quotients[-2::-1], quotients[:0:-1], strict=True):
            spikes.append(at.add("Sub", [q, at.add("Add", [above, above])]))
        return spikes

    def _heard_in_integers(self, train: str) -> bool:
        """Whether synapses in integers read a train, or what only moves it."""
        while train not in self._currents.trains:
            reader = self.draft.only_reader(train)
            if reader is None or not of(reader).moves:
                return False
            train = reader.output[0]
        return True
