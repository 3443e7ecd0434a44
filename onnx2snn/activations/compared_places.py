"""Chains that do nothing with a potential but compare it with constants: their steps are at these, and nowhere else."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.bisection import MAX_STEPS, Level, Steps
from onnx2snn.activations.chains import Chain, ChainEvaluation, Single
from onnx2snn.activations.rationals import NotPiecewiseLinearError
from onnx2snn.graph.core import is_constant, value_of
from onnx2snn.operators import of

#: Places of all channels at which a chain is run; of more, steps are looked for as of any other chain.
MOST_PLACES = 1 << 24


def compared_with(chain: Chain) -> Single | None:
    """Every number at which a function of the chain's root may step, in ascending order, and one below them all.

    Between neighbours it is constant. None where something else than a comparison with constants reads the root.
    """
    found: list[NDArray[np.float32]] = []
    for node in chain.nodes:
        if not any(tensor is chain.root for tensor in node.inputs):
            continue
        record = of(node)
        if not (record.whole and record.jumps and record.broadcasts):
            return None
        for tensor in node.inputs:
            if tensor is chain.root:
                continue
            held = _held(tensor)
            if held is None:
                return None
            found.append(held.astype(np.float32).reshape(-1))
    numbers = np.unique(np.concatenate(found)) if found else np.zeros(0, np.float32)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    up, down = np.float32(np.inf), np.float32(-np.inf)
    places: Single = np.unique(
        np.concatenate([np.nextafter(numbers[:1], down), numbers, np.nextafter(numbers, up)])
    )
    return places


def _held(tensor: gs.Tensor) -> NDArray[np.float32] | None:
    """All numbers that a tensor may hold, of a constant, or of what picks from one; None of others."""
    if is_constant(tensor):
        return value_of(tensor)
    node = tensor.inputs[0] if tensor.inputs else None
    listed = None if node is None else of(node).listed
    return (
        None
        if node is None or listed is None or not is_constant(node.inputs[listed])
        else value_of(node.inputs[listed])
    )


def stepped(evaluation: ChainEvaluation, level: Level, places: Single) -> Steps:
    """The steps of a chain, from its levels at all places where it may have one.

    Args:
        evaluation: It.
        level: Of what it answers (P, C).
        places: See :func:`compared_with`.

    Raises:
        NotPiecewiseLinearError: it has too many steps, or is no number somewhere.
    """
    levels = level(evaluation.run(places[:, None])[1])
    if not np.all(np.isfinite(levels)):
        raise NotPiecewiseLinearError("it is not a number everywhere")
    whole = np.rint(levels).astype(np.int64)
    rise = np.diff(whole, axis=0)
    most = int(np.abs(rise).sum(axis=0).max(initial=0))
    if most > MAX_STEPS:
        raise NotPiecewiseLinearError(f"it has {most + 1} levels")
    some = np.flatnonzero(rise.any(axis=1))
    edges = np.broadcast_to(places[1:][some, None].astype(np.float64), (len(some), rise.shape[1]))
    none = np.zeros(edges.shape)
    return Steps(edges, none > 0, none, rise[some], whole[0])
