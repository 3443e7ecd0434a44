"""Session-time rewriting: the same network in operators that a runtime executes fast.

What ``out.onnx`` holds runs anywhere; a session knows T, the thresholds and the sizes, and writes each neuron, and some
synapses, for them:

    neuron     a rounding operator, or T comparisons without a Scan               (:mod:`onnx2snn.runtime.neurons`)
    currents   integrated by one product with (2^(T−1), ..., 2, 1)
    bias       added by the convolution in front, where levels flow
    small map  a convolution whose kernel is larger than its image is a dense matrix

Nothing is approximated: levels and spikes are those of the bodies in :mod:`onnx2snn.runtime.bodies`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onnx2snn.runtime.bodies import function_body
from onnx2snn.runtime.dense_maps import dense_convolution
from onnx2snn.runtime.draft import Array, Draft
from onnx2snn.runtime.network import Node, read_network
from onnx2snn.runtime.neurons import Neuron, Rounding, neuron_of
from onnx2snn.runtime.tensors import attributes

#: Unrolled comparisons are four nodes a time step.
_MOST_STEPS = 24


def specialised(content: bytes, *, execution: str, opset: int, folder: Path | None = None) -> bytes:
    """The network that computes the same, for a session that executes it.

    Args:
        content: The serialized network; biases are stored in the form ``once``.
        execution: ``spiking`` or ``fused``.
        opset: Version of the default operator set.
        folder: Of the model's file.
    """
    draft = Draft(read_network(content), folder)
    writer = {"spiking": _Spiking, "fused": _Fused}[execution](draft)
    kept = set()
    for node in draft.network.nodes:
        if not writer.write(node):
            draft.keep(node)
            if node.is_dialect(node.operator):
                kept.add(node.operator)
    return draft.model(function_body(name, execution=execution, opset=opset) for name in sorted(kept))


class _Writer:
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

    def neuron(self, neuron: Neuron) -> bool:
        """Write an IF node."""
        raise NotImplementedError

    def integrate(self, node: Node) -> bool:
        """Write an Integrate node."""
        raise NotImplementedError

    def convolution(self, node: Node) -> bool:
        """Write a convolution."""
        return dense_convolution(node, self.draft)

    def biased(self, v: str, bias: str, *, output: str, last: bool = False) -> str:
        """``v`` + ``bias``; where every bias is zero, ``v`` itself."""
        values = self.draft.value(bias)
        if values is not None and not np.any(values):
            return self.draft.add("Identity", [v], output=output, last=True) if last else v
        return self.draft.add("Add", [v, bias], output=output, last=last)

    def rounded(self, v: str, rounding: Rounding, output: str, *, last: bool) -> str:
        """The level of ``v``."""
        draft, top = self.draft, rounding.top
        if top.size == 1:
            limits = [draft.hold(output, 0), draft.hold(output, top.reshape(()))]
            cut = draft.add("Clip", [v, *limits], output=output)
        else:
            cut = draft.add("Min", [v, draft.hold(output, top)], output=output)
            cut = draft.add("Max", [cut, draft.hold(output, 0)], output=output)
        return draft.add(rounding.operator, [cut], output=output, last=last)

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


class _Fused(_Writer):
    """Levels flow."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self._biases = dict(_foldable(draft))
        self._folded = {id(neuron) for neuron, _ in self._biases.values()}

    def integrate(self, node: Node) -> bool:
        self._potential(node, last=True)
        return True

    def neuron(self, neuron: Neuron) -> bool:
        node, draft = neuron.node, self.draft
        v, output = self._potential(node, last=False), node.outputs[0]
        if neuron.rounding is not None:
            self.rounded(v, neuron.rounding, output, last=True)
            return True
        spikes = self.compared(v, neuron)
        parts = [
            draft.add("Mul", [s, draft.hold(output, 2.0 ** (neuron.timesteps - 1 - t))], output=output)
            for t, s in enumerate(spikes)
        ]
        draft.add("Sum", parts, output=output, last=True)
        return True

    def convolution(self, node: Node) -> bool:
        bias = self._biases.get(node.outputs[0])
        if bias is not None:
            node = node.with_inputs([*node.inputs[:2], self.draft.hold(node.outputs[0], bias[1])])
        if not dense_convolution(node, self.draft):
            self.draft.keep(node)
        return True

    def _potential(self, node: Node, *, last: bool) -> str:
        x, output = node.inputs[0], node.outputs[0]
        if id(node) not in self._folded:
            return self.biased(x, node.inputs[1], output=output, last=last)
        return self.draft.add("Identity", [x], output=output, last=True) if last else x


def _foldable(draft: Draft) -> list[tuple[str, tuple[Node, Array]]]:
    """(output of a convolution, (the neuron or Integrate behind it, a bias by channel)) wherever one can add the other's."""
    found = []
    for node in draft.network.nodes:
        if not (node.is_dialect("IF") or node.is_dialect("Integrate")):
            continue
        convolution = _convolution_behind(node.inputs[0], node, draft)
        if convolution is None:
            continue
        bias, weights = draft.value(node.inputs[1]), draft.sample_shape(convolution.outputs[0])
        if bias is None or weights is None or not np.any(bias):
            continue
        shape = bias.shape[-len(weights) :] if bias.ndim >= len(weights) else bias.shape
        if bias.size == 1:
            values = np.full(weights[0], bias.reshape(()))
        elif bias.ndim >= len(weights) and bias.size == shape[0] == weights[0]:
            values = bias.reshape(-1)
        else:
            continue
        found.append((convolution.outputs[0], (node, values)))
    return found


def _convolution_behind(name: str, reader: Node, draft: Draft) -> Node | None:
    """The convolution without a bias that makes ``name``, or an operand of the sum that does, for ``reader`` alone."""
    node = draft.producer(name)
    if node is None or draft.only_reader(name) is not reader or node.domain:
        return None
    if node.operator == "Conv":
        return node if len(node.inputs) == 2 and draft.value(node.inputs[1]) is not None else None
    if node.operator == "Add":
        return next(
            filter(None, (_convolution_behind(operand, node, draft) for operand in node.inputs)), None
        )
    return None


class _Spiking(_Writer):
    """Trains of zeros and ones flow, T time steps folded into the batch."""

    def integrate(self, node: Node) -> bool:
        steps = int(attributes(node.content)["input_steps"])
        v = self._integrated(node.inputs[0], steps, node.outputs[0])
        if v is None:
            return False
        self.biased(v, node.inputs[1], output=node.outputs[0], last=True)
        return True

    def neuron(self, neuron: Neuron) -> bool:
        node, draft = neuron.node, self.draft
        output = node.outputs[0]
        v = self._integrated(node.inputs[0], neuron.steps, output)
        if v is None:
            return False
        v = self.biased(v, node.inputs[1], output=output)
        rounding = neuron.rounding
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
