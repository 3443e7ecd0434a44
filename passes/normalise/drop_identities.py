"""What does nothing at inference: Identity, Dropout, casts between floats, Expand that widens nothing."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    graph_pass,
    is_answered,
    is_constant,
    origin,
    replace_uses,
    signals,
    value_of,
)
from onnx2snn.operators import of


@graph_pass
def drop_identities(graph: gs.Graph) -> gs.Graph:
    """Let readers read through operators that change nothing.

    1. Identity; Dropout without training; a sum, mean or extreme over no axes; Pad by nothing.
    2. Cast and CastLike between floats of the same width: all is float32 here.
    3. Expand to the shape that its input has; Expand of a constant, and ConstantOfShape, for operators that broadcast by
       themselves.
    4. Where by a condition that is constant, and the same everywhere, if what it chooses has the shape of the result.
    5. What a function makes of a widened constant, entry by entry, is a widened constant: it is widened last.
    6. A constant that is an output of the graph keeps an Identity, which carries its name.
    7. Tensors without an entry, in what is put beside each other: a roll by nothing slices its tensor at one of its ends.
    """
    for node in list(graph.nodes):
        if node.domain or not node.inputs or not node.outputs:
            continue
        rules, result = of(node), node.outputs[0]
        source = None if rules.passes is None else rules.passes(node)
        if rules.joins:
            _drop_empty(node)
            source = node.inputs[0] if len(node.inputs) == 1 else None
        values = None if rules.spreads is None else rules.spreads(node)
        if source is not None and is_constant(source) and is_answered(graph, result):
            node.op, node.attrs, node.inputs = "Identity", {ORIGIN: origin(node)}, [source]
        elif source is not None:
            replace_uses(graph, result, source)
        elif values is not None:
            _widen_last(graph, node, values)
            _read_narrow(node, values)
    return graph


def _drop_empty(node: gs.Node) -> None:
    """Case 7."""

    def is_empty(tensor: gs.Tensor) -> bool:
        sizes, axis = tensor.shape, node.attrs.get("axis", 0)
        return sizes is not None and -len(sizes) <= axis < len(sizes) and sizes[axis] == 0

    kept = [tensor for tensor in node.inputs if not is_empty(tensor)]
    if 0 < len(kept) < len(node.inputs):
        node.inputs = kept


def _widen_last(graph: gs.Graph, node: gs.Node, values: Array) -> None:
    """Case 5: c ─▶ Expand ─▶ Neg   becomes   c ─▶ Neg ─▶ Expand."""
    wide, names = node.outputs[0], Names(graph)
    for reader in list(wide.outputs):
        alone = all(t is wide for t in signals(reader)) and len(reader.outputs) == 1
        made = reader.outputs[0] if alone and _works_alike(reader) else None
        if made is None or made.shape is None or list(made.shape) != list(wide.shape or []):
            continue
        constant = gs.Constant(names.fresh(f"{wide.name}/narrow"), values)
        narrow = gs.Variable(names.fresh(f"{made.name}/narrow"), made.dtype, list(values.shape))
        reader.inputs = [constant if t is wide else t for t in reader.inputs]
        reader.outputs = [narrow]
        sizes = node.inputs[of(node).sized_by or 0]
        name = names.fresh(f"{reader.name}/widened")
        graph.nodes.append(gs.Node("Expand", name, {ORIGIN: origin(reader)}, [narrow, sizes], [made]))


def _works_alike(reader: gs.Node) -> bool:
    """Whether it makes of equal entries equal ones: entry by entry, by single numbers, or looked up in a list."""
    listed = of(reader).listed
    held = [
        (place, value_of(t)) for place, t in enumerate(reader.inputs) if is_constant(t) and not t.is_empty()
    ]
    known = all(v.ndim == 1 if place == listed else v.size == 1 for place, v in held)
    return known and (of(reader).elementwise or listed in dict(held))


def _read_narrow(node: gs.Node, values: Array) -> None:
    """Case 3 of constants: a reader whose result has its shape without the widening reads the constant itself."""
    wide = node.outputs[0]
    for reader in list(wide.outputs):
        if not of(reader).broadcasts or wide.shape is None:
            continue
        others = [t.shape for t in reader.inputs if t is not wide and not t.is_empty()]
        if all(shape is not None for shape in others) and _against(
            [list(values.shape), *map(list, others)]
        ) == list(reader.outputs[0].shape or []):
            for position, tensor in enumerate(list(reader.inputs)):
                if tensor is wide:
                    name = f"{wide.name}/narrow/{reader.name}/{position}"
                    reader.inputs[position] = gs.Constant(name, values)


def _against(shapes: list[list[int | str]]) -> list[int | str] | None:
    """The sizes of tensors, taken against each other; None where they are not known to fit."""
    rank = max(map(len, shapes))
    columns = zip(*([*[1] * (rank - len(shape)), *shape] for shape in shapes), strict=True)
    wide = [[size for size in dict.fromkeys(column) if size != 1] or [1] for column in columns]
    return [sizes[0] for sizes in wide] if all(len(sizes) == 1 for sizes in wide) else None
