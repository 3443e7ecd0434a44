"""Matrix products in which equal rows have equal answers.

BLAS multiplies the last rows of a matrix by other kernels than those before, which round otherwise: what is one number for
all rows of a sample (a bias that tokens share) would come out as several, an ulp apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

Array = NDArray[Any]


def multiplied(rows: Array, columns: Array) -> Array:
    """``rows`` @ ``columns``; of rows that are all equal, one is multiplied."""
    if rows.ndim < 2 or columns.ndim < 2 or rows.shape[-2] < 2 or not _are_equal(rows):
        product: Array = np.matmul(rows, columns)
        return product
    one = np.matmul(rows[..., :1, :], columns)
    return np.repeat(one, rows.shape[-2], axis=-2)


def _are_equal(rows: Array) -> bool:
    first, last = rows[..., :1, :], rows[..., -1:, :]
    return np.array_equal(first, last) and bool((rows == first).all())


class MatMul(OpRun):
    """A product of matrices."""

    op_domain = ""

    def _run(self, a: Array, b: Array) -> tuple[Array]:
        return (multiplied(a, b),)


class Gemm(OpRun):
    """A product of matrices, turned or not, and a term."""

    op_domain = ""

    def _run(self, a: Array, b: Array, c: Array | None = None, **given: Any) -> tuple[Array]:
        product = multiplied(a.T if given.get("transA") else a, b.T if given.get("transB") else b)
        product = product * np.asarray(given.get("alpha", 1.0), product.dtype)
        if c is None:
            return (product,)
        return ((product + c * np.asarray(given.get("beta", 1.0), c.dtype)).astype(product.dtype),)
