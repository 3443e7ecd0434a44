"""Σ|w|·|x|: a cut with absolute values in place of weights and signals.

Every rule keeps one promise. Where each input x of an operator is off by at most ε·M(x), and |x| ≤ M(x), then its output y is
off by at most ε'·M(y), with ε' ≥ ε the next running error, and |y| ≤ M(y).

1. Linear operators: the same operator, with |w|; differences become sums.
2. Maxima, minima, selections of signals: at most the largest of the errors.
3. Functions f of one value with a slope of at most L: L·M(x) + |f(0)|.
4. Softmax: its outputs change by at most twice the largest change of its inputs.
5. Interpolation: at most the largest of the neighbours, whose coefficients are rounded too.
6. Products of signals: the product of magnitudes (errors add: :class:`onnx2snn.certificate.rounding.Analysis`).
7. Casts: integers, which are read as they are, lose their sign where they become numbers.

Anything else has no rule: then there is no bound (``None``), and what is said of it has to be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnx2snn.certificate.rounding import Shapes
from onnx2snn.float64.network import before_jumps
from onnx2snn.model.weights import SplitModel, is_hollow

Array: TypeAlias = NDArray[Any]


def magnitude_model(model: SplitModel, shapes: Shapes) -> SplitModel | None:
    """The cut ``model`` for inputs and large weights that are absolute values; None where an operator has no rule.

    Operators in front of jumps stay as they are: both networks compute them alike, and their results are given.
    """
    graph = model.structure.graph
    shared = before_jumps(graph)
    writer = _Writer(model, shapes)
    for node in graph.node:
        if any(name in shared for name in node.output):
            writer.nodes.append(node)
        elif not writer.write(node):
            return None
    return writer.model()


def has_rules(graph: onnx.GraphProto) -> bool:
    """Whether every operator behind the last jump is one that the rules speak of."""
    shared = before_jumps(graph)
    behind = (node for node in graph.node if not any(name in shared for name in node.output))
    return all(node.op_type in _RULES or node.op_type == "BatchNormalization" for node in behind)


class _Writer:
    def __init__(self, model: SplitModel, shapes: Shapes) -> None:
        self._source = model
        self._shapes = shapes
        self._values = {t.name: t for t in model.structure.graph.initializer}
        self._made: dict[str, onnx.TensorProto] = {}
        self.nodes: list[onnx.NodeProto] = []

    def model(self) -> SplitModel:
        result = onnx.ModelProto()
        result.CopyFrom(self._source.structure)
        del result.graph.node[:]
        result.graph.node.extend(self.nodes)
        result.graph.initializer.extend(self._made.values())
        return SplitModel(result, self._source.weights)

    def write(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "BatchNormalization":
            return self._batch_norm(node)
        rule = _RULES.get(node.op_type)
        return rule is not None and rule(self, node)

    def add(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))

    def copy(self, node: onnx.NodeProto, op: str | None = None) -> onnx.NodeProto:
        """``node`` on absolute constants, perhaps another operator."""
        fresh = onnx.NodeProto()
        fresh.CopyFrom(node)
        fresh.op_type = op or node.op_type
        fresh.input[:] = [self.absolute(name) for name in node.input]
        self.nodes.append(fresh)
        return fresh

    def absolute(self, name: str) -> str:
        tensor = self._values.get(name)
        if tensor is None or tensor.data_type not in (1, 10, 11) or is_hollow(tensor):
            return name
        return self.hold(f"{name}/abs", np.abs(numpy_helper.to_array(tensor)))

    def value(self, name: str) -> Array | None:
        if name in self._source.weights:
            return self._source.weights[name]
        return numpy_helper.to_array(self._values[name]) if name in self._values else None

    def hold(self, name: str, values: Array | float) -> str:
        if name not in self._made:
            self._made[name] = numpy_helper.from_array(np.asarray(values, np.float32), name)
        return name

    def rank(self, name: str) -> int:
        return len(self._shapes.get(name, ()))

    def _batch_norm(self, node: onnx.NodeProto) -> bool:
        """γ/σ·(x − μ) + β, with |γ| and |β|, and −|μ| so that the difference is a sum."""
        fresh = self.copy(node)
        mean = self.value(node.input[3])
        if mean is None:
            return False
        fresh.input[3] = self.hold(f"{node.input[3]}/minus", -np.abs(mean))
        return True

    def line(self, node: onnx.NodeProto, slope: float, at_zero: float) -> bool:
        """Rule 3."""
        x, y = node.input[0], node.output[0]
        self.add("Mul", [x, self.hold(f"{y}/slope", slope)], [f"{y}/risen"])
        self.add("Add", [f"{y}/risen", self.hold(f"{y}/zero", at_zero)], [y])
        return True


_Rule: TypeAlias = Callable[[_Writer, onnx.NodeProto], bool]


def _same(writer: _Writer, node: onnx.NodeProto) -> bool:
    writer.copy(node)
    return True


def _instead(op: str) -> _Rule:
    def rule(writer: _Writer, node: onnx.NodeProto) -> bool:
        writer.copy(node, op)
        return True

    return rule


def _gemm(writer: _Writer, node: onnx.NodeProto) -> bool:
    for attribute in writer.copy(node).attribute:
        if attribute.name in ("alpha", "beta"):
            attribute.f = abs(attribute.f)
    return True


def _by_constant(writer: _Writer, node: onnx.NodeProto) -> bool:
    return writer.value(node.input[1]) is not None and _same(writer, node)


def _chosen(writer: _Writer, node: onnx.NodeProto) -> bool:
    return writer.value(node.input[0]) is not None and _same(writer, node)


def _function(slope: float, at_zero: float = 0.0) -> _Rule:
    return lambda writer, node: writer.line(node, slope, at_zero)


def _clip(writer: _Writer, node: onnx.NodeProto) -> bool:
    limits = [writer.value(name) for name in node.input[1:] if name]
    if any(limit is None for limit in limits):
        return False
    low = writer.value(node.input[1]) if len(node.input) > 1 and node.input[1] else None
    high = writer.value(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    at_zero = max(
        0.0, float(np.max(low)) if low is not None else 0.0, -float(np.min(high)) if high is not None else 0.0
    )
    return writer.line(node, 1.0, at_zero)


def _cast(writer: _Writer, node: onnx.NodeProto) -> bool:
    """Rule 7."""
    signed = f"{node.output[0]}/signed"
    writer.copy(node).output[0] = signed
    writer.add("Abs", [signed], [node.output[0]])
    return True


def _leaky(default: float) -> _Rule:
    def rule(writer: _Writer, node: onnx.NodeProto) -> bool:
        alpha = next((a.f for a in node.attribute if a.name == "alpha"), default)
        return writer.line(node, max(1.0, abs(alpha)), 0.0)

    return rule


def _softmax(at_most: float) -> _Rule:
    def rule(writer: _Writer, node: onnx.NodeProto) -> bool:
        axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
        x, y = node.input[0], node.output[0]
        axes = helper.make_node(
            "Constant", [], [f"{y}/axes"], value=numpy_helper.from_array(np.array([axis]))
        )
        writer.nodes.append(axes)
        writer.add("ReduceMax", [x, f"{y}/axes"], [f"{y}/largest"], keepdims=1)
        writer.add("Mul", [f"{y}/largest", writer.hold(f"{y}/two", 2.0)], [f"{y}/twice"])
        writer.add("Add", [f"{y}/twice", writer.hold(f"{y}/most", at_most)], [f"{y}/bound"])
        writer.add("Mul", [x, writer.hold(f"{y}/none", 0.0)], [f"{y}/nothing"])
        writer.add("Add", [f"{y}/bound", f"{y}/nothing"], [y])
        return True

    return rule


def _resize(writer: _Writer, node: onnx.NodeProto) -> bool:
    """Rule 5: neighbours up to two cells away; cubic coefficients add up to less than 1.4 in absolute value, each axis."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    mode, rank = attributes.get("mode", b"nearest"), writer.rank(node.input[0]) - 2
    if mode == b"nearest":
        return _same(writer, node)
    if rank < 1 or attributes.get("antialias", 0):
        return False
    x, y = node.input[0], node.output[0]
    writer.add("MaxPool", [x], [f"{y}/neighbours"], kernel_shape=[5] * rank, pads=[2] * (2 * rank))
    fresh = writer.copy(node)
    fresh.input[0], fresh.output[0] = f"{y}/neighbours", f"{y}/blended"
    for attribute in fresh.attribute:
        if attribute.name == "mode":
            attribute.s = b"linear"
        elif attribute.name == "extrapolation_value":
            attribute.f = abs(attribute.f)
    writer.add("Mul", [f"{y}/blended", writer.hold(f"{y}/sum", 1.4**rank)], [y])
    return True


_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(
        ("Add", "Sum", "Mean", "Conv", "ConvTranspose", "MatMul", "Mul", "AveragePool", "GlobalAveragePool", "ReduceMean",
         "ReduceSum", "Concat", "Split", "Slice", "Gather", "Pad", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze",
         "Expand", "Tile", "Identity", "Dropout", "DepthToSpace", "SpaceToDepth", "Shape", "Constant",
         "ConstantOfShape", "MaxPool", "GlobalMaxPool", "ReduceMax", "Max", "Size"), _same
    ),
    "Sub": _instead("Add"),
    **dict.fromkeys(("Neg", "Abs", "Relu"), _instead("Identity")),
    "Min": _instead("Max"),
    "ReduceMin": _instead("ReduceMax"),
    "Gemm": _gemm,
    "Div": _by_constant,
    "Where": _chosen,
    "Cast": _cast,
    "Clip": _clip,
    "LeakyRelu": _leaky(0.01),
    "Elu": _leaky(1.0),
    "Sigmoid": _function(0.25, 0.5),
    "HardSigmoid": _function(1.0, 1.0),
    **dict.fromkeys(("Tanh", "Softsign", "Sin", "Atan"), _function(1.0)),
    "Erf": _function(1.13),
    "Gelu": _function(1.2),
    "Mish": _function(1.2),
    "HardSwish": _function(1.6),
    "Selu": _function(1.8),
    "Softplus": _function(1.0, 0.7),
    "Cos": _function(1.0, 1.0),
    "Softmax": _softmax(1.0),
    "LogSoftmax": _softmax(32.0),
    "Resize": _resize,
}  # fmt: skip
