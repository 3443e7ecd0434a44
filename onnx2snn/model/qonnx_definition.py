"""Operators of QONNX by their own definition: as ONNX functions of plain operators, so that any runtime runs the file as it is.

    y = Quant(x, s, z, b)     runs as     y = Quant_1(x, s, z, b), a function in the copied file

The bodies are in :mod:`onnx2snn.model.qonnx_bodies`. An operator's body may depend on its attributes (a rounding mode is a
string, which no operator compares), so each set of attributes is a function of its own. Scale, zero point and bit width stay
inputs: constants or signals, which broadcast.
"""

from __future__ import annotations

import onnx
import onnx.inliner
from onnx import helper

from onnx2snn.errors import InvalidModelError
from onnx2snn.model.qonnx_bodies import BODIES
from onnx2snn.model.qonnx_statements import Call
from onnx2snn.model.subgraphs import all_nodes

#: Domains under which exporters write these operators; files without any domain are common, too.
DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general", "")
#: What the names of their domains, and of those of their tools, begin with.
FAMILIES = ("qonnx.", "onnx.brevitas", "finn.")
#: Of the functions in the copy.
_HOME = "qonnx.definition"
_REMEDY = "see the operator's specification in QONNX"
#: The first version of ONNX files that holds functions.
_WITH_FUNCTIONS = 8


def is_defined(operator: str) -> bool:
    """Whether QONNX has an operator of this name, and its definition is known here."""
    return operator in BODIES


def is_qonnx(node: onnx.NodeProto) -> bool:
    """Whether ``node`` is an operator of QONNX, in whatever domain it was written."""
    return node.op_type in BODIES and node.domain in DOMAINS


def with_definitions(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` in plain operators: itself where it holds none of QONNX, else a copy in which they are calls of functions.

    Raises:
        InvalidModelError: an attribute has a value that the specification does not know; names the node.
    """
    if not any(map(is_qonnx, all_nodes(model.graph.node))):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    functions: dict[str, onnx.FunctionProto] = {}
    opset = next((o.version for o in copy.opset_import if o.domain in ("", "ai.onnx")), 1)
    for node in filter(is_qonnx, all_nodes(copy.graph.node)):
        _call(node, functions, opset)
    copy.functions.extend(functions.values())
    copy.opset_import.append(helper.make_opsetid(_HOME, 1))
    copy.ir_version = max(copy.ir_version, _WITH_FUNCTIONS)
    return copy


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with the plain operators themselves in place of those of QONNX; itself where it holds none."""
    defined = with_definitions(model)
    if defined is model:
        return model
    own = [(function.domain, function.name) for function in defined.functions if function.domain == _HOME]
    plain: onnx.ModelProto = onnx.inliner.inline_selected_functions(defined, own)
    kept = [opset for opset in plain.opset_import if opset.domain not in (_HOME, *DOMAINS[:-1])]
    del plain.opset_import[:]
    plain.opset_import.extend(kept)
    return plain


def _call(node: onnx.NodeProto, functions: dict[str, onnx.FunctionProto], opset: int) -> None:
    """Turn ``node`` into the call of a function, which is made unless it is there."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    try:
        body = BODIES[node.op_type](Call(attributes, len(node.input), opset))
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
