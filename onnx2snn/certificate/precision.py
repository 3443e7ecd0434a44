"""What a source computes in, where that is not float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import is_constant, value_of
from onnx2snn.operators.signals import UNIT

#: Unit roundoff of the narrower types.
_UNITS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def unit_of(graph: gs.Graph) -> float:
    """Unit roundoff of the coarsest floats that a signal is held in: 2⁻²⁴ in float32, and where all are finer."""
    types = {np.dtype(t.dtype).name for t in _tensors(graph) if t.dtype is not None and not is_constant(t)}
    return max((_UNITS.get(name, UNIT) for name in types), default=UNIT)


def narrowed_with_loss(graph: gs.Graph) -> bool:
    """Whether a constant of float64 is no number of float32: the spiking network holds another then."""
    wide = (t for t in _tensors(graph) if is_constant(t) and t.dtype == np.float64)
    with np.errstate(over="ignore"):
        return any(not np.array_equal(v, v.astype(np.float32), equal_nan=True) for v in map(value_of, wide))


def _tensors(graph: gs.Graph) -> Iterator[gs.Tensor]:
    for node in graph.nodes:
        yield from node.inputs
        yield from node.outputs
