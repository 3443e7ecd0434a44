"""The int8 execution: levels flow in bytes through 8-bit convolutions, wherever that equals the neuron bit for bit.

    k ─▶ Conv(n) ─▶ (Integrate ─▶ MaxPool ─▶) IF      becomes      k ─▶ QLinearConv(n, m, B) ─▶ (MaxPool ─▶) Clip K

Where weights are no 8-bit integers, where operands meet (a residual sum) or where no requantisation is exact, the fused
execution's operators stand, on float32 levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from onnx2snn.compile.byte_trains import ByteTrains, takes_largest
from onnx2snn.compile.draft import Array, Draft, attributes, is_dialect, is_neuron, reads
from onnx2snn.compile.fused import FusedWriter
from onnx2snn.compile.integers import Requantisation, integers, is_by_channel, operand, requantisation
from onnx2snn.compile.thresholds import thresholds_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution


@dataclass(frozen=True)
class _Layer:
    """A layer in 8-bit integers: synapses, what stands between, and the train that the neuron makes."""

    synapses: onnx.NodeProto
    weights: Array
    between: tuple[onnx.NodeProto, ...]
    train: str
    numbers: Requantisation
    levels: int


class Int8Writer(FusedWriter):
    """Levels flow in bytes."""

    def __init__(self, draft: Draft, **options: Any) -> None:
        super().__init__(draft, **options)
        self._trains = ByteTrains(draft)
        layers = [layer for node in draft.nodes if (layer := self._layer(node)) is not None]
        self._layers = {layer.synapses.output[0]: layer for layer in layers}
        self._inside = {name for la in layers for node in la.between for name in node.output}
        self._inside.update(layer.train for layer in layers)

    def write(self, node: onnx.NodeProto) -> bool:
        """As any writer; what stands inside an 8-bit layer is written with its synapses."""
        if node.output and node.output[0] in self._inside:
            return True
        layer = self._layers.get(node.output[0]) if node.output else None
        if layer is not None:
            self._write_layer(layer)
            return True
        if self._trains.move(node):
            return True
        self._trains.read_as_floats(sorted(reads(node)))
        return super().write(node)

    def finish(self) -> None:
        """Outputs that are levels come out as floats."""
        self._trains.read_as_floats(self.draft.outputs)

    def stands_as(self, train: str) -> str:
        """As :meth:`Writer.stands_as`."""
        return self._trains.stands_as(train)

    def _layer(self, node: onnx.NodeProto) -> _Layer | None:
        draft = self.draft
        if not of(node).weights or len(node.input) != 2:
            return None
        weights, highest = integers(draft, node.input[1]), self.highest.get(node.input[0], 256)
        before = draft.sample_shape(node.input[0])
        dense = not is_convolution(node) and (
            weights is None or weights.ndim != 2 or before is None or len(before) != 1
        )
        if weights is None or highest > 255 or dense:
            return None
        return self._closed(node, weights)

    def _closed(self, node: onnx.NodeProto, weights: Array) -> _Layer | None:
        """The layer from its synapses to its neuron, if one reader follows the other."""
        draft, between, reader = self.draft, [], self.draft.only_reader(node.output[0])
        bias: Array = np.zeros(1, np.float32)
        while reader is not None and not is_neuron(reader):
            held = draft.value(reader.input[1]) if is_dialect(reader, "Integrate") else None
            if held is not None:
                bias = bias + held.reshape(-1) if held.size == max(held.shape) else bias * np.nan
            elif not takes_largest(reader) or len(reader.output) != 1:
                return None
            between.append(reader)
            reader = draft.only_reader(reader.output[0])
        if reader is None or not is_dialect(reader, "IF"):
            return None
        neuron, own = thresholds_of(reader, draft), draft.value(reader.input[1])
        if neuron is None or own is None or own.size != max(own.shape):
            return None
        shape = draft.sample_shape(reader.input[0])
        parameters = (own, neuron.subtract[-1], neuron.compare[-1], neuron.ceiling)
        if is_convolution(node) and not (shape and all(is_by_channel(v, shape) for v in parameters)):
            return None
        straight = is_convolution(node) or bool(attributes(node).get("transB", 0))
        channels = weights.shape[0] if straight else weights.shape[1]
        levels = int(attributes(reader)["levels"])
        if levels > 255 or not np.all(np.isfinite(bias)):
            return None
        numbers = requantisation(neuron, bias + own.reshape(-1), channels, levels)
        if numbers is None:
            return None
        kernel = weights if straight else weights.T
        return _Layer(node, kernel, tuple(between), reader.output[0], numbers, levels)

    def _write_layer(self, layer: _Layer) -> None:
        node, at = layer.synapses, self.draft.at(layer.train)
        x = self._trains.get(node.input[0])
        held = attributes(node) if is_convolution(node) else {}
        after = self.draft.sample_shape(node.output[0])
        weights, bias, m = layer.weights, layer.numbers.bias, layer.numbers.multiplier
        dense = weights.ndim == 2
        if dense:
            x = at.add("Reshape", [x, at.constant([-1, weights.shape[1], 1, 1], np.int64)])
            weights, held = weights[:, :, None, None], {}
        values, zero = operand(weights, self.highest[node.input[0]])
        one, origin = at.constant(1), at.constant(0, np.uint8)
        read = [x, one, origin, at.constant(values, values.dtype), at.constant(m)]
        read += [at.constant(np.full(len(m), zero), zero.dtype), one, origin, at.constant(bias, np.int32)]
        y = at.add("QLinearConv", read, **held)
        if dense and after is not None:
            y = at.add("Reshape", [y, at.constant([-1, *after], np.int64)])
        for pool in layer.between:
            if takes_largest(pool):
                pooled = at.fresh()
                self.draft.keep(pool, [y], [pooled])
                y = pooled
        if layer.levels < 255:
            y = at.add("Clip", [y, at.constant(0, np.uint8), at.constant(layer.levels, np.uint8)])
        self._trains.hold(layer.train, y)
