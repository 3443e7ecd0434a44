"""The int8 execution: levels flow in bytes through 8-bit convolutions, wherever that equals the neuron bit for bit.

    k ─▶ Conv(n) ─▶ (Integrate ─▶ MaxPool ─▶) IF      becomes      k ─▶ QLinearConv(n, m, B) ─▶ (MaxPool ─▶) Clip K

Where weights are no 8-bit integers, where operands meet (a residual sum) or where no requantisation is exact, the fused
execution's operators stand, on float32 levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnx2snn.runtime.byte_trains import ByteTrains
from onnx2snn.runtime.draft import Array, Draft
from onnx2snn.runtime.fused_writer import FusedWriter
from onnx2snn.runtime.integers import Requantisation, integers, is_by_channel, operand, requantisation
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.neurons import Neuron, neuron_of
from onnx2snn.runtime.tensors import attributes

_MOVING = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze", "MaxPool")


@dataclass(frozen=True)
class _Layer:
    """A layer in 8-bit integers: synapses, what stands between, and the neuron."""

    synapses: Node
    weights: Array
    between: tuple[Node, ...]
    neuron: Neuron
    numbers: Requantisation
    levels: int


class Int8Writer(FusedWriter):
    """Levels flow in bytes."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self._highest = _highest_levels(draft)
        self._trains = ByteTrains(draft)
        layers = [layer for node in draft.network.nodes if (layer := self._layer(node)) is not None]
        self._layers = {layer.synapses.outputs[0]: layer for layer in layers}
        self._inside = {
            name for la in layers for node in (*la.between, la.neuron.node) for name in node.outputs
        }

    def write(self, node: Node) -> bool:
        """As any writer; what stands inside an 8-bit layer is written with its synapses."""
        if node.outputs and node.outputs[0] in self._inside:
            return True
        layer = self._layers.get(node.outputs[0]) if node.outputs else None
        if layer is not None:
            self._write_layer(layer)
            return True
        if self._trains.move(node):
            return True
        self._trains.read_as_floats(node.reads)
        return super().write(node)

    def finish(self) -> None:
        """Outputs that are levels come out as floats."""
        self._trains.read_as_floats(self.draft.network.outputs)

    def _layer(self, node: Node) -> _Layer | None:
        draft = self.draft
        if node.domain or node.operator not in ("Conv", "Gemm", "MatMul") or len(node.inputs) != 2:
            return None
        weights, highest = integers(draft, node.inputs[1]), self._highest.get(node.inputs[0], 256)
        before = draft.sample_shape(node.inputs[0])
        dense = node.operator != "Conv" and (
            weights is None or weights.ndim != 2 or before is None or len(before) != 1
        )
        if weights is None or highest > 255 or dense:
            return None
        return self._closed(node, weights)

    def _closed(self, node: Node, weights: Array) -> _Layer | None:
        """The layer from its synapses to its neuron, if one reader follows the other."""
        draft, between, reader = self.draft, [], self.draft.only_reader(node.outputs[0])
        bias: Array = np.zeros(1, np.float32)
        while reader is not None and not reader.is_dialect("IF"):
            held = draft.value(reader.inputs[1]) if reader.is_dialect("Integrate") else None
            if held is not None:
                bias = bias + held.reshape(-1) if held.size == max(held.shape) else bias * np.nan
            elif reader.operator != "MaxPool" or len(reader.outputs) != 1:
                return None
            between.append(reader)
            reader = draft.only_reader(reader.outputs[0])
        neuron = None if reader is None else neuron_of(reader, draft)
        own = None if neuron is None else draft.value(neuron.node.inputs[1])
        if neuron is None or own is None or own.size != max(own.shape):
            return None
        shape = draft.sample_shape(neuron.node.inputs[0])
        parameters = (own, neuron.subtract[-1], neuron.compare[-1], neuron.ceiling)
        if node.operator == "Conv" and not (shape and all(is_by_channel(v, shape) for v in parameters)):
            return None
        straight = node.operator == "Conv" or bool(attributes(node.content).get("transB", 0))
        channels = weights.shape[0] if straight else weights.shape[1]
        levels = int(attributes(neuron.node.content)["levels"])
        if levels > 255 or not np.all(np.isfinite(bias)):
            return None
        numbers = requantisation(neuron, bias + own.reshape(-1), channels, levels)
        if numbers is None:
            return None
        kernel = weights if straight else weights.T
        return _Layer(node, kernel, tuple(between), neuron, numbers, levels)

    def _write_layer(self, layer: _Layer) -> None:
        draft, node = self.draft, layer.synapses
        x, output = self._trains.get(node.inputs[0]), layer.neuron.node.outputs[0]
        held = attributes(node.content) if node.operator == "Conv" else {}
        after = draft.sample_shape(node.outputs[0])
        weights, bias, m = layer.weights, layer.numbers.bias, layer.numbers.multiplier
        dense = weights.ndim == 2
        if dense:
            x = draft.add(
                "Reshape", [x, draft.hold(output, [-1, weights.shape[1], 1, 1], np.int64)], output=output
            )
            weights, held = weights[:, :, None, None], {}
        values, zero = operand(weights, self._highest[node.inputs[0]])
        one, origin = draft.hold(output, 1), draft.hold(output, 0, np.uint8)
        read = [x, one, origin, draft.hold(output, values, values.dtype), draft.hold(output, m)]
        zeros = draft.hold(output, np.full(len(m), zero), zero.dtype)
        read += [zeros, one, origin, draft.hold(output, bias, np.int32)]
        y = draft.add("QLinearConv", read, output=output, **held)
        if dense and after is not None:
            y = draft.add("Reshape", [y, draft.hold(output, [-1, *after], np.int64)], output=output)
        for pool in layer.between:
            if pool.operator == "MaxPool":
                pooled = draft.fresh(output)
                draft.keep(pool.with_inputs([y]).with_outputs([pooled]))
                y = pooled
        if layer.levels < 255:
            limits = [draft.hold(output, value, np.uint8) for value in (0, layer.levels)]
            y = draft.add("Clip", [y, *limits], output=output)
        self._trains.hold(output, y)


def _highest_levels(draft: Draft) -> dict[str, int]:
    """The highest level of every train, and of what only moves it."""
    found: dict[str, int] = {}
    for node in draft.network.nodes:
        if node.is_dialect("IF"):
            found[node.outputs[0]] = int(attributes(node.content)["levels"])
        elif node.operator in _MOVING and not node.domain and node.inputs[0] in found:
            found[node.outputs[0]] = found[node.inputs[0]]
    return found
