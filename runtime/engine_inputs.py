"""What a model declares of the arrays that it reads and writes, and whether an array is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnx2snn.errors import InputError

Array: TypeAlias = NDArray[Any]
#: Engines hold entries of so many axes in ONNX's own order.
_ANY_ORDER = 2


@dataclass(frozen=True)
class EngineInput:
    """An input as the model declares it; None stands for any size."""

    shape: tuple[int | None, ...]
    dtype: str

    def checked(self, name: str, value: ArrayLike) -> Array:
        """``value`` as an array in the model's type, if it fits.

        Raises:
            InputError: rank or size differ, values have no counterpart in the model's type, or it holds NaN or infinity.
        """
        try:
            array = self._typed(name, np.asarray(value))
        except ValueError as error:  # lists of different lengths
            remedy = "give rows of the same length"
            raise InputError(
                f"input '{name}' is no array", found=str(error).split(".")[0], remedy=remedy
            ) from error
        sizes = zip(self.shape[1:], array.shape[1:], strict=False)
        if array.ndim != len(self.shape) or any(s is not None and s != found for s, found in sizes):
            wanted = "(N" + "".join(f", {s if s is not None else '?'}" for s in self.shape[1:]) + ")"
            raise InputError(
                f"input '{name}' has the wrong shape", found=array.shape, remedy=f"give it {wanted}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"input '{name}' holds NaN or infinity", remedy="clean the data first")
        return array

    def _typed(self, name: str, array: Array) -> Array:
        """In the model's type: floats are rounded to a narrower float, all other values have to stay what they are."""
        wanted = np.dtype(self.dtype)
        if array.dtype == wanted:
            return array
        if array.dtype.kind in "biuf":
            with np.errstate(all="ignore"):  # what does not survive is refused below
                target = array.astype(wanted)
                floats = array.dtype.kind == wanted.kind == "f"
                kept = (
                    np.isfinite(target) | ~np.isfinite(array)
                    if floats
                    else target.astype(array.dtype) == array
                )
            if kept.all() and not (wanted.kind == "u" and (array < 0).any()):
                return target
        raise InputError(
            f"input '{name}' has the wrong dtype", found=array.dtype, remedy=f"convert it to {self.dtype}"
        )


def fixed_batch(inputs: Mapping[str, EngineInput]) -> int | None:
    """Samples that are presented at a time, None for any number."""
    return at_a_time(spec.shape[0] for spec in inputs.values() if spec.shape)


def at_a_time(batches: Iterable[int | None]) -> int | None:
    """The batch that inputs fix, None where none does: those that leave it open take what the others want.

    >>> at_a_time([None, 4]), at_a_time([None, None])
    (4, None)
    """
    fixed = {size for size in batches if size is not None}
    return fixed.pop() if len(fixed) == 1 else None


def in_order(answers: Mapping[str, Array]) -> dict[str, Array]:
    """Answers as whoever asked gets them, their entries one after the other: engines may hold channels last."""
    return {
        name: np.ascontiguousarray(value) if value.ndim > _ANY_ORDER else value
        for name, value in answers.items()
    }


def open_or_fixed(axes: Sequence[int | str]) -> tuple[int | None, ...]:
    """Sizes, None for those that are open."""
    return tuple(size if isinstance(size, int) else None for size in axes)


def declared_axes(infos: Iterable[Any]) -> dict[str, tuple[int | str, ...]]:
    """By name, the axes that ``onnx.ValueInfoProto`` declare: a size, or the name of one that is open, which may be empty."""
    dims = {info.name: info.type.tensor_type.shape.dim for info in infos}
    return {name: tuple(d.dim_param or d.dim_value or "" for d in each) for name, each in dims.items()}
