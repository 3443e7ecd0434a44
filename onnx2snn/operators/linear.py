"""Which operators are linear in their signals, and keep samples apart: the synaptic operators (METHOD 6).

A pass asks two things of a node: is it linear (may trains pass through it, step by step), and does it mix values by
weights (is it a layer of synapses). Both are answered here, in one table, for every pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.symbolic_sizes import spelled_sizes
from onnx2snn.graph.core import Array, constant_input, is_constant, is_float, signals

Test: TypeAlias = Callable[[gs.Node], bool]

STAIRCASE, INTEGRATE, IF = "Staircase", "Integrate", "IF"
DOMAIN = "onnx2snn"


def is_neuron(node: gs.Node) -> bool:
    """Whether ``node`` is a staircase or an IF neuron."""
    return bool(node.domain == DOMAIN and node.op in (STAIRCASE, IF))


def is_integrate(node: gs.Node) -> bool:
    """Whether ``node`` integrates a train without firing."""
    return bool(node.domain == DOMAIN and node.op == INTEGRATE)


def float_signals(node: gs.Node) -> list[gs.Tensor]:
    """What ``node`` reads that carries values: not constants, shapes, indices, masks, or factors to resize by."""
    if node.op == "Resize" and not node.domain:
        return [t for t in node.inputs[:1] if is_float(t) and not is_constant(t)]
    return [t for t in signals(node) if is_float(t)]


def _rank(tensor: gs.Tensor) -> int:
    return len(tensor.shape) if tensor.shape is not None else 0


def reads_sizes(node: gs.Node) -> bool:
    """Whether ``node`` reads sizes of a sample, and no values: those of a train are the same."""
    if node.domain or node.op != "Shape":
        return False
    rank = _rank(node.inputs[0])
    return rank > 0 and slice(node.attrs.get("start", 0), None).indices(rank)[0] > 0


def from_sizes(graph: gs.Graph) -> set[int]:
    """The tensors, by ``id``, that nothing but sizes of tensors and constants decide: alike for all samples of a batch."""
    found: set[int] = set()
    for node in graph.nodes:
        read = signals(node)
        if not node.domain and (node.op in ("Shape", "Size") or (read and all(id(t) in found for t in read))):
            found.update(id(t) for t in node.outputs)
    return found


def axes_of(node: gs.Node, position: int = 1) -> list[int] | None:
    """Axes given as an input or attribute, counted from the front; None where they are left out or not constant."""
    given = constant_input(node, position)
    axes = node.attrs.get("axes") if given is None else given.tolist()
    if axes is None:
        return None
    rank = _rank(node.inputs[0])
    return [int(a) % rank for a in np.atleast_1d(axes)] if rank else None


def _first(node: gs.Node) -> bool:
    """One signal, in front of constants."""
    found = float_signals(node)
    return len(found) == 1 and found[0] is node.inputs[0]


def _one(node: gs.Node) -> bool:
    """Only one input is a signal."""
    return len(float_signals(node)) == 1


def _any(node: gs.Node) -> bool:
    """Signals and constants in any mixture."""
    return bool(float_signals(node))


def _axis_kept(default: int = 0) -> Test:
    def test(node: gs.Node) -> bool:
        """The axis is not that of the batch."""
        rank = _rank(node.inputs[0])
        return rank > 0 and int(node.attrs.get("axis", default)) % rank != 0

    return test


def _axes_kept(node: gs.Node) -> bool:
    """Axes are constant, the batch not among them."""
    axes = axes_of(node)
    return _first(node) and axes is not None and 0 not in axes


def _unsqueeze(node: gs.Node) -> bool:
    """Axes are constant, none in front of the batch."""
    given = constant_input(node, 1)
    rank = _rank(node.outputs[0])
    return given is not None and rank > 0 and 0 not in [int(a) % rank for a in given]


def _squeeze(node: gs.Node) -> bool:
    """Axes are constant, the batch not among them."""
    axes = axes_of(node)
    return axes is not None and 0 not in axes


def _slice(node: gs.Node) -> bool:
    """Axes are constant, the batch not among them."""
    axes = axes_of(node, 3)
    return axes is not None and 0 not in axes and _first(node)


def _transpose(node: gs.Node) -> bool:
    """The batch stays in front."""
    perm = node.attrs.get("perm")
    return perm is not None and perm[0] == 0


def _reshape(node: gs.Node) -> bool:
    """The batch stays in front, and what belongs to a sample stays in it, be it in several rows."""
    target = spelled_sizes(node.inputs[1])
    if not _first(node) or not target or (node.attrs.get("allowzero", 0) and 0 in target):
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


def _flatten(node: gs.Node) -> bool:
    """From axis 1."""
    return int(node.attrs.get("axis", 1)) % max(_rank(node.inputs[0]), 1) == 1


def _matmul(node: gs.Node) -> bool:
    """One operand is constant: x·W for any x, W·x where x keeps a batch axis of its own in front."""
    found = float_signals(node)
    if len(found) != 1:
        return False
    left = found[0] is node.inputs[0]
    weights = node.inputs[1] if left else node.inputs[0]
    if not is_constant(weights):
        return False
    shape, rank = tuple(weights.shape), _rank(found[0])
    batched = len(shape) >= rank and len(shape) > 2 and shape[-rank] != 1 if rank else True
    return not batched and (left or rank > 2)


def _gemm(node: gs.Node) -> bool:
    """Weights and bias are constant, transA = 0."""
    found = float_signals(node)
    return len(found) == 1 and found[0] is node.inputs[0] and not node.attrs.get("transA", 0)


def _pad(node: gs.Node) -> bool:
    """None along the batch; amounts may be computed."""
    pads, rank = spelled_sizes(node.inputs[1]), _rank(node.inputs[0])
    axes = list(range(rank))
    if len(node.inputs) > 3 and not node.inputs[3].is_empty():
        given = constant_input(node, 3)
        if given is None:
            return False
        axes = [int(a) % rank for a in given]
    if not _first(node) or 0 not in axes:
        return _first(node)
    at = axes.index(0)
    return pads is not None and len(pads) == 2 * len(axes) and pads[at] == pads[at + len(axes)] == 0


def _resize(node: gs.Node) -> bool:
    """Mode nearest, linear or cubic; the batch keeps its size."""
    mode = node.attrs.get("mode", "nearest")
    return _first(node) and mode in ("nearest", "linear", "cubic") and _resized_apart(node)


def _resized_apart(node: gs.Node) -> bool:
    axes = node.attrs.get("axes")
    if axes is not None:
        return 0 not in [a % max(_rank(node.inputs[0]), 1) for a in axes]
    factors = constant_input(node, 2)
    sized = len(node.inputs) > 3 and not node.inputs[3].is_empty()
    return not sized and factors is not None and factors.size > 0 and float(factors[0]) == 1


def _gather(node: gs.Node) -> bool:
    """Indices are constant, the axis is not that of the batch."""
    return _first(node) and constant_input(node, 1) is not None and _axis_kept()(node)


def _expand(node: gs.Node) -> bool:
    """The rank stays, and so does the batch."""
    rank, target = _rank(node.inputs[0]), spelled_sizes(node.inputs[1])
    if not _first(node) or not rank or target is None or len(target) > rank:
        return False
    return len(target) < rank or target[0] == 1


def _tile(node: gs.Node) -> bool:
    """Repeats are 1 along the batch."""
    repeats = spelled_sizes(node.inputs[1])
    return _first(node) and repeats is not None and repeats[:1] == [1]


def _where(node: gs.Node) -> bool:
    """The condition is constant."""
    return is_constant(node.inputs[0]) and _any(node)


def _mul(node: gs.Node) -> bool:
    """The other factor is constant."""
    return _one(node) and len(signals(node)) == 1


def _div(node: gs.Node) -> bool:
    """The divisor is constant."""
    return _mul(node) and _first(node)


def _batch_norm(node: gs.Node) -> bool:
    """In inference: training_mode = 0."""
    return _first(node) and not node.attrs.get("training_mode", 0)


def _split(node: gs.Node) -> bool:
    """The axis is not that of the batch."""
    return _first(node) and _axis_kept()(node)


def _dot(node: gs.Node) -> bool:
    """Weights are constant."""
    return _first(node) and is_constant(node.inputs[1])


#: Linear in its float signals, sample by sample, where the test holds.
LINEAR: Mapping[str, Test] = {
    "Add": _any,
    "AveragePool": _first,
    "BatchNormalization": _batch_norm,
    "Concat": _axis_kept(),
    "Conv": _dot,
    "ConvTranspose": _dot,
    "DepthToSpace": _first,
    "Div": _div,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _first,
    "Identity": _first,
    "MatMul": _matmul,
    "Mean": _any,
    "Mul": _mul,
    "Neg": _first,
    "Pad": _pad,
    "ReduceMean": _axes_kept,
    "ReduceSum": _axes_kept,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "SpaceToDepth": _first,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": _any,
    "Sum": _any,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}

#: Operators with weights: a layer of synapses.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")

#: They commute with every monotone function, applied to a whole channel alike.
ORDER_PRESERVING = ("MaxPool", "GlobalMaxPool", "ReduceMax")

#: So do they, of several activations on one grid.
EXTREME = ("Max", "Min")


def compared_axes(node: gs.Node) -> list[int] | None:
    """The axes along which an order preserving operator compares; None where they are not known."""
    rank = _rank(node.inputs[0])
    if node.op != "ReduceMax":
        return list(range(2, rank))
    axes = axes_of(node)
    return axes if axes is not None else list(range(rank)) if len(node.inputs) < 2 else None


def is_alike(values: Array, rank: int, compared: list[int]) -> bool:
    """Whether a constant, beside a tensor of ``rank``, is the same along the axes in ``compared``."""
    own = [axis - rank + values.ndim for axis in compared]
    return values.size == 1 or all(axis < 0 or values.shape[axis] == 1 for axis in own)


#: Value by value: a factor and a term.
LINES = ("Add", "BatchNormalization", "Div", "Mul", "Neg", "Sub")

#: Axes that one of their operands lacks are put in front.
BROADCASTING = ("Add", "Div", "Mean", "Mul", "Sub", "Sum", "Where")

#: On a node whose result has several rows of each sample on axis 0, how many; on a Reshape that makes one of them, 1.
ROWS = "_onnx2snn_rows_of_a_sample"

#: They move values and change none.
MOVEMENT = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def is_linear(node: gs.Node) -> bool:
    """Whether ``node`` maps trains to trains: linear in its signals, each sample for itself."""
    test = LINEAR.get(node.op) if not node.domain else None
    return test is not None and test(node) and (node.op not in BROADCASTING or _batch_stays(node))


def _batch_stays(node: gs.Node) -> bool:
    """A constant of higher rank moves the batch off axis 0."""
    return node.outputs[0].shape is None or _rank(node.outputs[0]) <= max(
        map(_rank, float_signals(node)), default=0
    )


def is_weighted(node: gs.Node) -> bool:
    """Whether ``node`` is a layer of synapses with weights of its own."""
    return not node.domain and node.op in WEIGHTED
