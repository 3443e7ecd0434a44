"""Operators of TensorFlow Lite that tf2onnx leaves as they are, though ONNX can say what they compute.

y = TFL_GELU(x)      becomes      y = x · (erf(x / √2) + 1) / 2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
from onnx import helper

from onnx2snn.model.nodes import STANDARD
from onnx2snn.model.subgraphs import all_nodes, subgraphs

_ERF = """(x) => (y) {
    r = Constant <value_float = 1.41421356237309505> ()
    one = Constant <value_float = 1.0> ()
    half = Constant <value_float = 0.5> ()
    u = Div(x, r)
    e = Erf(u)
    s = Add(e, one)
    p = Mul(x, s)
    y = Mul(p, half)
}"""
_TANH = """(x) => (y) {
    c = Constant <value_float = 0.044715> ()
    a = Constant <value_float = 0.797884560802865356> ()
    one = Constant <value_float = 1.0> ()
    half = Constant <value_float = 0.5> ()
    x2 = Mul(x, x)
    x3 = Mul(x2, x)
    t = Mul(x3, c)
    v = Add(x, t)
    u = Mul(v, a)
    e = Tanh(u)
    s = Add(e, one)
    p = Mul(x, s)
    y = Mul(p, half)
}"""


def _gelu(attributes: Mapping[str, object]) -> str:
    return _TANH if attributes.get("approximate") else _ERF


#: The body of each in plain operators, by its attributes.
_BODIES = {"TFL_GELU": _gelu}


def in_plain_operators(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with what these operators compute in their place; itself where it holds none, else a copy."""
    if not any(map(_is_one, all_nodes(model.graph.node))):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _write_out(copy.graph)
    return copy


def _is_one(node: onnx.NodeProto) -> bool:
    return node.domain in STANDARD and node.op_type in _BODIES


def _write_out(graph: onnx.GraphProto) -> None:
    written = [plain for node in graph.node for plain in (_plain(node) if _is_one(node) else [node])]
    del graph.node[:]
    graph.node.extend(written)
    for node in graph.node:
        for inner in subgraphs(node):
            _write_out(inner)


def _plain(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The nodes of its body, named after it."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    body = onnx.parser.parse_function(
        f'<opset_import: ["" : 13], domain: "lite"> {node.op_type} {_BODIES[node.op_type](attributes)}'
    )
    names = dict(zip((*body.input, *body.output), (*node.input, *node.output), strict=True))
    for inner in body.node:
        for held in (inner.input, inner.output):
            held[:] = [names.setdefault(name, f"{node.output[0]}/{name}") for name in held]
        inner.name = f"{node.name or node.output[0]}/{inner.op_type}_{inner.output[0].rpartition('/')[2]}"
        yield inner
