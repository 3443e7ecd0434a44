"""When an operator is linear in its signals, and keeps samples apart: the tests of the records (METHOD 6)."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import constant_input, is_constant, is_float, signals
from onnx2snn.operators.symbolic_sizes import spelled_sizes
from onnx2snn.operators.table import Test, of

#: On a node whose result has several rows of each sample on axis 0, how many; on a Reshape that makes one of them, 1.
ROWS = "_onnx2snn_rows_of_a_sample"


def rank_of(tensor: gs.Tensor) -> int:
    """How many axes a tensor has; 0 where that is not known."""
    return len(tensor.shape) if tensor.shape is not None else 0


def float_signals(node: gs.Node) -> list[gs.Tensor]:
    """What ``node`` reads that carries values: not constants, shapes, indices, masks, or factors to resize by."""
    positions = of(node).values
    read = signals(node) if positions is None else [node.inputs[i] for i in positions if i < len(node.inputs)]
    return [t for t in read if is_float(t) and not is_constant(t)]


def axes_of(node: gs.Node) -> list[int] | None:
    """Axes given as an input or attribute, counted from the front; None where they are left out or not constant."""
    position = of(node).axes
    given = None if position is None else constant_input(node, position)
    axes = node.attrs.get("axes") if given is None else given.tolist()
    if axes is None:
        return None
    rank = rank_of(node.inputs[0])
    return [int(a) % rank for a in np.atleast_1d(axes)] if rank else None


def first(node: gs.Node) -> bool:
    """One signal, in front of constants."""
    found = float_signals(node)
    return len(found) == 1 and found[0] is node.inputs[0]


def any_mixture(node: gs.Node) -> bool:
    """Signals and constants in any mixture."""
    return bool(float_signals(node)) and batch_stays(node)


def batch_stays(node: gs.Node) -> bool:
    """A constant of higher rank moves the batch off axis 0."""
    highest = max(map(rank_of, float_signals(node)), default=0)
    return node.outputs[0].shape is None or rank_of(node.outputs[0]) <= highest


def axis_kept(default: int = 0) -> Test:
    """A test of the attribute ``axis``."""

    def test(node: gs.Node) -> bool:
        """The axis is not that of the batch."""
        rank = rank_of(node.inputs[0])
        return rank > 0 and int(node.attrs.get("axis", default)) % rank != 0

    return test


def axes_kept(node: gs.Node) -> bool:
    """Axes are constant, the batch not among them."""
    axes = axes_of(node)
    return first(node) and axes is not None and 0 not in axes


def unsqueeze(node: gs.Node) -> bool:
    """Axes are constant, none in front of the batch."""
    given = constant_input(node, 1)
    rank = rank_of(node.outputs[0])
    return given is not None and rank > 0 and 0 not in [int(a) % rank for a in given]


def squeeze(node: gs.Node) -> bool:
    """Axes are constant, the batch not among them."""
    axes = axes_of(node)
    return axes is not None and 0 not in axes


def transpose(node: gs.Node) -> bool:
    """The batch stays in front."""
    perm = node.attrs.get("perm")
    return perm is not None and perm[0] == 0


def reshape(node: gs.Node) -> bool:
    """The batch stays in front, and what belongs to a sample stays in it, be it in several rows."""
    target = spelled_sizes(node.inputs[1])
    if not first(node) or not target or (node.attrs.get("allowzero", 0) and 0 in target):
        return False  # an axis of no entries
    return target[0] == 0 or (target[0] == -1 and (ROWS in node.attrs or _same_sample_size(node)))


def _same_sample_size(node: gs.Node) -> bool:
    """Of sizes that are known, or named alike."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if before is None or after is None or not before or not after:
        return False
    known = [
        math.prod(int(s) for s in sizes if isinstance(s, (int, np.integer)))
        for sizes in (before[1:], after[1:])
    ]
    named = [sorted(s for s in sizes if isinstance(s, str)) for sizes in (before[1:], after[1:])]
    return known[0] == known[1] and named[0] == named[1]


def flatten(node: gs.Node) -> bool:
    """From axis 1."""
    return int(node.attrs.get("axis", 1)) % max(rank_of(node.inputs[0]), 1) == 1


def matmul(node: gs.Node) -> bool:
    """One operand is constant: x·W for any x, W·x where x keeps a batch axis of its own in front."""
    found = float_signals(node)
    if len(found) != 1:
        return False
    left = found[0] is node.inputs[0]
    weights = node.inputs[1] if left else node.inputs[0]
    if not is_constant(weights):
        return False
    shape, rank = tuple(weights.shape), rank_of(found[0])
    batched = len(shape) >= rank and len(shape) > 2 and shape[-rank] != 1 if rank else True
    return not batched and (left or rank > 2)


def gemm(node: gs.Node) -> bool:
    """Weights and bias are constant, transA = 0."""
    found = float_signals(node)
    return len(found) == 1 and found[0] is node.inputs[0] and not node.attrs.get("transA", 0)


def pad(node: gs.Node) -> bool:
    """None along the batch; amounts may be computed."""
    pads, rank = spelled_sizes(node.inputs[1]), rank_of(node.inputs[0])
    axes = list(range(rank))
    if len(node.inputs) > 3 and not node.inputs[3].is_empty():
        given = constant_input(node, 3)
        if given is None:
            return False
        axes = [int(a) % rank for a in given]
    if not first(node) or 0 not in axes:
        return first(node)
    at = axes.index(0)
    return pads is not None and len(pads) == 2 * len(axes) and pads[at] == pads[at + len(axes)] == 0


def resize(node: gs.Node) -> bool:
    """Mode nearest, linear or cubic; the batch keeps its size."""
    mode = node.attrs.get("mode", "nearest")
    return first(node) and mode in ("nearest", "linear", "cubic") and _resized_apart(node)


def _resized_apart(node: gs.Node) -> bool:
    axes = node.attrs.get("axes")
    if axes is not None:
        return 0 not in [a % max(rank_of(node.inputs[0]), 1) for a in axes]
    factors = constant_input(node, 2)
    sized = len(node.inputs) > 3 and not node.inputs[3].is_empty()
    return not sized and factors is not None and factors.size > 0 and float(factors[0]) == 1


def gather(node: gs.Node) -> bool:
    """Indices are constant, the axis is not that of the batch."""
    return first(node) and constant_input(node, 1) is not None and axis_kept()(node)


def expand(node: gs.Node) -> bool:
    """The rank stays, and so does the batch."""
    rank, target = rank_of(node.inputs[0]), spelled_sizes(node.inputs[1])
    if not first(node) or not rank or target is None or len(target) > rank:
        return False
    return len(target) < rank or target[0] == 1


def tile(node: gs.Node) -> bool:
    """Repeats are 1 along the batch."""
    repeats = spelled_sizes(node.inputs[1])
    return first(node) and repeats is not None and repeats[:1] == [1]


def cut_off(node: gs.Node) -> bool:
    """The diagonal is constant, the batch no axis of the matrices."""
    diagonal = node.inputs[1:] and not node.inputs[1].is_empty() and not is_constant(node.inputs[1])
    return first(node) and rank_of(node.inputs[0]) > 2 and not diagonal


def where(node: gs.Node) -> bool:
    """The condition is constant."""
    return is_constant(node.inputs[0]) and any_mixture(node)


def product(node: gs.Node) -> bool:
    """The other factor is constant."""
    return len(float_signals(node)) == 1 and len(signals(node)) == 1 and batch_stays(node)


def quotient(node: gs.Node) -> bool:
    """The divisor is constant."""
    return product(node) and first(node)


def batch_norm(node: gs.Node) -> bool:
    """In inference: training_mode = 0."""
    return first(node) and not node.attrs.get("training_mode", 0)


def split(node: gs.Node) -> bool:
    """The axis is not that of the batch."""
    return first(node) and axis_kept()(node)


def dot(node: gs.Node) -> bool:
    """Weights are constant."""
    return first(node) and is_constant(node.inputs[1])


def normalised_behind(node: gs.Node) -> bool:
    """Not along the batch, with constant factors."""
    rank = rank_of(node.inputs[0])
    return rank > 1 and int(node.attrs.get("axis", -1)) % rank != 0 and _constant_factors(node)


def normalised_places(node: gs.Node) -> bool:
    """Of samples with places, with constant factors."""
    return rank_of(node.inputs[0]) > 2 and _constant_factors(node)


def normalised_groups(node: gs.Node) -> bool:
    """Of samples of known size, with constant factors."""
    known = all(isinstance(size, (int, np.integer)) for size in node.inputs[0].shape[1:])
    return rank_of(node.inputs[0]) > 2 and known and _constant_factors(node)


def normalised_channels(node: gs.Node) -> bool:
    """Of a known number of channels; factors are positive."""
    known = rank_of(node.inputs[0]) > 2 and isinstance(node.inputs[0].shape[1], (int, np.integer))
    return known and node.attrs.get("bias", 1.0) > 0 and node.attrs.get("alpha", 1e-4) >= 0


def normalised_axes(node: gs.Node) -> bool:
    """The batch is not among the axes."""
    rank = rank_of(node.inputs[0])
    return rank > 1 and all(int(axis) % rank != 0 for axis in node.attrs.get("axes", (0, 2, 3)))


def quotient_of_signals(node: gs.Node) -> bool:
    """Both operands are signals of the same rank."""
    ranks = {rank_of(tensor) for tensor in node.inputs}
    return len(float_signals(node)) == 2 and len(ranks) == 1 and min(ranks) > 1


def _constant_factors(node: gs.Node) -> bool:
    read = [tensor for tensor in node.inputs[1:] if not tensor.is_empty()]
    used = [tensor for tensor in node.outputs[1:] if tensor.name and tensor.outputs]
    return all(map(is_constant, read)) and not used
