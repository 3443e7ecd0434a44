"""A data set: columns that fit a model's inputs, handed out in batches."""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.columns import Column
from onnx2snn.data.specs import Array, InputSpec
from onnx2snn.errors import InputError

_LOG = logging.getLogger(__name__)

#: The name under which data files keep the true classes.
LABELS = "labels"


@dataclass(frozen=True)
class Batch:
    """Consecutive samples.

    Attributes:
        start: Position of the first in the data set.
        inputs: By input name, (n, ...).
        labels: True classes, int64 (n,), where the data has any.
    """

    start: int
    inputs: dict[str, Array]
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


class DataSet:
    """Samples by input name, streamed: no more than one batch is in memory.

    Args:
        columns: By name. ``labels``, if there, holds the true classes; columns that the model does not know
            are left alone.
        specs: The model's inputs, which the columns have to fit; None takes every column as an input.
        source: What to call the data in messages.

    Raises:
        InputError: an input is missing, or a shape or type does not fit; it says what was expected and found.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        specs: Sequence[InputSpec] | None = None,
        *,
        source: str = "the data",
    ) -> None:
        self._source = source
        self._labels = columns.get(LABELS)
        names = [n for n in columns if n != LABELS] if specs is None else [spec.name for spec in specs]
        for name in names:
            if name not in columns:
                raise _missing(name, columns, source)
        self._columns = {name: columns[name] for name in names}
        if not self._columns:
            raise InputError(f"{source} holds no inputs", found=", ".join(columns) or "nothing")
        self._specs = {spec.name: spec for spec in specs or ()}
        for spec in self._specs.values():
            _check_fit(spec, self._columns[spec.name], source)
        self._length = self._common_length()
        labels = "with labels" if self._labels else "without labels"
        _LOG.debug("%s: %d samples %s of %s", source, self._length, labels, ", ".join(self._columns))

    def __len__(self) -> int:
        return self._length

    @property
    def inputs(self) -> dict[str, InputSpec]:
        """By input name, the type and the sample shape of what :meth:`batches` hands out."""
        return {
            name: InputSpec(name, self._target(name, column), column.shape[1:])
            for name, column in self._columns.items()
        }

    @property
    def has_labels(self) -> bool:
        """Whether the data says what each sample truly is."""
        return self._labels is not None

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """All true classes, int64 (N,); None where the data has none."""
        if self._labels is None:
            return None
        with ExitStack() as stack:
            return _as_classes(self._labels.reader(0, stack)(self._length), self._source)

    @property
    def fingerprint(self) -> str:
        """A digest of names, shapes, and the sizes and times of files; values themselves are not read."""
        parts = [f"{name} {column.identity}" for name, column in sorted(self._columns.items())]
        parts += [self._labels.identity] if self._labels else []
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def batches(self, size: int, *, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Samples ``start`` to ``stop`` in order, ``size`` at a time (the last batch may be smaller).

        Raises:
            InputError: a value is not a finite number, or a file is damaged further in.
        """
        if size < 1:
            raise ValueError(f"a batch needs at least one sample, not {size}")
        stop = self._length if stop is None else min(stop, self._length)
        if start >= stop:
            return
        with ExitStack() as stack:
            readers = {name: column.reader(start, stack) for name, column in self._columns.items()}
            labels = self._labels.reader(start, stack) if self._labels else None
            for position in range(start, stop, size):
                count = min(size, stop - position)
                inputs = {name: self._convert(name, read(count), position) for name, read in readers.items()}
                yield Batch(position, inputs, _as_classes(labels(count), self._source) if labels else None)

    def _convert(self, name: str, rows: Array, position: int) -> Array:
        finite = np.isfinite(rows)
        if not finite.all():
            sample = position + int(np.argmin(finite.reshape(len(rows), -1).all(axis=1)))
            raise InputError(
                f"'{name}' in {self._source} holds a value that is not a finite number",
                found=f"NaN or infinity in sample {sample}",
                remedy="remove or replace such samples",
            )
        return np.ascontiguousarray(rows, self._target(name, self._columns[name]))

    def _target(self, name: str, column: Column) -> np.dtype[Any]:
        return self._specs[name].dtype if name in self._specs else column.dtype.newbyteorder("=")

    def _common_length(self) -> int:
        columns = dict(self._columns) | ({LABELS: self._labels} if self._labels else {})
        lengths = {name: column.shape[0] for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise InputError(f"the arrays in {self._source} have different numbers of samples", found=found)
        return next(iter(lengths.values()))


def _missing(name: str, columns: Mapping[str, Column], source: str) -> InputError:
    near = difflib.get_close_matches(name, columns, 1) or (list(columns) if len(columns) == 1 else [])
    hint = f"rename '{near[0]}' to '{name}'" if near else f"add the model's input as an array named '{name}'"
    return InputError(f"{source} has no array '{name}'", found=", ".join(columns), remedy=hint)


def _check_fit(spec: InputSpec, column: Column, source: str) -> None:
    if not spec.fits(column.shape[1:]):
        raise InputError(
            f"'{spec.name}' in {source} does not have the model's shape",
            found=f"{column.shape}, expected {spec}",
            remedy="reshape it; samples go along the first axis",
        )
    if not np.can_cast(column.dtype, spec.dtype, "safe"):
        raise InputError(
            f"'{spec.name}' in {source} does not have the model's type",
            found=f"{column.dtype}, expected {spec.dtype}",
            remedy=f"convert it first: array.astype('{spec.dtype}')",
        )


def _as_classes(values: Array, source: str) -> NDArray[np.int64]:
    flat = values.reshape(len(values), -1)
    if flat.shape[1] != 1 or values.dtype.kind not in "iu":
        raise InputError(
            f"'{LABELS}' in {source} are not class numbers",
            found=f"{values.dtype} {values.shape[1:]} a sample",
            remedy="save one integer a sample (numpy.argmax of one-hot labels)",
        )
    return flat[:, 0].astype(np.int64)
