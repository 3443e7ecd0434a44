"""ONNX's own function operators as their bodies."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from onnx import defs, helper, inliner

from onnx2snn.analysis.pass_manager import Fixpoint, apply_owned
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_constant, origin
from onnx2snn.graph.exporter import to_model
from onnx2snn.operators import Operator, every
from onnx2snn.passes.normalise.drop_identities import drop_identities
from onnx2snn.passes.normalise.fold_constants import fold_constants
from onnx2snn.passes.normalise.infer_shapes import infer_shapes


@graph_pass
def expand_functions(graph: gs.Graph) -> gs.Graph:
    """Write an operator of ONNX as the body that its definition gives it.

        Attention(q, k, v)      becomes    Reshape, Transpose ─▶ MatMul ─▶ Softmax ─▶ MatMul ─▶ ...

    1. Operators that have a rule of their own are what they are: linear ones, activations, quotients.
    2. A type that is not known, or a body with subgraphs: the node stays, and is refused by name where it matters.
    3. A body may hold such operators in turn.
    """
    names = Names(graph)
    functions = _functions(graph.opset)
    for node in list(graph.nodes):
        body = body_of(node, graph.opset) if not node.domain and node.op in functions else None
        if body is not None:
            insert_body(graph, names, node, body)
    return graph


@functools.cache
def _functions(opset: int) -> frozenset[str]:
    """Case 1: the operators that have a body, and no rule."""
    return _with_bodies(opset) - {operator.name for operator in every() if _has_rule(operator)}


@functools.cache
def _with_bodies(opset: int) -> frozenset[str]:
    names = {schema.name for schema in defs.get_all_schemas() if not schema.domain}
    schemas: list[Any] = [defs.get_schema(name, opset, "") for name in names if defs.has(name, opset, "")]
    return frozenset(s.name for s in schemas if s.has_function or s.has_context_dependent_function)


def _has_rule(operator: Operator) -> bool:
    """Of reductions, only those that are linear have one; the body of a quantiser by ranges mixes the samples of a batch."""
    known = (
        operator.divides
        or operator.elementwise
        or operator.undecided
        or operator.stable
        or operator.by_range
        or (operator.errors and operator.axes is None)
    )
    return bool(operator.linear or known)


def has_body(node: gs.Node, opset: int) -> bool:
    """Whether the definition of ``node`` gives it one, its own rules aside."""
    return not node.domain and node.op in _with_bodies(opset)


def body_of(node: gs.Node, opset: int) -> gs.Graph | None:
    """The body as a graph that reads ``in0``, ``in1`` ... and writes ``out0`` ...; None in case 2."""
    if any(t.dtype is None for t in node.inputs if not t.is_empty()):
        return None
    read = [
        gs.Variable.empty() if t.is_empty() else gs.Variable(f"in{i}", t.dtype, t.shape)
        for i, t in enumerate(node.inputs)
    ]
    written = [
        gs.Variable.empty() if t.is_empty() else gs.Variable(f"out{i}", t.dtype or np.float32)
        for i, t in enumerate(node.outputs)
    ]
    attrs = {**_defaults(node.op, opset), **node.attrs}  # the library leaves out what a node does not have
    call = gs.Node(node.op, node.op, attrs, inputs=read, outputs=written)
    given, results = ([t for t in side if not t.is_empty()] for side in (read, written))
    model = to_model(gs.Graph([call], given, results, opset=opset))
    try:
        inlined = inliner.inline_selected_functions(model, [("", node.op)], inline_schema_functions=True)
    except RuntimeError:  # the library does not know a type
        return None
    body = gs.import_onnx(inlined)
    stays = any(inner.op == node.op for inner in body.nodes) or any(True for _ in body.subgraphs())
    return None if stays else _settled(body)


def _defaults(op: str, opset: int) -> dict[str, Any]:
    attributes = defs.get_schema(op, opset, "").attributes
    given = {
        name: helper.get_attribute_value(a.default_value)
        for name, a in attributes.items()
        if a.default_value.type
    }
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in given.items()}


def _settled(body: gs.Graph) -> gs.Graph:
    """Bodies compute sizes from those of tensors: each that is known makes more of them known. Case 3, too."""
    passes = Fixpoint(infer_shapes, fold_constants, drop_identities, expand_functions)
    return apply_owned(body, [passes])


def insert_body(graph: gs.Graph, names: Names, node: gs.Node, body: gs.Graph) -> None:
    """The nodes of ``body`` in place of ``node``."""
    outer = {f"in{i}": t for i, t in enumerate(node.inputs)} | {
        f"out{i}": t for i, t in enumerate(node.outputs)
    }
    node.outputs.clear()
    for name, tensor in body.tensors().items():
        if name not in outer:
            tensor.name = names.fresh(f"{node.name}/{name}")
    taken: set[str] = set()
    for inner in body.nodes:
        inner.name = names.fresh(f"{node.name}/{inner.op}")
        inner.attrs[ORIGIN] = origin(node)
        inner.inputs = [_read(names, outer, taken, t) for t in inner.inputs]
        inner.outputs = [outer.get(t.name, t) for t in inner.outputs]
        graph.nodes.append(inner)


def _read(names: Names, outer: dict[str, gs.Tensor], taken: set[str], tensor: gs.Tensor) -> gs.Tensor:
    """What a node of the body reads; a constant of its own."""
    found = outer.get(tensor.name, tensor)
    if is_constant(found) and found.name in taken:
        return gs.Constant(names.fresh(found.name), found.values)
    taken.add(found.name)
    return found
