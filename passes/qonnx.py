"""The quantisers of QONNX as float arithmetic, by the definition of their own domain."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import Names, constant_input, is_constant, value_of
from onnx2snn.passes.spelling import Grid, Spelling

#: What QONNX, Brevitas and FINN call the domain.
QONNX = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")

_ROUNDING = {"ROUND": "Round", "CEIL": "Ceil", "FLOOR": "Floor"}

#: float32 has no quantiser with more levels.
_MOST_BITS = 32


def spell_qonnx(graph: gs.Graph, names: Names, node: gs.Node) -> bool:
    """Write an operator of QONNX in plain ones; False for any other.

        Quant(x, s, z, bits)         becomes    quantise, dequantise, with its own rounding and range
        BipolarQuant(x, s)           becomes    Where(x ≥ 0, s, −s)

    Parameters that are not constant leave the node as it is; it is refused by name later.
    """
    handler = _HANDLERS.get(node.op) if node.domain in QONNX else None
    if handler is not None:
        handler(graph, names, node)
    return handler is not None


def _quant(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    constants = [constant_input(node, i) for i in (1, 2, 3)]
    rounding = _ROUNDING.get(str(node.attrs.get("rounding_mode", "ROUND")).upper())
    if any(c is None for c in constants) or rounding is None:
        return
    scale, zero, bits = (np.asarray(c, np.float32) for c in constants)
    signed, narrow = bool(node.attrs.get("signed", 1)), bool(node.attrs.get("narrow", 0))
    width = float(bits.reshape(-1)[0])
    if np.any(bits != width) or not 1 <= width <= _MOST_BITS:
        return
    low = -(2.0 ** (width - 1)) + narrow if signed else 0.0
    high = 2.0 ** (width - 1) - 1 if signed else 2.0**width - 1 - narrow
    grid = Grid(scale, zero, low, high, rounding)
    spelling = Spelling(graph, names, node)
    x = node.inputs[0]
    x = spelling.constant(value_of(x).astype(np.float32)) if is_constant(x) else x
    output = node.outputs[0]
    node.outputs.clear()
    spelling.dequantise(spelling.quantise(x, grid), grid, output=output)


def _bipolar(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    scale = constant_input(node, 1)
    if scale is None:
        return
    spelling = Spelling(graph, names, node)
    output = node.outputs[0]
    node.outputs.clear()
    positive = spelling.apply("GreaterOrEqual", node.inputs[0], np.float32(0))
    positive.dtype = np.bool_
    spelling.apply("Where", positive, scale.astype(np.float32), -scale.astype(np.float32), output=output)


_HANDLERS = {"Quant": _quant, "BipolarQuant": _bipolar}
