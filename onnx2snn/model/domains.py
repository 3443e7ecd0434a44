"""Operators that only onnxruntime knows, though it writes them in ONNX's own domain.

Inside they are in the domain of its other operators, so that files that hold them keep to the rules of ONNX; only where
onnxruntime runs the file they are where it looks for them.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import helper

from onnx2snn.model.nodes import STANDARD, is_own
from onnx2snn.model.subgraphs import all_nodes

#: Where onnxruntime keeps operators of its own.
MICROSOFT = "com.microsoft"

_NAMES = ("SimplifiedLayerNormalization",)


def of_onnxruntime(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with these operators in onnxruntime's domain; itself where it holds none, else a copy."""
    if not any(is_own(node, *_NAMES) for node in all_nodes(model.graph.node)):
        return model
    copy = _moved(model, MICROSOFT)
    if MICROSOFT not in {opset.domain for opset in copy.opset_import}:
        copy.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return copy


def for_onnxruntime(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with these operators where onnxruntime looks for them; itself where it holds none, else a copy."""
    if not any(node.op_type in _NAMES and node.domain == MICROSOFT for node in all_nodes(model.graph.node)):
        return model
    return _moved(model, "")


def imports_of(
    nodes: Iterable[onnx.NodeProto],
    known: Iterable[onnx.OperatorSetIdProto],
    functions: Iterable[onnx.FunctionProto] = (),
) -> list[onnx.OperatorSetIdProto]:
    """What a model of ``nodes`` and ``functions`` has to import: ONNX's own, and what one of them is in or imports.

    Not every runtime loads a file that imports what it does not know, read or not.

    Args:
        nodes: With those of their subgraphs.
        known: Versions; of a domain that is missing: 1.
        functions: Of the model.
    """
    read = {node.domain for node in all_nodes(nodes)}
    for function in functions:
        read |= {function.domain, *(opset.domain for opset in function.opset_import)}
    kept = [opset for opset in known if opset.domain in STANDARD or opset.domain in read]
    missing = read - {opset.domain for opset in kept} - set(STANDARD)
    return kept + [helper.make_opsetid(domain, 1) for domain in sorted(missing)]


def _moved(model: onnx.ModelProto, domain: str) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in all_nodes(copy.graph.node):
        if node.op_type in _NAMES:
            node.domain = domain
    return copy
