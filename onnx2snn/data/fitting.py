"""Whether an array has a model's shape, and its values in the model's type: what is refused, converted, and said."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.columns import Column
from onnx2snn.data.specs import Array, InputSpec
from onnx2snn.errors import InputError

_LOG = logging.getLogger(__name__)


def check_shape(spec: InputSpec, column: Column, source: str) -> None:
    """Refuse what does not have the model's shape, with the way from one to the other where there is one.

    Raises:
        InputError: it does not fit.
    """
    if spec.fits(column.shape[1:]):
        return
    remedy = next(
        (text for text, shape in _reshaped(column.shape, spec) if len(shape) > 1 and spec.fits(shape[1:])),
        "reshape it; samples go along the first axis",
    )
    raise InputError(
        f"'{spec.name}' in {source} does not have the model's shape",
        found=f"{column.shape}, expected {spec}",
        remedy=remedy,
    )


def _reshaped(shape: tuple[int, ...], spec: InputSpec) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What is often meant, and the shape that it has then; the likeliest first."""
    first, rest = shape[0], shape[1:]
    if len(rest) > 1:
        yield (
            "its channels are last, the model's first: save numpy.moveaxis(x, -1, 1)",
            (first, rest[-1], *rest[:-1]),
        )
        yield (
            "its channels are first, the model's last: save numpy.moveaxis(x, 1, -1)",
            (first, *rest[1:], rest[0]),
        )
    yield "it is one sample without the axis of samples: save x[None]", (1, *shape)
    yield "it has no axis of channels: save x[:, None]", (first, 1, *rest)
    yield "it has no axis of channels: save x[..., None]", (*shape, 1)
    sizes = [size for size in spec.shape or () if size is not None]
    if spec.shape is not None and len(sizes) == len(spec.shape) and np.prod(sizes) == np.prod(rest):
        yield f"save x.reshape({', '.join(map(str, ('len(x)', *sizes)))})", (first, *sizes)


def is_whole(dtype: np.dtype[Any]) -> bool:
    """Whether elements of this type are whole numbers or truth values."""
    return dtype.kind in "biu" or dtype.name.startswith(("int", "uint"))


def converted(rows: Array, dtype: np.dtype[Any]) -> tuple[Array, bool]:
    """``rows`` as ``dtype``, and whether every value stayed what it was."""
    if rows.dtype == dtype or np.can_cast(rows.dtype, dtype, "safe"):
        return np.ascontiguousarray(rows, dtype), True
    with np.errstate(all="ignore"):  # what does not survive is what is looked for
        target = np.ascontiguousarray(rows.astype(dtype))
        return target, bool(_unchanged(rows, target).all())


def _unchanged(rows: Array, target: Array) -> NDArray[np.bool_]:
    """Which values survive the way there and back, on the same side of zero: 255 (uint8) is no -1 (int8)."""
    same: NDArray[np.bool_] = (target.astype(rows.dtype) == rows) & (np.less(target, 0) == np.less(rows, 0))
    return same


class Fitting:
    """Converts the rows of one input to the model's type, and says once what may be lost.

    1. Nothing is lost: converted in silence (float64 that holds float32's values, int64 that holds 8-bit ones).
    2. A float is rounded to a narrower one: converted, and said.
    3. A value has no counterpart (256 or 0.5 for 8-bit integers, 1e300 for float32): refused, with its sample.
    4. Pixels of 0 to 255 for a float input: handed on as they are, and said, since most networks read them scaled.

    Args:
        dtype: The model's.
        where: The array, in messages.
    """

    def __init__(self, dtype: np.dtype[Any], where: str) -> None:
        self._dtype, self._where = dtype, where
        self._said: set[str] = set()

    def __call__(self, rows: Array, position: int) -> Array:
        """``rows``, samples from ``position`` on, in the model's type.

        Raises:
            InputError: a value has no counterpart in it.
        """
        target, exact = converted(rows, self._dtype)
        if not exact and (is_whole(self._dtype) or not np.isfinite(target.astype(np.float64)).all()):
            raise self._impossible(rows, target, position)
        if not exact:
            self._say(f"{self._where} is {rows.dtype}, the model reads {self._dtype}: its values are rounded")
        elif rows.dtype == np.uint8 and not is_whole(self._dtype) and rows.max(initial=0) > 1:
            self._say(
                f"{self._where} holds pixels of 0 to 255 (uint8), handed to the model's {self._dtype} input as they are; "
                "if it was trained on pixels of 0 to 1, save x.astype('float32') / 255"
            )
        return target

    def _say(self, remark: str) -> None:
        if remark not in self._said:
            self._said.add(remark)
            _LOG.warning(remark)

    def _impossible(self, rows: Array, target: Array, position: int) -> InputError:
        with np.errstate(all="ignore"):
            same = _unchanged(rows, target)
        lost = int(np.argmin(same.reshape(len(rows), -1).all(axis=1)))
        value = rows[lost].ravel()[int(np.argmin(same[lost].ravel()))]
        return InputError(
            f"{self._where} holds values that the model's {self._dtype} input cannot take",
            found=f"{value} in sample {position + lost}",
            remedy=self._remedy(rows),
        )

    def _remedy(self, rows: Array) -> str:
        if rows.dtype == np.uint8 and self._dtype == np.int8:
            return "where they are pixels of 0 to 255, save (x.astype('int16') - 128).astype('int8')"
        kind = "whole numbers" if is_whole(self._dtype) else "numbers"
        return f"save the values that the network was made for: {kind} within its range"
