"""What exporters leave out of a file though nobody needs to be told: put back when it is read."""

from __future__ import annotations

import onnx

from onnx2snn.qonnx_definition import DOMAINS, FAMILIES, all_nodes, is_qonnx

#: Under which operators of QONNX are known that were written without a domain.
_QONNX = DOMAINS[0]


def with_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with every domain of QONNX that it uses imported; itself where nothing is missing, else a copy.

    1. FINN, and the model zoo of QONNX, never import the domain of their operators.
    2. An operator of QONNX has no domain at all, or that of ONNX.
    """
    nodes = list(all_nodes(model.graph))
    imported = {opset.domain for opset in model.opset_import}
    missing = {node.domain for node in nodes if node.domain.startswith(FAMILIES)} - imported
    homeless = any(is_qonnx(node) and not node.domain for node in nodes)
    if not missing and not homeless:
        return model
    repaired = onnx.ModelProto()
    repaired.CopyFrom(model)
    for node in all_nodes(repaired.graph):
        if is_qonnx(node) and not node.domain:
            node.domain = _QONNX
    wanted = (missing | {_QONNX} if homeless else missing) - imported
    repaired.opset_import.extend(onnx.helper.make_opsetid(domain, 1) for domain in sorted(wanted))
    return repaired
