"""What a vector of sizes says, as far as that is known: the rules of the records, entry by entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, constant_input

if TYPE_CHECKING:
    from onnx2snn.operators.table import Entries, Spelled


def same(node: gs.Node, spelled: Spelled) -> Entries | None:
    """Those that it reads."""
    return spelled(node.inputs[0])


def joined(node: gs.Node, spelled: Spelled) -> Entries | None:
    """A Concat; parts that are computed otherwise are as many unknown entries."""
    found: Entries = []
    for part in node.inputs:
        entries = spelled(part) or _unknown(part)
        if entries is None:
            return None
        found += entries
    return found


def shape(node: gs.Node, _: Spelled) -> Entries | None:
    """The sizes of a tensor, those that are open by name."""
    sizes = node.inputs[0].shape
    return None if sizes is None else list(sizes)[slice(node.attrs.get("start", 0), node.attrs.get("end"))]


def taken(node: gs.Node, spelled: Spelled) -> Entries | None:
    """Some of them."""
    source = spelled(node.inputs[0])
    found = None if source is None else taken_entries(node, np.array(source, object))
    return None if found is None else np.atleast_1d(found).tolist()


def taken_entries(node: gs.Node, entries: Array) -> Array | None:
    """What a ``Gather`` or ``Slice`` by constants takes of the vector ``entries``; None if that is not known."""
    constants = [constant_input(node, i) for i in range(1, len(node.inputs))]
    if node.domain or any(c is None for c in constants):
        return None
    if node.op == "Gather":
        index = np.asarray(constants[0])
        within = np.all((index >= -entries.size) & (index < entries.size))
        return np.asarray(entries[index], object) if within else None
    if node.op == "Slice":
        start, end = (int(np.asarray(c).reshape(-1)[0]) for c in constants[:2])
        step = int(np.asarray(constants[3]).reshape(-1)[0]) if len(constants) > 3 else 1
        return np.asarray(entries[slice(start, end, step)], object) if step > 0 else None
    return None


def equal(node: gs.Node, spelled: Spelled) -> Entries | None:
    """Which are alike, as 1 and 0: a size is never below zero, whatever it is."""
    pairs = _beside_each_other(node, spelled)
    return None if pairs is None else [_alike(a, b) for a, b in pairs]


def chosen(node: gs.Node, spelled: Spelled) -> Entries | None:
    """A Where: those of one operand or of the other, where it is known of which, or both have the same."""
    found = _beside_each_other(node, spelled)
    if found is None:
        return None
    return [a if a == b else None if which is None else a if which else b for which, a, b in found]


def _beside_each_other(node: gs.Node, spelled: Spelled) -> list[tuple[int | str | None, ...]] | None:
    """By entry, what the operands say; one entry stands beside all of another's."""
    operands = [spelled(t) or _unknown(t) for t in node.inputs]
    known = [entries for entries in operands if entries]
    length = max(map(len, known), default=0)
    if len(known) < len(operands) or any(len(entries) not in (1, length) for entries in known):
        return None
    return list(zip(*(entries * (length // len(entries)) for entries in known), strict=True))


def _alike(a: int | str | None, b: int | str | None) -> int | None:
    if a is None or b is None:
        return None
    if a == b:
        return 1
    numbers = [entry for entry in (a, b) if isinstance(entry, int)]
    return 0 if len(numbers) == 2 or min(numbers, default=0) < 0 else None


def _unknown(tensor: gs.Tensor) -> Entries | None:
    """As many unknown entries as ``tensor`` has; None where even that is not known."""
    if tensor.shape is None or len(tensor.shape) > 1:
        return None
    length = tensor.shape[0] if tensor.shape else 1
    return [None] * int(length) if isinstance(length, (int, np.integer)) else None
