"""The spiking execution with all that its neurons do among its outputs, step by step; nothing is rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2snn.compile.draft import Draft, Place, is_dialect
from onnx2snn.compile.spiking import SpikingWriter
from onnx2snn.compile.thresholds import steps_of, timesteps_of
from onnx2snn.dialect.functions import SCALED_IF, TABLE_IF
from onnx2snn.dialect.neuron_bodies import Search, fired, integrated, rate_fired, rows_of, searched


class TracingWriter(SpikingWriter):
    """Writes, for each layer, ``train`` and ``potentials``, ``thresholds`` and ``resets``, (steps, N, ...) or (steps, ...)."""

    def __init__(self, draft: Draft, **options: Any) -> None:
        super().__init__(draft, **options)
        self.outputs: list[onnx.ValueInfoProto] = []

    def neuron(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.neuron`."""
        at = self.draft.at(node.output[0])
        if self._rate:
            spikes, told = self._traced_rate(at, node)
        elif is_dialect(node, TABLE_IF):
            spikes, told = self._traced_table(at, node)
        else:
            spikes, told = self._traced(at, node)
        at.end("Concat", spikes, axis=0)
        for kind, values in (told | {"train": self._steps(at, spikes)}).items():
            name = f"{kind}/{node.name}"
            at.add("Identity", [values], output=name)
            self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))

    def _traced(self, at: Place, node: onnx.NodeProto) -> tuple[list[str], dict[str, str]]:
        v, course = self._course(at, node)
        compare, subtract = (rows_of(at, name, timesteps_of(node)) for name in node.input[2:4])
        ceiling, held = node.input[4], {"thresholds": node.input[2], "resets": node.input[3]}
        if is_dialect(node, SCALED_IF):
            scale = node.input[5]
            ceiling = at.add("Mul", [ceiling, scale])
            compare, subtract = ([at.add("Mul", [r, scale]) for r in rows] for rows in (compare, subtract))
            held = {"thresholds": self._steps(at, compare), "resets": self._steps(at, subtract)}
        spikes, left = fired(at, at.add("Min", [v, ceiling]), compare, subtract)
        return spikes, {"potentials": self._steps(at, [*course, *left]), **held}

    def _traced_table(self, at: Place, node: onnx.NodeProto) -> tuple[list[str], dict[str, str]]:
        v, course = self._course(at, node)
        timesteps = timesteps_of(node)
        spikes, thresholds = searched(at, v, Search(at, *node.input[2:4]), timesteps)
        shape = at.add("Shape", [v])
        held = self._steps(at, [at.add("Expand", [found, shape]) for found in thresholds])
        resets = at.constant(np.zeros(timesteps))
        potentials = self._steps(at, [*course, *[v] * timesteps])
        return spikes, {"potentials": potentials, "thresholds": held, "resets": resets}

    def _traced_rate(self, at: Place, node: onnx.NodeProto) -> tuple[list[str], dict[str, str]]:
        timesteps = timesteps_of(node)
        compare, subtract = (rows_of(at, name, timesteps) for name in node.input[2:4])
        currents = self.rate_currents(at, node, timesteps)
        spikes, course = rate_fired(at, currents, node.input[1], compare, subtract)
        potentials = self._steps(at, course)
        return spikes, {"potentials": potentials, "thresholds": node.input[2], "resets": node.input[3]}

    def _course(self, at: Place, node: onnx.NodeProto) -> tuple[str, list[str]]:
        """The potential with its bias, and behind each of the T steps; an analog value arrives with the last."""
        x, steps = node.input[0], steps_of(node)
        if is_dialect(node, SCALED_IF):
            v = self.scaled(at, node)
            rest = at.add("Sub", [v, v])
            return v, [*[rest] * (timesteps_of(node) - 1), v]
        currents = [x] if steps == 1 else rows_of(at, self.unfolded(at, node), steps)
        v, course = integrated(at, currents, node.input[1], self.form)
        rest = at.add("Sub", [course[0], course[0]])
        return v, [*[rest] * (timesteps_of(node) - steps), *course]

    @staticmethod
    def _steps(at: Place, values: Sequence[str]) -> str:
        """(steps, N, ...) of (N, ...) each."""
        front = at.constant([0], np.int64)
        return at.add("Concat", [at.add("Unsqueeze", [value, front]) for value in values], axis=0)
