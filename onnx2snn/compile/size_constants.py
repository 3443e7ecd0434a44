"""What sizes and constants decide, computed before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from onnx2snn.compile.draft import Array, attributes, reads, sizes_of
from onnx2snn.compile.one_node import session_of
from onnx2snn.graph.walks import carried
from onnx2snn.model.nodes import STANDARD
from onnx2snn.operators import of


def computed(
    graph: onnx.GraphProto,
    constants: Mapping[str, Array],
    infos: Mapping[str, onnx.ValueInfoProto],
    opsets: Sequence[onnx.OperatorSetIdProto],
    *,
    kept: Collection[str],
    most: int,
) -> dict[str, Array]:
    """What nodes write that read nothing but ``constants``, sizes that are known, and what is made of these; by name.

    Args:
        graph: Its nodes, in topological order.
        constants: What is known already.
        infos: What tensors declare.
        opsets: ONNX's operator set.
        kept: Tensors that nodes go on writing.
        most: Values of more numbers are left to the nodes.
    """

    def rule(node: onnx.NodeProto, found: Mapping[str, Array]) -> Iterable[tuple[str, Array]]:
        if not own.isdisjoint(node.output) or node.domain not in STANDARD:
            return ()
        asks = of(node).sizes and of(node).entries
        values = _sizes(node, infos) if asks else _answers(node, found, opsets)
        return zip(node.output, values, strict=True) if values and _most(values) <= most else ()

    own = frozenset(kept)
    found = carried(graph.node, rule, constants)
    return {name: value for name, value in found.items() if name not in constants}


def _most(values: Iterable[Array]) -> int:
    return max(map(np.size, values))


def _sizes(node: onnx.NodeProto, infos: Mapping[str, onnx.ValueInfoProto]) -> list[Array]:
    """The sizes that a ``Shape`` asks for, if they are known."""
    sizes, limits = sizes_of(infos[node.input[0]]) if node.input[0] in infos else None, attributes(node)
    asked = None if sizes is None else sizes[limits.get("start", 0) : limits.get("end")]
    return [] if asked is None or None in asked else [np.array(asked, np.int64)]


def _answers(
    node: onnx.NodeProto, found: Mapping[str, Array], opsets: Sequence[onnx.OperatorSetIdProto]
) -> list[Array]:
    """What ``node`` answers, if all that it reads is known."""
    names = list(filter(None, node.input))
    alone = names or of(node).constant
    if not alone or any(name not in found for name in names) or reads(node) != set(names):
        return []
    read = {name: np.asarray(found[name]) for name in names}
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in read.items()}
    given = [helper.make_tensor_value_info(name, kind, read[name].shape) for name, kind in kinds.items()]
    written = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "sizes", given, written)
    model = helper.make_model(graph, opset_imports=list(opsets), ir_version=9)
    feeds = {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in read.items()}
    try:
        answers: list[Array] = session_of(model).run(None, feeds)
    except Exception:  # noqa: BLE001 - a damaged network is told by the session that runs it whole
        return []
    return answers
