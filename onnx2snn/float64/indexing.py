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

    def _run(self, data: Array, indices: Array, axis: int | None = None) -> tuple[Array]:
        axis = int(axis or 0) % data.ndim
        places = list(np.ix_(*map(np.arange, indices.shape)))
        places[axis] = np.where(indices < 0, indices + data.shape[axis], indices)
        return (data[tuple(places)],)


class LRN(OpRun):
    """Divided by a sum of squares of the channels around; the reference goes through as many channels as there are samples."""

    op_domain = ""

    def _run(
        self, x: Array, alpha: float = 1.0, beta: float = 1.0, bias: float = 1.0, size: int = 1
    ) -> tuple[Array]:
        before = (size - 1) // 2
        amounts = [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)]
        squares = sliding_window_view(np.pad(np.square(x), amounts), size, axis=1).sum(axis=-1)
        return ((x / (bias + alpha / size * squares) ** beta).astype(x.dtype),)


class BatchNormalization(OpRun):
    """In inference, of every operator set; up to 13 the reference mistakes its attributes."""

    op_domain = ""

    def _run(
        self,
        x: Array,
        *given: Array,
        epsilon: float | None = None,
        training_mode: int | None = None,
        **_: Any,
    ) -> tuple[Array]:
        if training_mode or len(self.onnx_node.output) > 1:
            raise NotImplementedError("a batch norm in training mode is not computed")
        column = (-1, *[1] * (x.ndim - 2))
        scale, bias, mean, var = (values.reshape(column) for values in given)
        epsilon = np.float32(1e-5 if epsilon is None else epsilon)
        return (((x - mean) / np.sqrt(var + epsilon) * scale + bias).astype(x.dtype),)


class _Shares(OpRun):
    """Along one axis; up to operator set 12 along all from that one on, which the reference forgets."""

    op_domain = ""

    def _rows(self, x: Array, axis: int | None) -> tuple[Array, int]:
        old = self.run_params["opsets"].get("", 13) < 13
        given = any(attribute.name == "axis" for attribute in self.onnx_node.attribute)
        axis = int(axis) if given and axis is not None else 1 if old else -1
        return (x.reshape(*x.shape[: axis % x.ndim], -1), axis % x.ndim) if old else (x, axis % x.ndim)

    @staticmethod
    def _less_the_largest(x: Array, axis: int) -> Array:
        below: Array = x - x.max(axis=axis, keepdims=True)
        return below


class Softmax(_Shares):
    """Shares of exponentials."""

    def _run(self, x: Array, axis: int | None = None) -> tuple[Array]:
        rows, axis = self._rows(x, axis)
        risen = np.exp(self._less_the_largest(rows, axis))
        return ((risen / risen.sum(axis=axis, keepdims=True)).astype(x.dtype).reshape(x.shape),)


class LogSoftmax(_Shares):
    """Their logarithms."""

    def _run(self, x: Array, axis: int | None = None) -> tuple[Array]:
        rows, axis = self._rows(x, axis)
        below = self._less_the_largest(rows, axis)
        total = np.log(np.exp(below).sum(axis=axis, keepdims=True))
        return ((below - total).astype(x.dtype).reshape(x.shape),)


class LpNormalization(OpRun):
    """Zeros stay zeros; the reference divides them by their norm."""

    op_domain = ""

    def _run(self, x: Array, axis: int = -1, p: int = 2) -> tuple[Array]:
        norm = np.linalg.norm(x, ord=int(p), axis=int(axis), keepdims=True)
        return (np.divide(x, np.where(norm == 0, 1, norm)).astype(x.dtype),)
