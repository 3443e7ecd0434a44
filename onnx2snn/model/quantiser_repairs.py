"""Quantisers that converters from TensorFlow Lite write against the rules of ONNX: what they mean, within the rules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.external_data_helper import uses_external_data

from onnx2snn.model.nodes import is_own

_INT32 = np.iinfo(np.int32)


def with_valid_quantisers(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with these quantisers as they may be written; itself where there are none, else a copy.

    1. DequantizeLinear of 64-bit constants that 32 bits hold, as the biases of 16-bit networks are: of 32 bits.
    2. An axis that a vector does not have: its only one.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer if not uses_external_data(tensor)}
    wide = {name for node in model.graph.node for name in _wide(node, held)} - _read_elsewhere(model.graph)
    astray = [i for i, node in enumerate(model.graph.node) if _is_astray(node, held)]
    if not wide and not astray:
        return model
    repaired = onnx.ModelProto()
    repaired.CopyFrom(model)
    for tensor in repaired.graph.initializer:
        if tensor.name in wide:
            narrow = numpy_helper.to_array(tensor).astype(np.int32)
            tensor.CopyFrom(numpy_helper.from_array(narrow, tensor.name))
    for position in astray:
        for attribute in repaired.graph.node[position].attribute:
            if attribute.name == "axis":
                attribute.i = 0
    return repaired


def _wide(node: onnx.NodeProto, held: Mapping[str, TensorProto]) -> list[str]:
    """Case 1: names of the codes and the zero point."""
    if not is_own(node, "DequantizeLinear") or len(node.input) < 2:
        return []
    names = [name for name in (node.input[0], *node.input[2:3]) if name]
    tensors = [held.get(name) for name in names]
    fits = all(t is not None and t.data_type == TensorProto.INT64 and _fits(t) for t in tensors)
    return names if fits else []


def _read_elsewhere(graph: onnx.GraphProto) -> set[str]:
    """What other operators read, which may need it as it is."""
    return {name for node in graph.node if not is_own(node, "DequantizeLinear") for name in node.input}


def _fits(tensor: TensorProto) -> bool:
    values = numpy_helper.to_array(tensor)
    return not values.size or bool(values.min() >= _INT32.min and values.max() <= _INT32.max)


def _is_astray(node: onnx.NodeProto, held: Mapping[str, TensorProto]) -> bool:
    """Case 2."""
    if not is_own(node, "DequantizeLinear", "QuantizeLinear") or node.input[0] not in held:
        return False
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    return len(held[node.input[0]].dims) == 1 and axis not in (-1, 0)
