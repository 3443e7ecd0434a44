"""Quantisers that converters and quantisers write against the rules of ONNX: what they mean, within the rules."""

from __future__ import annotations

import math
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
    3. Scales and zero points of a constant's channels with axes of one behind or in front of them, as they are broadcast: a
       vector.
    4. Scales of blocks that are not along the axis that is named: the only one along which they are.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer if not uses_external_data(tensor)}
    nodes, elsewhere = model.graph.node, _read_elsewhere(model.graph)
    wide = {name for node in nodes for name in _wide(node, held)} - elsewhere
    meant = {position: _axis_meant(node, held) for position, node in enumerate(nodes)}
    turned = {position: axis for position, axis in meant.items() if axis is not None}
    spread = {name for node in nodes for name in _spread(node, held)} - elsewhere
    if not wide and not turned and not spread:
        return model
    repaired = onnx.ModelProto()
    repaired.CopyFrom(model)
    for tensor in repaired.graph.initializer:
        if tensor.name in wide:
            narrow = numpy_helper.to_array(tensor).astype(np.int32)
            tensor.CopyFrom(numpy_helper.from_array(narrow, tensor.name))
        if tensor.name in spread:
            tensor.dims[:] = [math.prod(tensor.dims)]
    for position, axis in turned.items():
        _with_axis(repaired.graph.node[position], axis)
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
    """What others read than quantisers of a vector of scales, which may need it as it is."""
    others = (n for n in graph.node if not _is_quantiser(n) or _attribute(n, "block_size", 0))
    return {name for node in others for name in node.input}


def _fits(tensor: TensorProto) -> bool:
    values = numpy_helper.to_array(tensor)
    return not values.size or bool(values.min() >= _INT32.min and values.max() <= _INT32.max)


def _axis_meant(node: onnx.NodeProto, held: Mapping[str, TensorProto]) -> int | None:
    """Cases 2 and 4; None where the axis that is named is one."""
    if not _is_quantiser(node) or node.input[0] not in held:
        return None
    sizes = list(held[node.input[0]].dims)
    block = _attribute(node, "block_size", 0)
    if not block:
        return 0 if len(sizes) == 1 and _attribute(node, "axis", 0) not in (-1, 0) else None
    scale = list(held[node.input[1]].dims) if node.input[1] in held else []
    along = [
        i for i, size in enumerate(sizes) if scale == [*sizes[:i], math.ceil(size / block), *sizes[i + 1 :]]
    ]
    return along[0] if len(along) == 1 and _attribute(node, "axis", 1) % len(sizes) != along[0] else None


def _spread(node: onnx.NodeProto, held: Mapping[str, TensorProto]) -> list[str]:
    """Case 3: names of the scale and the zero point, whose entries belong to the places along the axis."""
    if not _is_quantiser(node) or node.input[0] not in held or _attribute(node, "block_size", 0):
        return []
    sizes, axis = list(held[node.input[0]].dims), _attribute(node, "axis", 1)
    if not -len(sizes) <= axis < len(sizes):
        return []
    shapes = {name: sorted(held[name].dims) for name in node.input[1:3] if name in held}
    return [
        name for name, dims in shapes.items() if len(dims) > 1 and math.prod(dims) == dims[-1] == sizes[axis]
    ]


def _is_quantiser(node: onnx.NodeProto) -> bool:
    return is_own(node, "QuantizeLinear", "DequantizeLinear")


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)


def _with_axis(node: onnx.NodeProto, axis: int) -> None:
    others = [attribute for attribute in node.attribute if attribute.name != "axis"]
    del node.attribute[:]
    node.attribute.extend([*others, onnx.helper.make_attribute("axis", axis)])
