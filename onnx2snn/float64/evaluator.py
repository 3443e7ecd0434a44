"""A model whose float32 arithmetic is done in float64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.float64.reference_kernels import FAST
from onnx2snn.graph.walks import carried, forward
from onnx2snn.model.subgraphs import subgraphs
from onnx2snn.model.weights import SplitModel, let_go, weights_as_inputs
from onnx2snn.operators import of

Array = NDArray[Any]

_NARROW = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)


class Float64Network:
    """A model without functions, loaded to compute in float64 (up to its last operator with jumps: in float32).

    Large weights that lie apart stay where they are: a float64 copy of them lives as long as one run.

    Args:
        model: What to compute; its float32 constants are exact in float64.
        absolute: Compute on the absolute values of inputs, and of whatever float32 operators hand over.
        throughout: Compute operators with jumps, and all in front of them, in float64 too.
    """

    def __init__(
        self, model: onnx.ModelProto | SplitModel, *, absolute: bool = False, throughout: bool = False
    ) -> None:
        self._weights: Mapping[str, Array] = {}
        if isinstance(model, SplitModel):
            self._weights, model = model.weights, weights_as_inputs(model.structure)
        self._narrow = frozenset() if throughout else before_jumps(model.graph)
        self._absolute = absolute
        self._outputs = [output.name for output in model.graph.output]
        self.inputs = tuple(value.name for value in model.graph.input if value.name not in self._weights)
        self._evaluator = ReferenceEvaluator(widened(model, self._narrow, absolute), new_ops=list(FAST))

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs (N, ...) by name; further inputs are ignored."""
        feed = self._feed(inputs)
        with np.errstate(all="ignore"):
            answers = self._evaluator.run(None, feed)
        return {name: np.asarray(value) for name, value in zip(self._outputs, answers, strict=True)}

    def shapes(self, inputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, inputs and constants included."""
        return {name: np.shape(value) for name, value in self.values(inputs).items()}

    def values(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every tensor, inputs and constants included."""
        with np.errstate(all="ignore"):
            values: Any = self._evaluator.run(None, self._feed(inputs), intermediate=True)
        return {name: value for name, value in values.items() if value is not None}

    def _feed(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        feed = {name: self._typed(name, inputs[name]) for name in self.inputs}
        for name, values in self._weights.items():
            feed[name] = self._typed(name, values)
            let_go(values)
        return feed

    def _typed(self, name: str, value: Array) -> Array:
        if value.dtype.kind != "f":
            return value
        if name in self._narrow:
            return value.astype(np.float32)
        wide: Array = value.astype(np.float64)
        return np.abs(wide, out=wide) if self._absolute else wide


def before_jumps(graph: onnx.GraphProto) -> frozenset[str]:
    """Names of the tensors that operators with jumps read or write, and of all those that they are made of.

    What is computed from sizes alone is among them: sizes are whole numbers.
    """

    def rule(node: onnx.NodeProto, found: dict[str, bool]) -> Iterable[tuple[str, bool]]:
        if not is_jump(node) and not any(name in found for name in node.output):
            return ()
        read = [] if of(node).sizes else [name for name in node.input if name]
        return dict.fromkeys([*node.output, *read], True).items()

    return frozenset(carried(reversed(graph.node), rule, dict.fromkeys(from_sizes(graph), True)))


def from_sizes(graph: onnx.GraphProto) -> set[str]:
    """Names of the tensors that nothing but sizes of tensors, and constants, decide."""
    fixed = {"", *(tensor.name for tensor in graph.initializer)}
    fixed.update(name for node in graph.node if of(node).constant for name in node.output)

    def passes(node: onnx.NodeProto, read: list[bool]) -> bool:
        alike = all(known or name in fixed for name, known in zip(node.input, read, strict=True))
        return of(node).sizes or (any(read) and alike)

    return forward(graph.node, passes)


def is_jump(node: onnx.NodeProto) -> bool:
    """Whether ``node`` may answer a whole step more to a value that is a little larger.

    What it answers to a value rounded to float32 may be a whole step from what it answers to the exact one, so it and all in
    front of it are computed in float32, as the network itself does.
    """
    written = _named_type(node)
    return of(node).jumps if written is None else written not in (*_NARROW, TensorProto.DOUBLE)


def _named_type(node: onnx.NodeProto) -> int | None:
    """The type that an operator is told to write; None where it is not told."""
    return next((int(a.i) for a in node.attribute if a.name == of(node).typed_by), None)


def widened(model: onnx.ModelProto, narrow: frozenset[str], absolute: bool) -> onnx.ModelProto:
    """``model`` in float64, but for the operators that write ``narrow``."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    for tensor in graph.initializer:
        if tensor.name not in narrow:
            _widen_tensor(tensor)
    floats = {t.name for t in graph.initializer if t.data_type in _NARROW}
    floats |= {v.name for v in graph.input if v.type.tensor_type.elem_type in _NARROW}
    for value in graph.value_info:
        if value.type.tensor_type.elem_type in _NARROW:
            floats.add(value.name)
    whole = {v.name for v in graph.value_info if v.type.tensor_type.elem_type not in (0, *_NARROW)}
    handed: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if not any(name in narrow for name in node.output):
            for position, name in enumerate(node.input):
                if name in narrow - whole and (name in floats or _is_float(name, graph)):
                    node.input[position] = _handed(name, handed, nodes, absolute)
            widen_node(node)
        nodes.append(node)
    for output in graph.output:
        if output.name in narrow - whole and _is_float(output.name, graph):
            output.name = _handed(output.name, handed, nodes, absolute)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type in _NARROW and value.name not in narrow:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return wide


def _is_float(name: str, graph: onnx.GraphProto) -> bool:
    """Whether a tensor that float32 operators write holds floats, as far as its writer tells."""
    for node in graph.node:
        if name in node.output:
            written = _named_type(node)
            return not of(node).whole if written is None else written in (*_NARROW, TensorProto.DOUBLE)
    return False


def _handed(name: str, handed: dict[str, str], nodes: list[onnx.NodeProto], absolute: bool) -> str:
    """The name under which float64 operators read the float32 tensor ``name``."""
    if name not in handed:
        handed[name] = f"{name}/float64"
        target = f"{name}/signed" if absolute else handed[name]
        nodes.append(helper.make_node("Cast", [name], [target], to=TensorProto.DOUBLE))
        if absolute:
            nodes.append(helper.make_node("Abs", [target], [handed[name]]))
    return handed[name]


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _NARROW:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def widen_node(node: onnx.NodeProto) -> None:
    """Change ``node``, subgraphs included: what it makes and holds of floats is float64."""
    for attribute in node.attribute:
        if attribute.name in ("value", "sparse_value") and attribute.HasField("t"):
            _widen_tensor(attribute.t)
        elif attribute.name in ("to", "dtype") and attribute.i in _NARROW:
            attribute.i = TensorProto.DOUBLE
    for graph in subgraphs(node):
        for tensor in graph.initializer:
            _widen_tensor(tensor)
        for inner in graph.node:
            widen_node(inner)
    if node.op_type == "ConstantOfShape" and not node.attribute:
        zero = numpy_helper.from_array(np.zeros(1))
        node.attribute.append(helper.make_attribute("value", zero))
