"""Outputs behind a jump: a quantised readout, or a class.

Two networks whose scores differ in their last bits may answer a whole step, or another class, apart. So the scores in front
of the jump are compared, and answers are accepted that some scores within the bound give.

1. A chain of rising or falling functions of one value (a quantiser), and moves: whatever lies between its answers at both ends.
2. ArgMax, ArgMin, the places of TopK: every class whose score is within the bound of the one that has its rank.
3. A Concat of such chains, and of what no jump leads to: part by part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.certificate.cuts import POTENTIAL, CutNetwork
from onnx2snn.certificate.magnitudes import magnitude_model
from onnx2snn.certificate.rounding import UNIT
from onnx2snn.float64 import Float64Network
from onnx2snn.float64.network import is_jump
from onnx2snn.model.weights import SplitModel

Wide = NDArray[np.float64]

#: Functions of one value that never turn round.
_MONOTONE = frozenset(
    ("Round", "Floor", "Ceil", "Sign", "Cast", "Clip", "Relu", "Add", "Sub", "Mul", "Div", "Neg", "Identity", "Max", "Min",
     "BatchNormalization", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
     "Sigmoid", "Tanh", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
)  # fmt: skip
_PLAIN = frozenset(("Identity", "Cast"))
#: What says which scores are the largest, and the axis that it looks along where it does not say.
_RANKING = {"ArgMax": 0, "ArgMin": 0, "TopK": -1}


@dataclass(frozen=True, eq=False)
class Tail:
    """The operators from the first jump to an output.

    Attributes:
        before: The tensor that the first of them reads.
        model: They alone: POTENTIAL is what they read, and what they answer; None for an output without jumps.
        axis: Of what ranks its scores (rule 2); None for chains.
        falling: Whether the smallest score comes first.
        parts: Sizes of what ``before`` joins, if it does.
    """

    before: str
    model: SplitModel | None = None
    axis: int | None = None
    falling: bool = False
    parts: tuple[int, ...] = ()

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
        if bound is None:
            return np.zeros(1)
        return np.abs(bound.run({POTENTIAL: scores})["answer"].astype(np.float64))  # integer codes have signs

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
        """The score of rank r lies between the r-th largest of all lower ends and that of all upper ends."""
        axis = (self.axis or 0) % scores.ndim
        scores = -scores if self.falling else scores
        index = answer.astype(np.int64)
        kept = index if index.ndim == scores.ndim else np.expand_dims(index, axis)
        inside = (kept >= 0) & (kept < scores.shape[axis])
        ranks = np.arange(kept.shape[axis])
        low, high = (
            np.take(-np.sort(-end, axis=axis), ranks, axis=axis)
            for end in (scores - allowed, scores + allowed)
        )
        chosen = np.where(inside, kept, 0)
        upper, lower = (np.take_along_axis(end, chosen, axis) for end in (scores + allowed, scores - allowed))
        return np.asarray((inside & (upper >= low) & (lower <= high)).reshape(index.shape))


def tails_of(source: CutNetwork, spiking: CutNetwork, output: str) -> tuple[Tail, Tail]:
    """The tails of an output in both networks; none in either, where they are not made of the same parts."""
    pair = tail_of(source, output), tail_of(spiking, output)
    one, other = ((tail.model is None, tail.axis, tail.falling, tail.parts) for tail in pair)
    return pair if one == other else (Tail(output), Tail(output))


def tail_of(network: CutNetwork, output: str) -> Tail:
    """The tail of an output, as far back as its first jump; none where something else than the rules leads there.

    Where a Concat joins tails, ``network`` gets a tensor that joins what their jumps read.
    """
    return _Search(network).of(output)


class _Search:
    """The way back from outputs to jumps."""

    def __init__(self, network: CutNetwork) -> None:
        self._network = network
        self._graph = network.model.structure.graph
        self._makers = {name: node for node in self._graph.node for name in node.output}
        self._constants = {tensor.name for tensor in self._graph.initializer}

    def of(self, output: str) -> Tail:
        """The tail of ``output``."""
        chain = self._back(output)
        last = chain[0] if chain else None
        if last is not None and last.op_type in _RANKING and all(n.op_type in _PLAIN for n in chain[1:]):
            model = self._model(chain, last.input[0], output)
            return Tail(last.input[0], model, _axis(last), falling=_is_falling(last))
        if last is not None and last.op_type == "Concat" and not any(is_jump(node) for node in chain):
            return self._joined(chain, output) or Tail(output)
        behind = _from_first_jump(chain)
        if not behind:
            return Tail(output)
        before = self._signals(behind[0])[0]
        return Tail(before, self._model(behind, before, output))

    def _back(self, name: str) -> list[onnx.NodeProto]:
        """Rule 1, and the operator of another rule in front of it, if there is one."""
        chain: list[onnx.NodeProto] = []
        while (node := self._makers.get(name)) is not None and name not in self._network.levels.values():
            signals = self._signals(node)
            if node.op_type == "Concat" or _ranks(node, name):
                return [node, *chain]
            if node.op_type not in _MONOTONE or len(signals) != 1:
                break
            chain.insert(0, node)
            name = signals[0]
        return chain

    def _signals(self, node: onnx.NodeProto) -> list[str]:
        return [name for name in node.input if name and name not in self._constants]

    def _joined(self, chain: list[onnx.NodeProto], output: str) -> Tail | None:
        """Rule 3; None if there is no jump, or a size is not known."""
        axis = _axis(chain[0])
        scores, nodes = self._parts(chain[0], axis)
        sizes = tuple(self._size(name, axis) for name in scores)
        if not _from_first_jump(nodes) or not all(sizes):
            return None
        joined, split = f"{output}/scores", f"{output}/scores/sizes"
        self._graph.node.append(helper.make_node("Concat", scores, [joined], axis=axis))
        self._graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), split))
        parts = helper.make_node("Split", [joined, split], scores, axis=axis)
        return Tail(joined, self._model([parts, *nodes, *chain[1:]], joined, output), parts=sizes)

    def _parts(self, concat: onnx.NodeProto, axis: int) -> tuple[list[str], list[onnx.NodeProto]]:
        """What the first jumps of the parts read, or the parts that have none; the nodes from there on, each once."""
        scores: list[str] = []
        nodes: list[onnx.NodeProto] = []
        for name in self._signals(concat):
            chain = self._back(name)
            behind = _from_first_jump(chain)
            if behind:
                scores.append(self._signals(behind[0])[0])
                nodes += behind
            elif chain and chain[0].op_type == "Concat" and _axis(chain[0]) == axis:
                inner = self._parts(chain[0], axis)
                scores += inner[0]
                nodes += [*inner[1], *chain[1:]]
            else:
                scores.append(name)
        unique = {node.output[0]: node for node in [*nodes, concat]}
        return list(dict.fromkeys(scores)), list(unique.values())

    def _size(self, name: str, axis: int) -> int:
        """Of a tensor along an axis; 0 if it is not known."""
        for value in (*self._graph.value_info, *self._graph.output):
            dims = value.type.tensor_type.shape.dim
            if value.name == name and len(dims) > max(axis, -axis - 1):
                return int(dims[axis].dim_value)
        return 0

    def _model(self, chain: list[onnx.NodeProto], read: str, output: str) -> SplitModel:
        graph = onnx.GraphProto(name="tail")
        graph.node.append(helper.make_node("Identity", [POTENTIAL], [read]))
        graph.node.extend(chain)
        graph.node.append(helper.make_node("Identity", [output], ["answer"]))
        graph.input.append(helper.make_tensor_value_info(POTENTIAL, TensorProto.FLOAT, None))
        graph.output.append(helper.make_tensor_value_info("answer", TensorProto.FLOAT, None))
        used = {name for node in chain for name in node.input}
        graph.initializer.extend(t for t in self._graph.initializer if t.name in used)
        return self._network.part(graph)


def _from_first_jump(chain: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes of a chain from its first jump on; none where there is none, or only that of another rule."""
    first = next(
        (i for i, node in enumerate(chain) if is_jump(node) and node.op_type in _MONOTONE), len(chain)
    )
    return chain[first:]


def _axis(node: onnx.NodeProto) -> int:
    return _number(node, "axis", _RANKING.get(node.op_type, 0))


def _ranks(node: onnx.NodeProto, name: str) -> bool:
    """Whether ``name`` holds the places of scores, in the order of their ranks."""
    if node.op_type == "TopK":
        return list(node.output).index(name) == 1 and _number(node, "sorted", 1) == 1
    return node.op_type in _RANKING


def _is_falling(node: onnx.NodeProto) -> bool:
    return node.op_type == "ArgMin" or (node.op_type == "TopK" and _number(node, "largest", 1) == 0)


def _number(node: onnx.NodeProto, name: str, default: int) -> int:
    return int(next((a.i for a in node.attribute if a.name == name), default))
