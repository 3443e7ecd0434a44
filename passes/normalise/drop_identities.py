"""What does nothing at inference: Identity, Dropout, casts between floats, Expand that widens nothing."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import ORIGIN, Array, graph_pass, is_constant, origin, replace_uses, signals
from onnx2snn.operators import of


@graph_pass
def drop_identities(graph: gs.Graph) -> gs.Graph:
    """Let readers read through operators that change nothing.

    1. Identity; Dropout without training; a sum, mean or extreme over no axes; Pad by nothing.
    2. Cast and CastLike between floats of the same width: all is float32 here.
    3. Expand to the shape that its input has; Expand of a constant, and ConstantOfShape, for operators that broadcast by
       themselves.
    4. Where by a condition that is constant, and the same everywhere, if what it chooses has the shape of the result.
    5. A constant that is an output of the graph keeps an Identity, which carries its name.
    """
    for node in list(graph.nodes):
        if node.domain or not node.inputs or not node.outputs:
            continue
        rules, result = of(node), node.outputs[0]
        source = None if rules.passes is None else rules.passes(node)
        values = None if rules.spreads is None else rules.spreads(node)
        if source is not None and is_constant(source) and any(result is output for output in graph.outputs):
            node.op, node.attrs, node.inputs = "Identity", {ORIGIN: origin(node)}, [source]
        elif source is not None:
            replace_uses(graph, result, source)
        elif values is not None:
            _read_narrow(node, values)
    return graph


def _read_narrow(node: gs.Node, values: Array) -> None:
    """Case 3 of constants: a reader whose other operand has the full shape reads the constant itself."""
    wide = node.outputs[0]
    for reader in list(wide.outputs):
        if not of(reader).broadcasts or wide.shape is None:
            continue
        others = [t for t in signals(reader) if t is not wide]
        if any(t.shape is not None and list(t.shape) == list(reader.outputs[0].shape or []) for t in others):
            for position, tensor in enumerate(list(reader.inputs)):
                if tensor is wide:
                    name = f"{wide.name}/narrow/{reader.name}/{position}"
                    reader.inputs[position] = gs.Constant(name, values)
