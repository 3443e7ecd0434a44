"""Outputs behind a jump: a quantised readout, or a class.

Two networks whose scores differ in their last bits may answer a whole step, or another class, apart. So the scores in front
of the jump are compared, and answers are accepted that some scores within the bound give.

1. A chain of rising or falling functions of one value (a quantiser): whatever lies between its answers at both ends.
2. ArgMax: every class whose score is within the bound of the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx2snn.certificate.cuts import POTENTIAL, CutNetwork
from onnx2snn.certificate.magnitudes import magnitude_model
from onnx2snn.certificate.rounding import UNIT
from onnx2snn.float64 import Float64Network
from onnx2snn.float64.network import is_jump
from onnx2snn.weights import SplitModel

Wide = NDArray[np.float64]

#: Functions of one value that never turn round.
_MONOTONE = frozenset(
    ("Round", "Floor", "Ceil", "Sign", "Cast", "Clip", "Relu", "Add", "Sub", "Mul", "Div", "Neg", "Identity", "Max", "Min",
     "BatchNormalization", "Sigmoid", "Tanh", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
)  # fmt: skip
_PLAIN = frozenset(("Identity", "Cast"))


@dataclass(frozen=True, eq=False)
class Tail:
    """The operators from the first jump to an output.

    Attributes:
        before: The tensor that the first of them reads.
        model: They alone: POTENTIAL is what they read, and what they answer; None for an output without jumps.
        axis: Of ArgMax, where it is one; None for a chain.
    """

    before: str
    model: SplitModel | None = None
    axis: int | None = None

    def accepts(self, scores: Wide, allowed: Wide, answer: NDArray[Any]) -> NDArray[np.bool_]:
        """Where ``answer`` is one that scores within ``allowed`` of ``scores`` give."""
        if self.axis is not None:
            return self._accepts_class(scores, allowed, answer)
        reach = allowed + 4 * UNIT * np.abs(scores)
        ends = self.answer(scores - reach), self.answer(scores + reach)
        low, high = np.minimum(*ends), np.maximum(*ends)
        slack = 8 * UNIT * np.maximum(np.maximum(np.abs(low), np.abs(high)), self.magnitude(scores))
        found = answer.astype(np.float64)
        return np.asarray((found >= low - slack) & (found <= high + slack))

    def answer(self, scores: Wide) -> Wide:
        """What the tail makes of scores (N, ...)."""
        return self._network.run({POTENTIAL: scores})["answer"].astype(np.float64)

    def magnitude(self, scores: Wide) -> Wide:
        """Σ|w|·|x| of what lies behind the last jump, (N, ...): what the rounding of its constants is a share of."""
        bound = self._magnitudes(scores[:1].shape[1:])
        return np.zeros(1) if bound is None else bound.run({POTENTIAL: scores})["answer"].astype(np.float64)

    @lru_cache(maxsize=1)  # noqa: B019 - tails live as long as a verification
    def _magnitudes(self, sample: tuple[int, ...]) -> Float64Network | None:
        if self.model is None or self.axis is not None:
            return None
        shapes = self._network.shapes({POTENTIAL: np.zeros((1, *sample))})
        bound = magnitude_model(self.model, shapes)
        return None if bound is None else Float64Network(bound, absolute=True)

    @cached_property
    def _network(self) -> Float64Network:
        if self.model is None:
            raise AssertionError("an output without jumps has no tail")
        return Float64Network(self.model, throughout=True)

    def _accepts_class(self, scores: Wide, allowed: Wide, answer: NDArray[Any]) -> NDArray[np.bool_]:
        axis = (self.axis or 0) % scores.ndim
        index = answer.astype(np.int64)
        kept = index if index.ndim == scores.ndim else np.expand_dims(index, axis)
        inside = (kept >= 0) & (kept < scores.shape[axis])
        best = np.max(scores - allowed, axis=axis, keepdims=True)
        chosen = np.take_along_axis(scores + allowed, np.where(inside, kept, 0), axis)
        return np.asarray((inside & (chosen >= best)).reshape(index.shape))


def tail_of(network: CutNetwork, output: str) -> Tail:
    """The tail of an output, as far back as its first jump; none where something else than rules 1 and 2 leads there."""
    makers = {name: node for node in network.model.structure.graph.node for name in node.output}
    constants = {tensor.name for tensor in network.model.structure.graph.initializer}
    chain: list[onnx.NodeProto] = []
    name, found = output, Tail(output)
    while (node := makers.get(name)) is not None and name not in network.levels.values():
        signals = [i for i in node.input if i and i not in constants]
        chain.insert(0, node)
        if node.op_type == "ArgMax" and all(later.op_type in _PLAIN for later in chain[1:]):
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            return Tail(node.input[0], _model(network, chain, node.input[0], output), axis)
        if node.op_type not in _MONOTONE or len(signals) != 1:
            break
        if is_jump(node):
            found = Tail(signals[0], _model(network, chain, signals[0], output))
        name = signals[0]
    return found


def _model(network: CutNetwork, chain: list[onnx.NodeProto], read: str, output: str) -> SplitModel:
    graph = onnx.GraphProto(name="tail")
    graph.node.append(helper.make_node("Identity", [POTENTIAL], [read]))
    graph.node.extend(chain)
    graph.node.append(helper.make_node("Identity", [output], ["answer"]))
    graph.input.append(helper.make_tensor_value_info(POTENTIAL, TensorProto.FLOAT, None))
    graph.output.append(helper.make_tensor_value_info("answer", TensorProto.FLOAT, None))
    used = {name for node in chain for name in node.input}
    graph.initializer.extend(t for t in network.model.structure.graph.initializer if t.name in used)
    return network.part(graph)
