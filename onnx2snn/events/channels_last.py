"""How tensors lie in memory: channels last, whatever ONNX says of their axes, so that what one event adds lies together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.events.programs import Spelled

Array: TypeAlias = NDArray[Any]


def last(values: Array) -> Array:
    """(N, C, ...) as (N, ..., C); of fewer than three axes as it is. Contiguous."""
    rank = values.ndim
    return np.asarray(values.transpose(0, *range(2, rank), 1) if rank > 2 else values, order="C")


def second(values: Array) -> Array:
    """Back again, as ONNX has them: a view, of which :func:`last` makes no copy."""
    rank = values.ndim
    return values.transpose(0, rank - 1, *range(1, rank - 1)) if rank > 2 else values


def apart(values: Iterable[Array], given: Iterable[Array]) -> list[Array]:
    """``values``, each in memory of its own: a change of shape copies nothing, and of whole tensors begins where they do."""
    taken = {_address(value) for value in given}
    found = []
    for value in values:
        place = _address(value)
        found.append(value.copy() if place in taken else value)
        taken.add(place)
    return found


def _address(value: Array) -> int:
    address: int = value.__array_interface__["data"][0]
    return address


def reshaped(before: Sequence[int | None], sizes: Sequence[int | None]) -> Spelled:
    """A change of shape, from tensors (N, *before) to (N, *sizes): ONNX counts entries channels second."""
    if tuple(before) == tuple(sizes):
        return Spelled("{w0} = {r0}")
    here, there = len(before) + 1, len(sizes) + 1
    text = "{r0}"
    if here > 2:
        text = f"np.ascontiguousarray({text}.transpose({(0, here - 1, *range(1, here - 1))}))"
    text = f"{text}.reshape(({', '.join(map(str, (-1, *sizes)))},))"
    if there > 2:
        text = f"np.ascontiguousarray({text}.transpose({(0, *range(2, there), 1)}))"
    return Spelled(f"{{w0}} = {text}")
