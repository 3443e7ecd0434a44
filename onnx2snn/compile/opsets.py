"""A finished graph in an older version of the default operator set, for runtimes that are as old."""

from __future__ import annotations

from contextlib import suppress

import onnx
from onnx import helper, version_converter

from onnx2snn.errors import InputError
from onnx2snn.model.nodes import STANDARD
from onnx2snn.model.weights import SplitModel, weights_as_inputs

#: The first version that has all that is written.
OLDEST = 17
#: Operators of a network that onnx's converter does not take, and that are what they were, but for new element types and inputs.
_SAME = {"ConstantOfShape": 1, "Pad": 3, "ScatterND": 3, "Split": 2}
_ASIDE = "onnx2snn.aside"


def in_oldest(network: SplitModel) -> SplitModel:
    """``network`` in the oldest version that has all its operators."""
    present = opset_of(network.structure)
    for opset in range(OLDEST, present):
        with suppress(InputError):  # the next one has more
            return in_opset(network, opset)
    return network


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the default operator set."""
    return next(int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx"))


def in_opset(network: SplitModel, opset: int) -> SplitModel:
    """``network`` in version ``opset``.

    Raises:
        InputError: an operator has no equivalent there.
    """
    model = network.structure
    present = opset_of(model)
    if present == opset:
        return network
    try:
        if opset < OLDEST:
            raise ValueError(f"it is older than {OLDEST}")
        older = version_converter.convert_version(_aside(weights_as_inputs(model)), opset)
        for node in older.graph.node:
            _drop_new_attributes(node, opset, present)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"this network cannot be written in opset {opset}",
            found=str(error).splitlines()[0].split("failed: ")[-1],
            remedy="leave --opset away, for the oldest that has its operators",
        ) from error
    structure = onnx.ModelProto()
    structure.CopyFrom(model)
    del structure.graph.node[:], structure.opset_import[:]
    structure.opset_import.append(helper.make_opsetid("", opset))
    others = [kept for kept in model.opset_import if kept.domain not in STANDARD]
    structure.ir_version = min(model.ir_version, helper.find_min_ir_version_for(list(structure.opset_import)))
    structure.ir_version = max(structure.ir_version, 8)  # initializers are no inputs
    structure.opset_import.extend(others)
    for node in older.graph.node:
        node.domain = "" if node.domain == _ASIDE else node.domain
        structure.graph.node.append(node)
    known = {tensor.name for tensor in structure.graph.initializer}
    structure.graph.initializer.extend(t for t in older.graph.initializer if t.name not in known)
    return SplitModel(structure, network.weights)


def _drop_new_attributes(node: onnx.NodeProto, opset: int, present: int) -> None:
    """Leave out attributes that version ``opset`` of an operator has not, where they say what is so without them.

    The converter leaves them in.

    Raises:
        ValueError: one says something else.
    """
    if node.domain not in ("", "ai.onnx", _ASIDE) or not onnx.defs.has(node.op_type):
        return
    older, newer = (onnx.defs.get_schema(node.op_type, version).attributes for version in (opset, present))
    for attribute in [a for a in node.attribute if a.name not in older]:
        known = newer.get(attribute.name)
        value = helper.get_attribute_value(attribute)
        if known is None or helper.get_attribute_value(known.default_value) != value:
            raise ValueError(f"failed: {node.op_type} has no {attribute.name} there")
        node.attribute.remove(attribute)


def _aside(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the nodes that are the same in every version, as far as the converter sees."""
    model.opset_import.append(helper.make_opsetid(_ASIDE, 1))
    for node in model.graph.node:
        if not node.domain and len(node.input) <= _SAME.get(node.op_type, 0):
            node.domain = _ASIDE
    return model
