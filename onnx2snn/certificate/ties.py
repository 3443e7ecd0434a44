"""What jumps at ties may add to a tensor, where operators with jumps were kept between neurons.

    k ─▶ Mul ─▶ Round ─▶ Conv ─▶ z

Both networks compute in float32 what such an operator reads, of constants that were rounded on ways of their own. Near a tie
one may answer a whole step more than the other, and that step goes on. By interval arithmetic (Moore, Kearfott, Cloud:
Introduction to Interval Analysis, SIAM 2009) every tensor has a radius: what either network computes lies within it of what
the cut does. It is zero where nothing is rounded, and behind a jump that no tie is near to.

1. A jump: the farther of its answers at both ends.
2. A comparison: 1 where the two intervals overlap.
3. A selection: where its condition may change, what lies between its choices.
4. Products of signals: what the product of the farthest ends adds.
5. Everything else with a rule of magnitudes: radii go through it as magnitudes do.

In front of a jump the rounding of an operator is added to its radius; behind the last one the bound of the path has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx2snn.certificate.cuts import POTENTIAL
from onnx2snn.certificate.magnitudes import magnitude_model
from onnx2snn.certificate.rounding import EXACT, constants_of, gamma
from onnx2snn.float64 import Float64Network
from onnx2snn.float64.network import before_jumps, from_sizes, is_jump
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.running_error import Shapes, Step

Wide: TypeAlias = NDArray[np.float64]

#: Jumps that never turn round.
_RISING = frozenset(("Round", "Floor", "Ceil", "Sign", "Cast", "QuantizeLinear"))
_COMPARISONS = frozenset(("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"))
_LOGIC = frozenset(("And", "Or", "Xor", "Not"))
_PRODUCTS = frozenset(("Mul", "MatMul", "Gemm", "Conv", "ConvTranspose"))
#: So many times a radius goes through an operator, in front of which magnitudes count for nothing.
_LARGE = 2.0**200
#: Roundings that an operator's constants may have gone through in conversion.
_CONVERTED = 8


class Ties:
    """The radius of a cut's tensor, by the levels before it.

    Args:
        model: The source, cut.
        network: The same, loaded.
        shapes: Of its tensors.
        timesteps: T: the first operator that reads a level rounds it as often as integration does.
    """

    def __init__(self, model: SplitModel, network: Float64Network, shapes: Shapes, *, timesteps: int) -> None:
        graph = model.structure.graph
        self._network, self._front = network, before_jumps(graph)
        self._timesteps, self._inputs = timesteps, frozenset(network.inputs)
        sizes, constants = from_sizes(graph), constants_of(model)
        steps = (Step(node, _attributes(node), shapes, constants) for node in graph.node)
        self._steps = [_Carried(model, step) for step in steps if step.node.output[0] not in sizes]

    @classmethod
    def of(cls, model: SplitModel, network: Float64Network, shapes: Shapes, *, timesteps: int) -> Ties | None:
        """None where there are no jumps, or an operator has no rule."""
        if not jumps(model.structure.graph):
            return None
        ties = cls(model, network, shapes, timesteps=timesteps)
        return ties if all(step.rule is not None for step in ties._steps) else None

    def run(self, inputs: Mapping[str, Array], *, quanta: Mapping[str, float]) -> dict[str, Array]:
        """The radius (N, ...) of POTENTIAL.

        Args:
            inputs: As of the cut.
            quanta: Powers of two of which tensors in front of jumps are multiples, in both networks; 0 where there is none.
        """
        values = self._network.values(inputs)
        radii: dict[str, Wide] = {}
        whole = set(self._inputs)  # levels, which the spiking network has yet to integrate
        with np.errstate(all="ignore"):
            for step in self._steps:
                found = step.radii(values, radii)
                integrated = not whole.isdisjoint(step.signals)
                whole.update(step.node.output if integrated and not step.roundings else ())
                roundings = step.roundings + _CONVERTED + integrated * (2 * self._timesteps + 6)
                for name, radius in found.items():
                    radii[name] = radius
                    if name in self._front and step.roundings:
                        magnitude = step.magnitudes(values, radii)[name]
                        exact = magnitude <= EXACT * quanta.get(name, 0.0)
                        rounded = 2 * gamma(roundings) * magnitude
                        radii[name] = radius + np.where(exact, 0.0, rounded)
        return {POTENTIAL: radii[POTENTIAL]}


def jumps(graph: onnx.GraphProto) -> bool:
    """Whether an operator jumps that reads more than sizes."""
    sizes = from_sizes(graph)
    return any(is_jump(node) and node.output[0] not in sizes for node in graph.node)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


class _Carried:
    """One operator, and how radii go through it.

    Attributes:
        node: It.
        signals: What it reads that is no constant.
        roundings: Between these and its output; 0 of a jump.
        rule: Radii by output, of values and radii; None where there is no rule.
    """

    def __init__(self, model: SplitModel, step: Step) -> None:
        node = self.node = step.node
        signals = self.signals = tuple(n for n in node.input if n and n not in step.values)
        self.roundings = 0 if is_jump(node) else step.roundings()
        alone = _alone(model, node, signals)
        self._answers: Float64Network | None = None
        self._bound: Float64Network | None = None
        self.rule: Callable[[Mapping[str, Array], Mapping[str, Wide]], dict[str, Wide]] | None = None
        if is_jump(node):
            self._answers = Float64Network(alone, throughout=True)
            self.rule = self._risen if node.op_type in _RISING else None
            self.rule = self._compared if node.op_type in _COMPARISONS else self.rule
        elif node.op_type in _LOGIC:
            self.rule = self._either
        elif node.op_type == "Where" and node.input[0] in signals:
            self.rule = self._chosen
        elif (bound := magnitude_model(alone, step.shapes)) is not None:
            self._bound = Float64Network(bound, absolute=True)
            product = node.op_type in _PRODUCTS and set(node.input[:2]) <= set(signals)
            self.rule = self._multiplied if product else self._passed

    def radii(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """By output; zero where those of all inputs are."""
        if self.rule is None or not any(radii[n].any() for n in self.signals if n in radii):
            return {name: np.zeros(np.shape(values[name])) for name in self.node.output if name}
        return self.rule(values, radii)

    def magnitudes(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """Σ|w|·|x| at the farthest ends, by output."""
        return self._through({n: _size(values[n]) + _radius(n, values, radii) for n in self.signals}, values)

    def _through(self, magnitudes: Mapping[str, Wide], values: Mapping[str, Array]) -> dict[str, Wide]:
        if self._bound is None:
            return {n: _size(values[n]) for n in self.node.output if n}
        return {n: np.asarray(v, np.float64) for n, v in self._bound.run(magnitudes).items()}

    def _passed(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """Rule 5."""
        near = self._through({n: _size(values[n]) for n in self.signals}, values)
        far = {n: _size(values[n]) + _LARGE * _radius(n, values, radii) for n in self.signals}
        found = self._through(far, values)
        return {name: np.where(reach == near[name], 0.0, reach / _LARGE) for name, reach in found.items()}

    def _multiplied(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """Rule 4."""
        near = self._through({n: _size(values[n]) for n in self.signals}, values)
        return {name: far - near[name] for name, far in self.magnitudes(values, radii).items()}

    def _risen(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """Rule 1."""
        name, result = self.signals[0], self.node.output[0]
        radius, at = _radius(name, values, radii), np.asarray(values[name], np.float64)
        if self._answers is None:
            raise AssertionError("a jump answers")
        ends = [
            np.asarray(self._answers.run({name: end})[result], np.float64)
            for end in (at - radius, at + radius)
        ]
        here = np.asarray(values[result], np.float64)
        return {result: np.maximum(np.abs(ends[0] - here), np.abs(ends[1] - here))}

    def _compared(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """Rule 2."""
        result = self.node.output[0]
        one, other = (np.asarray(values[n], np.float64) for n in self.node.input)
        reach = sum(_radius(n, values, radii) for n in self.signals)
        return {result: np.where((reach > 0) & (np.abs(one - other) <= reach), 1.0, 0.0)}

    def _either(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """Of a condition that is made of conditions."""
        result = self.node.output[0]
        some = [np.broadcast_to(_radius(n, values, radii), np.shape(values[result])) for n in self.signals]
        return {result: np.max(some, axis=0)}

    def _chosen(self, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> dict[str, Wide]:
        """Rule 3."""
        condition, *choices = self.node.input
        one, other = (np.asarray(values[n], np.float64) for n in choices)
        own = [_radius(n, values, radii) if n in self.signals else np.zeros(1) for n in choices]
        may_change = _radius(condition, values, radii) > 0
        apart = np.where(may_change, np.abs(one - other), 0.0)
        return {self.node.output[0]: apart + np.maximum(own[0], own[1])}


def _size(value: Array) -> Wide:
    return np.abs(np.asarray(value, np.float64))


def _radius(name: str, values: Mapping[str, Array], radii: Mapping[str, Wide]) -> Wide:
    return radii[name] if name in radii else np.zeros(np.shape(values[name]))


def _alone(model: SplitModel, node: onnx.NodeProto, signals: tuple[str, ...]) -> SplitModel:
    """``node`` as a model."""
    graph, whole = onnx.GraphProto(name="step"), model.structure
    graph.node.append(node)
    graph.input.extend(
        helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in dict.fromkeys(signals)
    )
    graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in node.output if n)
    graph.initializer.extend(t for t in whole.graph.initializer if t.name in node.input)
    made = helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
    return SplitModel(made, {n: w for n, w in model.weights.items() if n in node.input})
