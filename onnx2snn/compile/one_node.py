"""One node of a network in onnxruntime: what its kernel answers, asked before it is relied on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from onnx2snn.compile.draft import Array


def run_node(
    node: onnx.NodeProto,
    feeds: dict[str, Array],
    *,
    kind: int = onnx.TensorProto.FLOAT,
    opsets: Sequence[Any] = (),
) -> Array:
    """The first output, of this element type, of one node in onnxruntime."""
    session = kernel(node, {name: a.dtype for name, a in feeds.items()}, kind, opsets)
    answer: Array = session.run(None, feeds)[0]
    return answer


def kernel(node: onnx.NodeProto, types: dict[str, Any], kind: int, opsets: Sequence[Any] = ()) -> Any:
    """A session of one node, all of whose operands are fed."""
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.dtype(t)), None)
        for n, t in types.items()
    ]
    graph = helper.make_graph(
        [node], "one", infos, [helper.make_tensor_value_info(node.output[0], kind, None)]
    )
    held = [*opsets] or [helper.make_opsetid("", 17)]
    if node.domain:
        held.append(helper.make_opsetid(node.domain, 1))
    return session_of(helper.make_model(graph, opset_imports=held, ir_version=9))


def session_of(model: onnx.ModelProto) -> Any:
    """A session of one thread that runs ``model`` as it is."""
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
