"""Quotients that are LayerNormalization: numerator and divisor, evaluated on drawn values, are those of one tensor.

    n/s = γ·(x − mean x) / √(var x + ε) + β      over the last axis

A network holds the two apart, since neurons compare n with thresholds times s. Where a quotient is taken after all, one kernel
takes less time than the eight operators of both. What they compute is found by evaluation, however it is spelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onnx2snn.compile.draft import Array, Draft
from onnx2snn.compile.one_node import session_of
from onnx2snn.graph.walks import reached

#: A normalisation has fewer operators.
_MOST = 12
#: Samples that are drawn, and how far float32 is off at most.
_DRAWN, _NEAR = 3, 1e-4


@dataclass(frozen=True)
class ByteNorm:
    """See the module.

    Attributes:
        x: What is normalised.
        gain: γ, of the last axis.
        shift: β, of the last axis.
        epsilon: ε.
    """

    x: str
    gain: NDArray[np.float32]
    shift: NDArray[np.float32]
    epsilon: float


def norm_of(draft: Draft, numerator: str, divisor: str) -> ByteNorm | None:
    """The normalisation that a quotient is; None where it is none that is known."""
    ends = (numerator, divisor)
    for x in islice(reached(ends, lambda name: _made_of(draft, name), key=str), _MOST):
        inside = _between(draft, x, ends)
        found = _evaluated(draft, x, inside, ends) if inside else None
        if found is not None:
            return found
    return None


def _made_of(draft: Draft, name: str) -> list[str]:
    """What a tensor that plain operators make is made of, constants left out."""
    node = draft.producer(name)
    if node is None or node.domain:
        return []
    return [n for n in node.input if n and draft.value(n) is None]


def _between(draft: Draft, x: str, ends: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that make ``ends`` of ``x`` and constants, in order; none where something else is read, or they are many."""
    names = reached(ends, lambda name: [] if name == x else _made_of(draft, name), key=str)
    places = {draft.producers.get(name) for name in islice(names, _MOST) if name != x}
    nodes = [draft.nodes[place] for place in sorted(p for p in places if p is not None)]
    known = {x, *(name for node in nodes for name in node.output)}
    read = {n for node in nodes for n in node.input if n and draft.value(n) is None}
    alone = None not in places and not any(node.domain for node in nodes) and read <= known
    return nodes if alone and known.issuperset(ends) else []


def _evaluated(draft: Draft, x: str, nodes: Sequence[onnx.NodeProto], ends: Sequence[str]) -> ByteNorm | None:
    """Which normalisation these nodes are of drawn values."""
    sizes = draft.sample_shape(x)
    if not sizes or sizes[-1] < 2:
        return None
    drawn = np.random.default_rng(0).normal(0.3, 1.5, (_DRAWN, *sizes)).astype(np.float32)
    drawn[0] = 0  # n = β·√ε, s = √ε
    try:
        n, s = _run(draft, nodes, x, drawn, ends)
    except Exception:  # noqa: BLE001 - whatever a runtime refuses is none
        return None
    centred = drawn - drawn.mean(axis=-1, keepdims=True, dtype=np.float64)
    if n.shape != drawn.shape or s.shape != (*drawn.shape[:-1], 1):
        return None
    root = float(s.flat[0])
    shift = n.reshape(-1, sizes[-1])[0].astype(np.float64) / max(root, float(np.finfo(np.float32).tiny))
    rows, wide = ((n - shift * s).reshape(-1, sizes[-1]), centred.reshape(-1, sizes[-1]))
    gain = (rows * wide).sum(axis=0) / (wide * wide).sum(axis=0)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    epsilon = root * root
    exact = wide * gain
    if (
        not np.isfinite(epsilon)
        or np.abs(exact - rows).max() > _NEAR * np.abs(n).max()
        or np.abs(np.sqrt(variance + epsilon) - s).max() > _NEAR * s.max()
    ):
        return None
    return ByteNorm(x, gain.astype(np.float32), shift.astype(np.float32), epsilon)


def _run(
    draft: Draft, nodes: Sequence[onnx.NodeProto], x: str, drawn: Array, ends: Sequence[str]
) -> list[Array]:
    held = {n: v for node in nodes for n in node.input if n and (v := draft.value(n)) is not None}
    made = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ends]
    graph = helper.make_graph(
        nodes,
        "quotient",
        [helper.make_tensor_value_info(x, onnx.TensorProto.FLOAT, None)],
        made,
        [onnx.numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in held.items()],
    )
    model = helper.make_model(graph, opset_imports=draft.opsets, ir_version=9)
    return list(session_of(model).run(None, {x: drawn}))
