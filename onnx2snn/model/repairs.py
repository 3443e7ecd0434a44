"""What exporters leave out of a file though nobody needs to be told: put back when it is read."""

from __future__ import annotations

from collections import Counter

import onnx

from onnx2snn.model.domains import of_onnxruntime
from onnx2snn.model.lite_operators import in_plain_operators
from onnx2snn.model.nodes import STANDARD
from onnx2snn.model.qonnx_definition import DOMAINS, is_qonnx
from onnx2snn.model.subgraphs import all_nodes, names_read
from onnx2snn.model.weights import structure_of, weights_as_inputs

#: Under which operators of QONNX are known that were written without a domain.
_QONNX = DOMAINS[0]


def repaired(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with what onnxruntime does without put back or in order; itself where nothing is missing, else a copy.

    1. Domains that are not imported (:func:`with_domains`), and that of onnxruntime (:mod:`onnx2snn.model.domains`).
       Operators of TensorFlow Lite that ONNX can write out (:mod:`onnx2snn.model.lite_operators`).
    2. A graph without a name.
    3. Nodes in another order than that in which they are computed.
    4. An initializer that is there twice: the last one counts.
    5. Outputs without a type, or without a shape that can be inferred.
    """
    model = in_plain_operators(of_onnxruntime(with_domains(model)))
    graph = model.graph
    names = Counter(tensor.name for tensor in graph.initializer)
    order = _order(graph)
    bare = [info.name for info in graph.output if not info.type.tensor_type.HasField("shape")]
    bare = [name for name in bare if _is_tensor(graph, name)]
    if graph.name and order is None and max(names.values(), default=1) == 1 and not bare:
        return model
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.graph.name = graph.name or "network"
    if order is not None:
        del whole.graph.node[:]
        whole.graph.node.extend(order)
    last = {tensor.name: tensor for tensor in graph.initializer}
    if len(last) < len(graph.initializer):
        del whole.graph.initializer[:]
        whole.graph.initializer.extend(last.values())
    if bare:
        _describe_outputs(whole, bare)
    return whole


def _is_tensor(graph: onnx.GraphProto, name: str) -> bool:
    """Whether an output is declared as a tensor, or not at all."""
    info = next(info for info in graph.output if info.name == name)
    return info.type.WhichOneof("value") in (None, "tensor_type")


def _order(graph: onnx.GraphProto) -> list[onnx.NodeProto] | None:
    """Case 3: the nodes in the order in which they can be computed; None where they are, or where there is none."""
    maker = {name: number for number, node in enumerate(graph.node) for name in node.output if name}
    before = [{maker[name] for name in names_read(node) if name in maker} for node in graph.node]
    if all(max(numbers, default=-1) < number for number, numbers in enumerate(before)):
        return None
    readers: dict[int, list[int]] = {}
    for number, numbers in enumerate(before):
        for first in numbers:
            readers.setdefault(first, []).append(number)
    missing = [len(numbers) for numbers in before]
    ready = [number for number, count in enumerate(missing) if not count]
    for number in ready:
        for reader in readers.get(number, ()):
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if len(ready) < len(graph.node):
        return None  # a circle: the rules of ONNX say so
    return [graph.node[number] for number in ready]


def _describe_outputs(model: onnx.ModelProto, names: list[str]) -> None:
    """Case 5."""
    try:
        inferred = onnx.shape_inference.infer_shapes(weights_as_inputs(structure_of(model)))
    except Exception:  # noqa: BLE001 - the library's errors share no base class; the check says what is wrong
        return
    known = {info.name: info for info in (*inferred.graph.value_info, *inferred.graph.output)}
    for info in model.graph.output:
        if info.name in names and info.name in known:
            info.CopyFrom(known[info.name])


def with_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with every domain that it uses imported; itself where nothing is missing, else a copy.

    1. FINN, and the model zoo of QONNX, never import the domain of their operators, and others forget that of onnxruntime,
       which imports what it knows by itself: in the newest version.
    2. An operator of QONNX has no domain at all, or that of ONNX.
    """
    nodes = list(all_nodes(model.graph.node))
    imported = {opset.domain for opset in model.opset_import}
    missing = {node.domain for node in nodes} - imported - set(STANDARD)
    homeless = any(is_qonnx(node) and not node.domain for node in nodes)
    if not missing and not homeless:
        return model
    repaired = onnx.ModelProto()
    repaired.CopyFrom(model)
    for node in all_nodes(repaired.graph.node):
        if is_qonnx(node) and not node.domain:
            node.domain = _QONNX
    wanted = (missing | {_QONNX} if homeless else missing) - imported
    repaired.opset_import.extend(
        onnx.helper.make_opsetid(domain, _newest(domain)) for domain in sorted(wanted)
    )
    return repaired


def _newest(domain: str) -> int:
    """The newest version of ``domain`` that is known here; 1 where it is another maker's."""
    schemas = onnx.defs.get_all_schemas_with_history()
    return max((schema.since_version for schema in schemas if schema.domain == domain), default=1)
