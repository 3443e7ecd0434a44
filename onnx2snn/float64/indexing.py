"""Operators that the reference evaluator of the onnx package computes otherwise than ONNX defines them, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

Array = NDArray[Any]


class GatherElements(OpRun):
    """One entry for each index; behind the last of them along other axes the data may go on. The reference takes at most 32."""

    op_domain = ""

    def _run(self, data: Array, indices: Array, axis: Any = None) -> tuple[Array]:
        axis = int(axis or 0) % data.ndim
        places = list(np.ix_(*map(np.arange, indices.shape)))
        places[axis] = np.where(indices < 0, indices + data.shape[axis], indices)
        return (data[tuple(places)],)


class LRN(OpRun):
    """Divided by a sum of squares of the channels around; the reference goes through as many channels as there are samples."""

    op_domain = ""

    def _run(
        self, x: Array, alpha: Any = None, beta: Any = None, bias: Any = None, size: Any = None
    ) -> tuple[Array]:
        before = (size - 1) // 2
        amounts = [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)]
        squares = sliding_window_view(np.pad(np.square(x), amounts), size, axis=1).sum(axis=-1)
        return ((x / (bias + alpha / size * squares) ** beta).astype(x.dtype),)
