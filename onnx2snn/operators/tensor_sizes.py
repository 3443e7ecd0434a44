"""Sizes of a model's tensors, where inputs have known ones, and what is computed of sizes alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.graph.walks import carried
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SMALL, Array, SplitModel, weights_as_inputs
from onnx2snn.operators import of
from onnx2snn.operators.linear import DOMAIN
from onnx2snn.operators.parts import Shape


def sizes_of(model: SplitModel, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of every tensor, where it follows from those of inputs."""
    bare = weights_as_inputs(model.structure)
    graph = bare.graph
    del graph.value_info[:]
    for node in graph.node:
        if node.domain == DOMAIN:  # time is folded into the batch, along which nothing is divided
            node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output))
    for info in graph.output:
        info.type.tensor_type.ClearField("shape")
    for info in graph.input:
        if info.name in inputs:
            info.type.tensor_type.ClearField("shape")
        for size in inputs.get(info.name, ()):
            info.type.tensor_type.shape.dim.add().dim_value = size
    try:
        graph = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    except Exception:  # noqa: BLE001 - whatever it finds: nothing is divided then
        return {}
    found = {t.name: tuple(t.dims) for t in model.structure.graph.initializer}
    for info in (*graph.value_info, *graph.input, *graph.output):
        kind = info.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            found[info.name] = tuple(d.dim_value for d in kind.shape.dim)
    return found


def folded(model: SplitModel, sizes: Mapping[str, Shape]) -> dict[str, Array]:
    """Its constants, and what sizes of tensors and few constants decide."""
    opsets = [o for o in model.structure.opset_import if o.domain != DOMAIN]

    def rule(node: onnx.NodeProto, held: dict[str, Array]) -> Iterable[tuple[str, Array]]:
        if of(node).sizes and node.input[0] in sizes:
            read = {node.input[0]: np.broadcast_to(np.float32(0), sizes[node.input[0]])}
        elif names_read(node) and all(name in held and held[name].size <= SMALL for name in names_read(node)):
            read = {name: held[name] for name in names_read(node)}
        else:
            return ()
        if any(math.prod(sizes.get(name, (SMALL + 1,))) > SMALL for name in node.output):
            return ()
        body = helper.make_function("", "computed", list(read), list(node.output), [node], opsets)
        values = ReferenceEvaluator(body).run(None, read, attributes={})
        return zip(node.output, map(np.asarray, values), strict=True)

    return carried(model.structure.graph.node, rule, model.constants)
