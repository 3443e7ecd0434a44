"""Σ|w|·|x|: a cut with absolute values in place of weights and signals.

What each operator becomes stands in its record (:mod:`onnx2snn.operators.magnitudes`). One without a rule has no bound
(``None``), and what is said of it has to be measured.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnx2snn.float64.network import before_jumps
from onnx2snn.model.weights import SplitModel, is_hollow
from onnx2snn.operators import of
from onnx2snn.operators.running_error import Shapes

Array: TypeAlias = NDArray[Any]


def magnitude_model(model: SplitModel, shapes: Shapes) -> SplitModel | None:
    """The cut ``model`` for inputs and large weights that are absolute values; None where an operator has no rule.

    Operators in front of jumps stay as they are: both networks compute them alike, and their results are given.
    """
    graph = model.structure.graph
    shared = before_jumps(graph)
    writer = Writer(model, shapes)
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
    return all(of(node).magnitude is not None for node in behind)


class Writer:
    """Writes operators on magnitudes, one after the other.

    Args:
        model: The cut.
        shapes: Of its tensors.

    Attributes:
        nodes: What is written.
    """

    def __init__(self, model: SplitModel, shapes: Shapes) -> None:
        self._source = model
        self._shapes = shapes
        self._values = {t.name: t for t in model.structure.graph.initializer}
        self._made: dict[str, onnx.TensorProto] = {}
        self.nodes: list[onnx.NodeProto] = []

    def model(self) -> SplitModel:
        """All that was written."""
        result = onnx.ModelProto()
        result.CopyFrom(self._source.structure)
        del result.graph.node[:]
        result.graph.node.extend(self.nodes)
        result.graph.initializer.extend(self._made.values())
        return SplitModel(result, self._source.weights)

    def write(self, node: onnx.NodeProto) -> bool:
        """``node`` on magnitudes; False without a rule."""
        rule = of(node).magnitude
        return rule is not None and rule(self, node)

    def add(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """A node."""
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
        """Of a constant, one that holds its magnitudes."""
        tensor = self._values.get(name)
        if tensor is None or tensor.data_type not in (1, 10, 11) or is_hollow(tensor):
            return name
        return self.hold(f"{name}/abs", np.abs(numpy_helper.to_array(tensor)))

    def value(self, name: str) -> Array | None:
        """Of a constant."""
        if name in self._source.weights:
            return self._source.weights[name]
        return numpy_helper.to_array(self._values[name]) if name in self._values else None

    def hold(self, name: str, values: Array | float) -> str:
        """A constant of that name."""
        if name not in self._made:
            self._made[name] = numpy_helper.from_array(np.asarray(values, np.float32), name)
        return name

    def rank(self, name: str) -> int:
        """How many axes a tensor has."""
        return len(self._shapes.get(name, ()))

    def line(self, node: onnx.NodeProto, slope: float, at_zero: float) -> bool:
        """Rule 3."""
        x, y = node.input[0], node.output[0]
        self.add("Mul", [x, self.hold(f"{y}/slope", slope)], [f"{y}/risen"])
        self.add("Add", [f"{y}/risen", self.hold(f"{y}/zero", at_zero)], [y])
        return True
