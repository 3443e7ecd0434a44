"""Constants computed once: by onnxruntime, all foldable nodes in one run."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator

import numpy as np
import onnx_graphsurgeon as gs
from onnx import defs

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    graph_pass,
    is_answered,
    is_constant,
    is_operator,
    origin,
)
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.graph.walks import forward
from onnx2snn.model.reference import run_reference
from onnx2snn.operators import of
from onnx2snn.operators.entries import taken_entries
from onnx2snn.operators.linear import is_reshape
from onnx2snn.operators.symbolic_sizes import spelled_sizes
from onnx2snn.passes.normalise.size_editor import SizeEditor

#: A constant larger than this, and than what it is made from, is left to be computed.
MAX_VALUES = 1 << 24


@graph_pass
def fold_constants(graph: gs.Graph) -> gs.Graph:
    """Replace every node that reads constants only by its value, and shapes that are known by theirs."""
    known_shapes(graph)

    def passes(node: gs.Node, read: list[bool]) -> bool:
        if node.domain or of(node).undecided or any(True for _ in node.subgraphs()) or not node.outputs:
            return False
        held = all(
            known or is_constant(t) or t.is_empty() for t, known in zip(node.inputs, read, strict=True)
        )
        return held and not _too_large(node) and _makes_tensors(node.op, graph.opset)

    constant = forward(graph.nodes, passes)
    foldable = {id(n): n for n in graph.nodes if any(id(t) in constant for t in n.outputs)}
    wanted = [t for n in foldable.values() for t in n.outputs if _is_read_outside(t, foldable, graph)]
    if not wanted:
        return graph
    for together in _batches(wanted):
        for tensor, values in zip(together, _values(graph, together), strict=True):
            become(tensor, values)
    return graph


def _batches(tensors: list[gs.Tensor]) -> Iterator[list[gs.Tensor]]:
    """``tensors`` in order, few large ones at a time: a run holds all of its answers twice."""
    batch: list[gs.Tensor] = []
    size = 0
    for tensor in tensors:
        batch.append(tensor)
        size += math.prod(tensor.shape) if tensor.shape is not None and _static(tensor.shape) else 0
        if size > MAX_VALUES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def known_shapes(graph: gs.Graph) -> None:
    """Sizes that are known are constants, though others of the same tensor are not.

    1. ``Shape`` of a tensor with static sizes.
    2. ``Gather`` or ``Slice`` by constants, of a ``Shape``, that takes static sizes only.
    3. ``Size`` of a tensor with static sizes.
    4. Sizes of a ``Reshape`` that are those of what it reads, at the same place: 0 says so, and lets others be inferred.
    5. Sizes that are chosen, though it is known which: those, joined. An exporter writes ``expand(batch, -1, -1)`` so,
       and ONNX's inference takes no choice for known.
    """
    editor = SizeEditor(graph, Names(graph))
    for node in list(graph.nodes):
        if is_operator(node, "Where"):
            _join_chosen(editor, node)
        if is_reshape(node):
            _keep_sizes(node)
        if node.domain or not of(node).sizes or node.inputs[0].shape is None:
            continue
        sizes = list(node.inputs[0].shape)
        if of(node).entries is None:
            if _static(sizes):
                become(node.outputs[0], np.array(math.prod(sizes), np.int64))
            continue
        sizes = sizes[slice(node.attrs.get("start", 0), node.attrs.get("end"))]
        if _static(sizes):
            become(node.outputs[0], np.array(sizes, np.int64))
            continue
        for reader in list(node.outputs[0].outputs):
            taken = taken_entries(reader, np.array(sizes, object))
            if taken is not None and _static(np.atleast_1d(taken).tolist()):
                become(reader.outputs[0], np.asarray(taken, np.int64))


def _keep_sizes(reshape: gs.Node) -> None:
    """Case 4."""
    (source, target), after = reshape.inputs, reshape.outputs[0].shape
    if is_constant(target) or source.shape is None or reshape.attrs.get("allowzero", 0):
        return
    spelled = spelled_sizes(target) or [None]
    kept = [
        0 if isinstance(size, str) and source.shape[i : i + 1] == [size] else size
        for i, size in enumerate(spelled)
    ]
    known = after is not None and _static(a for a, size in zip(after, kept, strict=True) if size != 0)
    if _static(kept) and not known:
        reshape.inputs[1] = gs.Constant(f"{reshape.name}/sizes", np.array(kept, np.int64))


def _join_chosen(editor: SizeEditor, where: gs.Node) -> None:
    """Case 5: Where(c, x, y)   becomes   the entries of x and y that it takes, and numbers, joined."""
    made = where.outputs[0]
    vectors = all(len(t.shape or ()) == 1 for t in (made, *where.inputs[1:]))
    spelled = spelled_sizes(made) if made.dtype == np.int64 and vectors else None
    if spelled is None or None in spelled:
        return
    if _static(spelled):
        become(made, np.array(spelled, np.int64))
        return
    parts = [_part(editor, where, i, entry) for i, entry in enumerate(spelled)]
    where.op, where.attrs, where.inputs = "Concat", {ORIGIN: origin(where), "axis": 0}, parts


def _part(editor: SizeEditor, where: gs.Node, place: int, entry: int | str | None) -> gs.Tensor:
    """One entry of what is chosen: a number, or where an operand says it."""
    if not isinstance(entry, str):
        return editor.constant(where, f"{place}", [entry])
    said = [(operand, spelled_sizes(operand) or []) for operand in where.inputs[1:]]
    operand, at = next((t, i) for t, all_ in said for i in (place, 0) if all_[i : i + 1] == [entry])
    return editor.taken(where, f"{place}", operand, [at])


def _static(sizes: Iterable[object]) -> bool:
    return all(isinstance(size, (int, np.integer)) for size in sizes)


def _too_large(node: gs.Node) -> bool:
    shape = node.outputs[0].shape
    if shape is None or not _static(shape):
        return of(node).grows
    read = max((math.prod(t.shape) for t in node.inputs if is_constant(t)), default=0)
    return int(math.prod(shape)) > max(MAX_VALUES, 2 * read)


@functools.cache
def _makes_tensors(operator: str, opset: int) -> bool:
    """Not sequences, nor optionals."""
    if not defs.has(operator, opset, ""):
        return True
    made = defs.get_schema(operator, opset, "").outputs
    return all(any(kind.startswith("tensor(") for kind in output.types) for output in made)


def _is_read_outside(tensor: gs.Tensor, foldable: dict[int, gs.Node], graph: gs.Graph) -> bool:
    if is_answered(graph, tensor):
        return False
    return any(id(reader) not in foldable for reader in tensor.outputs)


def _values(graph: gs.Graph, wanted: list[gs.Tensor]) -> list[Array]:
    for tensor in wanted:
        tensor.dtype = tensor.dtype or np.float32
    try:
        answers = run_reference(to_split_model(graph, wanted), {})
    except InvalidModelError:
        raise
    except Exception as error:  # onnxruntime's errors share no base class
        found = str(error).strip().splitlines()[0]
        raise InvalidModelError(
            "its constants cannot be computed",
            found=found,
            remedy="export the network again; onnx.checker.check_model(path, full_check=True) may say where",
        ) from error
    return [np.asarray(answers[t.name]) for t in wanted]


def become(tensor: gs.Tensor, values: Array) -> None:
    """Every reader of ``tensor`` gets a constant of its own."""
    for reader in list(tensor.outputs):
        for position, read in enumerate(reader.inputs):
            if read is tensor:
                name = f"{tensor.name}/folded/{reader.name}/{position}"
                reader.inputs[position] = gs.Constant(name, values)
