"""Samples in front, wherever else exporters carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.sample_layout import SampleLayout
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import (
    ORIGIN,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    origin,
    replace_uses,
    signals,
    value_of,
)
from onnx2snn.graph.mover import Mover, Sizes
from onnx2snn.operators import of
from onnx2snn.operators.batch import static


@graph_pass
def samples_first(graph: gs.Graph) -> gs.Graph:
    """Write operators on tensors that count samples on another axis than the first as operators on samples in front.

        [N, L, E] ─▶ Transpose ─▶ [L, N, E] ─▶ MatMul ─▶ [L, N, E] ─▶ Reshape ─▶ [L, N·H, D] ─▶ Transpose ─▶ [N·H, L, D]
        becomes
        [N, L, E] ─▶ MatMul ─▶ [N, L, E] ─▶ Reshape ─▶ [N, L, H, D] ─▶ Transpose ─▶ [N, H, L, D]

    A tensor of shape [B, o·N·i, A] is held as [N, B, o, i, A]; its readers that are no such operators read it as it was.

    1. Moves take another order; a Reshape has other sizes.
    2. Entry by entry, and products of matrices: constants get the axes that are new.
    3. Along axes: they are counted anew.
    4. A Gemm reads rows in any order.
    5. Sizes are those of the tensor that is held.
    6. Entries beside samples in front are an axis of their own before others come in front of it: windows of attention.

    Attention is exported like that: with positions in front, and heads beside samples.
    """
    turner = _Turner(graph)
    for node in list(graph.nodes):
        if of(node).sizes and of(node).entries and turner.is_elsewhere(node.inputs[0]):
            turner.size(node)
        elif turner.concerns(node):
            turner.turn(node)
    return graph


class _Turner:
    def __init__(self, graph: gs.Graph) -> None:
        self._graph, self._names = graph, Names(graph)
        self._samples = dict(facts(graph).samples)
        self._front: dict[int, gs.Tensor] = {}
        given = next((t.shape[0] for t in graph.inputs if t.shape), 1)
        self._batch: int | str = given

    def is_elsewhere(self, tensor: gs.Tensor) -> bool:
        """Whether ``tensor`` is known to count samples elsewhere than in front, or is held otherwise."""
        samples = self._samples.get(tensor.name)
        if samples is None or tensor.shape is None or samples.inner is None:
            return False
        return id(tensor) in self._front or samples.axis > 0 or samples.outer > 1

    def concerns(self, node: gs.Node) -> bool:
        """Whether ``node`` reads or writes such tensors, and what it writes counts samples."""
        tensors = [t for t in (*signals(node), *node.outputs) if t.name in self._samples]
        known = all(t.name in self._samples for t in node.outputs) and not node.domain
        sized = all(t.shape is not None and self._samples[t.name].inner is not None for t in tensors)
        return bool(known and sized and any(map(self.is_elsewhere, tensors)))

    def size(self, node: gs.Node) -> None:
        """Case 5: Shape ─▶ Concat of numbers and of sizes of the other tensor."""
        layout, front = self._layout(node.inputs[0]), self._read(node, node.inputs[0])
        parts: list[gs.Tensor] = []
        for axis in range(len(layout.sizes))[node.attrs.get("start", 0) : node.attrs.get("end")]:
            place, each = layout.place(axis) or 0, layout.samples.outer * (layout.samples.inner or 1)
            if place and static([layout.sizes[axis]]):
                parts.append(make_constant(self._names, f"{node.name}/size", np.array([layout.sizes[axis]])))
                continue
            part = self._moves(node).apply("Shape", [front], [1], dtype=np.int64, start=place, end=place + 1)
            if not place and each > 1:
                factor = make_constant(self._names, f"{node.name}/entries", np.array([each]))
                part = self._moves(node).apply("Mul", [part, factor], [1])
            parts.append(part)
        node.op, node.inputs, node.attrs = "Concat", parts, {"axis": 0, ORIGIN: origin(node)}

    def turn(self, node: gs.Node) -> None:
        """Write ``node`` anew; it stays where that is not known."""
        record = of(node)
        if record.layout is not None:
            made = self._moved(node)
        elif record.elementwise or record.broadcasts:
            made = self._each(node)
        elif record.moves:
            made = self._reshaped(node)
        elif record.weights is None or record.channels_second:
            made = self._along(node)
        else:
            made = self._product(node) if record.weights.channels < 0 else self._of_rows(node)
        if made is not None:
            written, node.outputs = list(node.outputs), []
            for tensor, turned in zip(written, made, strict=True):
                self._write(node, tensor, turned)

    def _moves(self, node: gs.Node) -> Mover:
        return Mover(self._graph, self._names, node)

    def _layout(self, tensor: gs.Tensor) -> SampleLayout:
        return SampleLayout(self._samples[tensor.name], list(tensor.shape))

    def _read(self, node: gs.Node, tensor: gs.Tensor) -> gs.Tensor:
        """``tensor`` with samples in front."""
        layout = self._layout(tensor)
        if layout.same:
            return tensor
        if id(tensor) not in self._front:
            axis, split = layout.samples.axis, dict(layout.parts)
            at = axis + ("o" in split)
            value = tensor
            if split:
                ahead, behind = layout.sizes[:axis], layout.sizes[axis + 1 :]
                parts = [split.get(part, self._batch) for part in "oNi" if part in {*split, "N"}]
                sizes = [*ahead, *parts, *behind]
                target = [-1 if axis == at else size for axis, size in enumerate(sizes)]
                value = self._moves(node).reshape(tensor, target, sizes)
            order = [at, *range(at), *range(at + 1, len(value.shape))]
            self._front[id(tensor)] = self._moves(node).transpose(value, order)
        return self._front[id(tensor)]

    def _write(self, node: gs.Node, tensor: gs.Tensor, turned: gs.Tensor) -> None:
        """``tensor`` as it was, for those who read it so."""
        layout = self._layout(tensor)
        if layout.same:
            replace_uses(self._graph, tensor, turned)
            self._samples[turned.name] = layout.samples
            return
        self._front[id(tensor)] = turned
        before = [label for label in layout.labels if label[0] < layout.samples.axis or label[1] == "o"]
        at = len(before)
        order = [*range(1, at + 1), 0, *range(at + 1, len(layout.labels) + 1)]
        split = any(part for _, part in layout.labels)
        value = self._moves(node).transpose(turned, order, output=None if split else tensor)
        if split:
            axis = layout.samples.axis
            sizes = [*layout.sizes[:axis], -1, *layout.sizes[axis + 1 :]]
            self._moves(node).reshape(value, sizes, list(tensor.shape), output=tensor)

    def _moved(self, node: gs.Node) -> list[gs.Tensor] | None:
        """Cases 1 and 6: axes that are left out, turned, put in."""
        rule = of(node).layout
        step = None if rule is None else rule(node)
        before, after = self._layout(node.inputs[0]), self._layout(node.outputs[0])
        splits = bool(before.parts) and after.samples.axis != 0
        if step is None or (id(node.inputs[0]) not in self._front and not splits):
            return None  # in front of the first operator: it will undo it, unless it has to split the axis of samples first
        value = self._read(node, node.inputs[0])
        shown = [(step[axis], part) for axis, part in after.labels]
        kept = [label for label in before.labels if label in shown]
        gone = [i + 1 for i, label in enumerate(before.labels) if label not in shown]
        value = self._moves(node).squeeze(value, gone)
        wanted = [kept.index((axis, part)) + 1 for axis, part in shown if axis is not None]
        value = self._moves(node).transpose(value, [0, *wanted])
        fresh = [i + 1 for i, (axis, _) in enumerate(shown) if axis is None]
        return [self._moves(node).unsqueeze(value, fresh)]

    def _reshaped(self, node: gs.Node) -> list[gs.Tensor] | None:
        """Case 1: other sizes."""
        behind = self._layout(node.outputs[0]).behind
        if not static(behind):
            return None
        value = self._read(node, node.inputs[0])
        return [self._moves(node).reshape(value, [-1, *behind], [self._batch, *behind])]

    def _of_rows(self, node: gs.Node) -> list[gs.Tensor] | None:
        """Case 4."""
        layout = self._layout(node.inputs[0])
        columns = layout.behind[-1:] == [node.inputs[0].shape[1]]
        if not columns or not static(layout.behind) or len(signals(node)) != 1 or node.attrs.get("transA", 0):
            return None
        width = int(node.outputs[0].shape[1])
        rows = self._moves(node).reshape(
            self._read(node, node.inputs[0]), [-1, *layout.behind[-1:]], list(node.inputs[0].shape)
        )
        made = self._again(node, [rows, *node.inputs[1:]], [[rows.shape[0], width]])[0]
        behind = [*layout.behind[:-1], width]
        return [self._moves(node).reshape(made, [-1, *behind], [self._batch, *behind])]

    def _each(self, node: gs.Node) -> list[gs.Tensor] | None:
        """Case 2: entry by entry."""
        layout = self._layout(node.outputs[0])
        operands = [self._operand(node, tensor, layout) for tensor in node.inputs]
        if any(operand is None for operand in operands):
            return None
        read = [operand for operand in operands if operand is not None]
        return self._again(node, read, [[self._batch, *layout.behind]])

    def _product(self, node: gs.Node) -> list[gs.Tensor] | None:
        """Case 2: products of matrices, whose rows or stacks count samples."""
        layout = self._layout(node.outputs[0])
        rank = len(layout.sizes)
        rows = layout.samples.axis == rank - 2
        if layout.samples.axis > rank - 2 or (rows and len(signals(node)) != 1):
            return None
        first, second = node.inputs
        if rows and (is_constant(first) or value_of(second).ndim > 2):
            return None
        read = [
            tensor if rows and is_constant(tensor) else self._operand(node, tensor, layout, matrices=True)
            for tensor in node.inputs
        ]
        found = [tensor for tensor in read if tensor is not None]
        return self._again(node, found, [[self._batch, *layout.behind]]) if len(found) == 2 else None

    def _operand(
        self, node: gs.Node, tensor: gs.Tensor, layout: SampleLayout, *, matrices: bool = False
    ) -> gs.Tensor | None:
        """What is taken against a tensor of ``layout``; None where samples do not meet their own."""
        if tensor.is_empty():
            return tensor
        rank = len(layout.sizes)
        if is_constant(tensor):
            if matrices and tensor.values.ndim <= 2:
                return tensor
            wide = SampleLayout(layout.samples, [*layout.sizes[: rank - 2], 0, 0]) if matrices else layout
            values = wide.constant(tensor.values)
            return None if values is None else make_constant(self._names, tensor.name, values)
        own = self._samples.get(tensor.name)
        missing = rank - len(tensor.shape or ())
        if own is None or missing < 0 or replace(own, axis=own.axis + missing) != layout.samples:
            return None
        value = self._read(node, tensor)
        return self._moves(node).unsqueeze(value, list(range(1, missing + 1)))

    def _along(self, node: gs.Node) -> list[gs.Tensor] | None:
        """Case 3."""
        read = [t for t in signals(node) if t.name in self._samples]
        if not read or len(read) != len(signals(node)) or read[0] is not node.inputs[0]:
            return None
        if len(node.outputs[0].shape) > len(read[0].shape):  # its axis is one of what it writes
            return None
        layouts = [self._layout(tensor) for tensor in read]
        if any(
            layout.samples != layouts[0].samples or len(layout.sizes) != len(layouts[0].sizes)
            for layout in layouts
        ):
            return None
        attributes = dict(node.attrs)
        inputs = [self._read(node, tensor) if tensor in read else tensor for tensor in node.inputs]
        axis = _axis(node, self._graph.opset)
        position = of(node).axes
        given = None if position is None else constant_input(node, position)
        if axis is not None:
            attributes["axis"] = layouts[0].place(axis)
        elif "axes" in attributes:
            attributes["axes"] = [layouts[0].place(axis) for axis in attributes["axes"]]
        elif position is not None and given is not None:
            places = [layouts[0].place(int(axis)) for axis in given.reshape(-1)]
            if None in places:
                return None
            inputs[position] = make_constant(self._names, f"{node.name}/axes", np.array(places, np.int64))
        else:
            return None
        if attributes.get("axis", 0) is None or None in attributes.get("axes", ()):
            return None
        sizes: list[Sizes] = [[self._batch, *self._layout(tensor).behind] for tensor in node.outputs]
        return self._again(node, inputs, sizes, **attributes)

    def _again(
        self, node: gs.Node, inputs: Sequence[gs.Tensor], sizes: Sequence[Sizes], **attributes: object
    ) -> list[gs.Tensor]:
        """The operator itself, on other tensors."""
        held = [
            gs.Variable(self._names.fresh(f"{t.name}/samples_first"), t.dtype, shape)
            for t, shape in zip(node.outputs, sizes, strict=True)
        ]
        made = gs.Node(
            node.op, self._names.fresh(node.name), {**node.attrs, **attributes}, list(inputs), held
        )
        made.attrs[ORIGIN] = origin(node)
        self._graph.nodes.append(made)
        return list(held)


def _axis(node: gs.Node, opset: int) -> int | None:
    """The axis that ``node`` works along, be it left out; None where it has none."""
    schema = onnx.defs.get_schema(node.op, opset) if onnx.defs.has(node.op) else None
    if schema is None or "axis" not in schema.attributes:
        return None
    return int(node.attrs.get("axis", schema.attributes["axis"].default_value.i))
