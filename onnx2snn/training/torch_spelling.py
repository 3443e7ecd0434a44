"""Networks in the operators, and the opset, that onnx2torch reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from onnx2snn.errors import ConversionError
from onnx2snn.model.nodes import is_own
from onnx2snn.operators import of


def at_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """The same operators as an older opset spells them; what has no older spelling is left as it is.

    1. Reductions take their axes as an attribute (before opset 18).
    2. Attributes that came later are dropped: passes leave none that says more than its default.
    3. ``allowzero`` is dropped from reshapes to a constant shape without zeros, where it means nothing.
    """
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", version))
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type.startswith("Reduce") and not of(node).total and len(node.input) > 1:
            axes = constants[node.input[1]].tolist()
            del node.input[1:]
            node.attribute.append(onnx.helper.make_attribute("axes", axes))
        _drop_allowzero(node, constants)
        known = _attributes(node, version)
        kept = [attribute for attribute in node.attribute if attribute.name in known]
        del node.attribute[:]
        node.attribute.extend(kept)
    return model


def _attributes(node: onnx.NodeProto, version: int) -> Mapping[str, Any]:
    try:
        attributes: Mapping[str, Any] = onnx.defs.get_schema(node.op_type, version, node.domain).attributes
    except onnx.defs.SchemaError as error:
        raise ConversionError(
            f"it is no operator of ONNX opset {version}, the newest that can be trained",
            node=node.name,
            operator=node.op_type,
            found=node.domain or None,
            remedy=f"export the network in opset {version} or older, of standard operators",
        ) from error
    return attributes


def _drop_allowzero(node: onnx.NodeProto, constants: Mapping[str, np.ndarray]) -> None:
    listed = None if of(node).sized_by is None else constants.get(node.input[1])
    if listed is not None and (listed != 0).all():
        kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
        del node.attribute[:]
        node.attribute.extend(kept)


def spell_dense_layers(model: onnx.ModelProto) -> None:
    """Products of a row and a constant matrix as Gemm: onnx2torch makes a linear layer of it, whose synapses can be counted."""
    constants = {c.name: len(c.dims) for c in model.graph.initializer}
    known = (*model.graph.input, *model.graph.value_info)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in known}
    for node in model.graph.node:
        if is_own(node, "MatMul") and constants.get(node.input[1]) == ranks.get(node.input[0]) == 2:
            node.op_type = "Gemm"
