"""A model in float64 of which never more is held than one operator needs: networks of gigabytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.float64.evaluator import Array, before_jumps, widened
from onnx2snn.float64.reference_kernels import FAST
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SplitModel, weights_as_inputs
from onnx2snn.operators import of

#: Weights are widened so many at a time, where the operator's answer can be put together from parts.
SLICE = 1 << 23


def streamed(model: SplitModel) -> dict[str, Array]:
    """The outputs, by name, of a model that reads nothing; as of :class:`onnx2snn.float64.Float64Network`.

    One operator after the other is computed. Its weights are widened for it alone, and a value is let go with its last reader.
    """
    light = weights_as_inputs(model.structure)
    narrow = before_jumps(light.graph)
    graph = widened(light, narrow, absolute=False).graph
    evaluator = ReferenceEvaluator(graph, opsets=_opsets(light), new_ops=list(FAST))
    outputs = [output.name for output in graph.output]
    readers = Counter(name for node in graph.node for name in names_read(node)) + Counter(outputs)
    values: dict[str, Array | None] = {"": None, **evaluator.rt_inits_}
    weights = {name: _Weights(array, name in narrow) for name, array in model.weights.items()}
    for operator in evaluator.rt_nodes_:
        node = operator.onnx_node
        with np.errstate(all="ignore"):
            values.update(zip(node.output, _answers(operator, node, values, weights), strict=True))
        readers.subtract(names_read(node))
        for name in [*names_read(node), *node.output]:
            if name and not readers[name]:
                values.pop(name, None)
    return {name: np.asarray(values[name]) for name in outputs}


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {opset.domain: opset.version for opset in model.opset_import}


class _EvaluatedNode(Protocol):
    """A node as the reference evaluator holds it."""

    def need_context(self) -> bool:
        """Whether it has subgraphs."""

    def run(self, *inputs: Array | None, **more: Any) -> tuple[Array, ...]:
        """What it answers."""


class _Weights:
    """A large constant, in the precision that it is read in."""

    def __init__(self, values: Array, narrow: bool) -> None:
        self.values = values
        self._plain = narrow or values.dtype.kind != "f"

    def part(self, at: Any = ()) -> Array:
        """Those at an index; all of them without."""
        values: Array = self.values[at]
        return values if self._plain else values.astype(np.float64)


def _answers(
    operator: _EvaluatedNode,
    node: onnx.NodeProto,
    values: dict[str, Array | None],
    weights: dict[str, _Weights],
) -> Sequence[Array]:
    """What a node writes, in order."""
    held = weights.get(node.input[1]) if len(node.input) > 1 else None
    axes = None if held is None or held.values.size <= SLICE else _channel_axes(node, held.values.ndim)
    if axes is not None and held is not None and node.input[0] in values:
        return [_in_slices(operator, node, values, held, axes)]
    context = {**values, **{name: weights[name].part() for name in names_read(node) if name in weights}}
    read = [context[name] for name in node.input]
    answers: Sequence[Array] = operator.run(
        *read, **({"context": context} if operator.need_context() else {})
    )
    return answers


def _channel_axes(node: onnx.NodeProto, rank: int) -> tuple[int, int] | None:
    """Where weights and answer hold output channels; None where a part of these needs more than a part of those."""
    held = of(node).weights
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    axis = None if held is None else held.whole_outputs(given, rank)
    return None if held is None or axis is None else (axis, held.channels)


def _in_slices(
    operator: _EvaluatedNode,
    node: onnx.NodeProto,
    values: dict[str, Array | None],
    held: _Weights,
    axes: tuple[int, int],
) -> Array:
    """The answer, a few output channels after the others."""
    axis = axes[0]
    channels = held.values.shape[axis]
    step = max(1, SLICE * channels // held.values.size)
    parts = []
    for first in range(0, channels, step):
        at = (slice(None),) * axis + (slice(first, first + step),)
        read = [values[node.input[0]], held.part(at)]
        if len(node.input) > 2:
            bias = values[node.input[2]]
            if bias is not None and bias.ndim and bias.shape[-1] > 1:
                bias = bias[..., first : first + step]
            read.append(bias)
        parts.append(operator.run(*read)[0])
    return np.concatenate(parts, axis=axes[1])
