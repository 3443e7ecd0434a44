"""ONNX's own shape inference, by the rules that runtimes follow."""

from __future__ import annotations

import onnx
from onnx import shape_inference

from onnx2snn.model.nodes import STANDARD
from onnx2snn.passes.normalise.upgrade_opset import OPSET


def inferred(model: onnx.ModelProto, *, strict: bool = False) -> onnx.ModelProto:
    """A copy of ``model`` with the shapes and types of its tensors.

    Operator set 22 has the operators of 21, and counts the windows of poolings as they run: up to 21 a last one is
    inferred that would begin behind the end, which no runtime takes. Shapes are inferred by its rules.

    Raises:
        Exception: with ``strict``, if shapes contradict each other.
    """
    raised = [o for o in model.opset_import if o.domain in STANDARD and o.version == OPSET]
    for imported in raised:
        imported.version = OPSET + 1
    try:
        found: onnx.ModelProto = shape_inference.infer_shapes(model, strict_mode=strict, data_prop=True)
    finally:
        for imported in raised:
            imported.version = OPSET
    for imported in found.opset_import:
        if raised and imported.domain in STANDARD:
            imported.version = OPSET
    return found
