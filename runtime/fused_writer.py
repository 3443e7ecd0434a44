"""The fused execution in plain operators: levels flow, one pass."""

from __future__ import annotations

import numpy as np

from onnx2snn.runtime.dense_maps import tap_by_tap
from onnx2snn.runtime.draft import Array, Draft
from onnx2snn.runtime.integers import integers
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.neurons import Neuron
from onnx2snn.runtime.writer import Writer


class FusedWriter(Writer):
    """Levels flow."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self._biases: dict[str, Array] = {}
        self._folded: set[int] = set()
        for convolution, node, values in _foldable(draft):
            self._biases[convolution] = self._biases.get(convolution, 0) + values.astype(np.float64)
            self._folded.add(id(node))

    def integrate(self, node: Node) -> bool:
        """As :meth:`Writer.integrate`."""
        self._potential(node, last=True)
        return True

    def neuron(self, neuron: Neuron) -> bool:
        """As :meth:`Writer.neuron`."""
        node, draft = neuron.node, self.draft
        v, output = self._potential(node, last=False), node.outputs[0]
        rounding = self.rounding(neuron)
        if rounding is not None:
            self.rounded(v, rounding, output, last=True)
            return True
        spikes = self.compared(v, neuron)
        parts = [
            draft.add("Mul", [s, draft.hold(output, 2.0 ** (neuron.timesteps - 1 - t))], output=output)
            for t, s in enumerate(spikes)
        ]
        draft.add("Sum", parts, output=output, last=True)
        return True

    def convolution(self, node: Node) -> bool:
        """As :meth:`Writer.convolution`."""
        bias = self._biases.get(node.outputs[0])
        if bias is not None:
            own = self.draft.value(node.inputs[2]) if len(node.inputs) > 2 else None
            values = self.draft.hold(node.outputs[0], bias if own is None else own + bias)
            node = node.with_inputs([*node.inputs[:2], values])
        if not tap_by_tap(node, self.draft):
            self.draft.keep(node)
        return True

    def _potential(self, node: Node, *, last: bool) -> str:
        x, output = node.inputs[0], node.outputs[0]
        if id(node) not in self._folded:
            return self.biased(x, node.inputs[1], output=output, last=last)
        return self.draft.add("Identity", [x], output=output, last=True) if last else x


def _foldable(draft: Draft) -> list[tuple[str, Node, Array]]:
    """(output of a convolution, the neuron or Integrate behind it, a bias by channel) wherever one can add the other's."""
    found = []
    for node in draft.network.nodes:
        if not (node.is_dialect("IF") or node.is_dialect("Integrate")):
            continue
        convolution = _convolution_behind(node.inputs[0], node, draft)
        if convolution is None:
            continue
        bias, weights = draft.value(node.inputs[1]), draft.sample_shape(convolution.outputs[0])
        if bias is None or weights is None or not np.any(bias) or _exact_without(convolution, bias, draft):
            continue
        shape = bias.shape[-len(weights) :] if bias.ndim >= len(weights) else bias.shape
        if bias.size == 1:
            values = np.full(weights[0], bias.reshape(()))
        elif bias.ndim >= len(weights) and bias.size == shape[0] == weights[0]:
            values = bias.reshape(-1)
        else:
            continue
        found.append((convolution.outputs[0], node, values))
    return found


def _exact_without(convolution: Node, bias: Array, draft: Draft) -> bool:
    """Whether sums of whole-number weights are exact, and would not be with ``bias`` among them."""
    return bool(np.any(bias != np.rint(bias))) and integers(draft, convolution.inputs[1]) is not None


def _convolution_behind(name: str, reader: Node, draft: Draft) -> Node | None:
    """The convolution that makes ``name``, or an operand of the sum that does, for ``reader`` alone."""
    node = draft.producer(name)
    if node is None or draft.only_reader(name) is not reader:
        return None
    if node.is_dialect("Integrate") or (node.operator == "MaxPool" and len(node.outputs) == 1):
        return _convolution_behind(node.inputs[0], node, draft)
    if node.domain:
        return None
    if node.operator == "Conv":
        return node if all(draft.value(read) is not None for read in node.inputs[1:]) else None
    if node.operator == "Add":
        return next(
            filter(None, (_convolution_behind(operand, node, draft) for operand in node.inputs)), None
        )
    return None
