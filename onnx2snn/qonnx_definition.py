"""Operators of QONNX by their own definition: as ONNX functions of plain operators, so that any runtime runs the file as it is.

    y = Quant(x, s, z, b)     runs as     y = Quant/1(x, s, z, b), a function in the copied file

Written from the specification of QONNX (github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops) and from nothing else: this
is the witness that :mod:`onnx2snn.passes.decompose_quantisers` is compared with, so neither knows the other.

An operator's body may depend on its attributes (a rounding mode is a string, which no operator compares), so each set of
attributes is a function of its own. Scale, zero point and bit width stay inputs: constants or signals, which broadcast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import onnx
from onnx import helper

from onnx2snn.errors import InvalidModelError

#: Domains under which exporters write these operators; files without any domain are common, too.
DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general", "")
#: Of the functions in the copy.
_HOME = "qonnx.definition"
_REMEDY = "see the operator's specification in QONNX"

#: The body of one operator with these attributes: ``y`` from ``x`` and its other inputs, in the text of ``onnx.parser``.
Body = Callable[[Mapping[str, Any]], str]


def is_qonnx(node: onnx.NodeProto) -> bool:
    """Whether ``node`` is an operator of QONNX, in whatever domain it was written."""
    return node.op_type in DEFINITIONS and node.domain in DOMAINS


def with_definitions(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` in plain operators: itself where it holds none of QONNX, else a copy in which they are calls of functions.

    Raises:
        InvalidModelError: an attribute has a value that the specification does not know; names the node.
    """
    if not any(map(is_qonnx, _nodes(model.graph))):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    functions: dict[str, onnx.FunctionProto] = {}
    opset = next((o.version for o in copy.opset_import if o.domain in ("", "ai.onnx")), 1)
    for node in filter(is_qonnx, _nodes(copy.graph)):
        _call(node, functions, opset)
    copy.functions.extend(functions.values())
    copy.opset_import.append(helper.make_opsetid(_HOME, 1))
    return copy


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes, those of subgraphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner)


def _call(node: onnx.NodeProto, functions: dict[str, onnx.FunctionProto], opset: int) -> None:
    """Turn ``node`` into the call of a function, which is made unless it is there."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    try:
        body = DEFINITIONS[node.op_type](attributes)
    except ValueError as error:
        raise InvalidModelError(
            str(error), node=node.name or node.output[0], operator=node.op_type, remedy=_REMEDY
        ) from error
    if body not in functions:
        name = f"{node.op_type}_{len(functions) + 1}"
        functions[body] = onnx.parser.parse_function(
            f'<opset_import: ["" : {opset}], domain: "{_HOME}"> {name} {body}'
        )
    node.domain, node.op_type = _HOME, functions[body].name
    del node.attribute[:]


def _mode(attributes: Mapping[str, Any], default: str = "ROUND") -> str:
    value = attributes.get("rounding_mode", default)
    return (value.decode() if isinstance(value, bytes) else str(value)).upper()


#: Rounding modes of ``y``, as statements that write ``r``.
_ROUNDINGS: Mapping[str, str] = {
    "ROUND": "r = Round(y)",
    "HALF_EVEN": "r = Round(y)",
    "CEIL": "r = Ceil(y)",
    "FLOOR": "r = Floor(y)",
}


def _quant(attributes: Mapping[str, Any]) -> str:
    """Quant: scale, add the zero point, clamp, round, and back."""
    mode = _mode(attributes)
    if mode not in _ROUNDINGS:
        raise ValueError(f"QONNX has no rounding mode '{mode}'")
    signed, narrow = int(bool(attributes.get("signed", 1))), int(bool(attributes.get("narrow", 0)))
    return f"""(x, s, z, b) => (out) {{
        q = Div(x, s)
        v = Add(q, z)
        two = Constant<value_float = 2.0>()
        sign = Constant<value_float = {float(signed)}>()
        narrow = Constant<value_float = {float(narrow)}>()
        one = Constant<value_float = 1.0>()
        wide = Sub(b, sign)
        span = Pow(two, wide)
        top = Sub(span, one)
        high = {"Identity(top)" if signed else "Sub(top, narrow)"}
        least = Neg(span)
        low = {"Add(least, narrow)" if signed else "Mul(least, sign)"}
        above = Max(v, low)
        y = Min(above, high)
        {_ROUNDINGS[mode]}
        d = Sub(r, z)
        out = Mul(d, s)
    }}"""


def _bipolar(_: Mapping[str, Any]) -> str:
    """BipolarQuant: s where x is not negative, else −s."""
    return """(x, s) => (out) {
        zero = Constant<value_float = 0.0>()
        negative = Less(x, zero)
        minus = Neg(s)
        out = Where(negative, minus, s)
    }"""


#: By operator. A statement reads like the specification's own pseudo-code.
DEFINITIONS: Mapping[str, Body] = {"Quant": _quant, "BipolarQuant": _bipolar}
