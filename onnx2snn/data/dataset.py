"""A data set: columns that fit a model's inputs, handed out in batches."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.columns import Column
from onnx2snn.data.fitting import Fitting, check_shape
from onnx2snn.data.matching import match
from onnx2snn.data.specs import Array, InputSpec
from onnx2snn.errors import InputError

_LOG = logging.getLogger(__name__)

#: Samples that are looked at when a data set is opened: what is to be said is said before the work.
_FIRST = 16


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
        columns: By name; :func:`match` says which is which input, and which holds the true classes. Columns that the model
            does not know are left alone.
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
        matched = match(columns, specs, source)
        self._columns = matched.inputs
        self._labels, self._labels_name = matched.labels, matched.labels_name
        if not self._columns:
            raise InputError(
                f"{source} holds no inputs",
                found=", ".join(columns) or "nothing",
                remedy="save an array for each input of the network, by its name",
            )
        self._specs = {spec.name: spec for spec in specs or ()}
        for spec in self._specs.values():
            check_shape(spec, self._columns[spec.name], source)
        self._length = self._common_length()
        self._most: int | None = None
        for spec in self._specs.values():
            self._look_at(spec)
        labels = "with labels" if self._labels else "without labels"
        _LOG.debug("%s: %d samples %s of %s", source, self._length, labels, ", ".join(self._columns))

    def __len__(self) -> int:
        return self._length

    def first(self, count: int) -> DataSet:
        """The same data, no more than its first ``count`` samples."""
        part = copy.copy(self)
        part._length = min(count, self._length)  # noqa: SLF001 - one class
        return part

    def at_most(self, count: int) -> DataSet:
        """The same data, in batches of no more than ``count`` samples, whoever asks for more."""
        part = copy.copy(self)
        part._most = count  # noqa: SLF001 - one class
        return part

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
            return self._classes(self._labels.reader(0, stack)(self._length))

    @property
    def fingerprint(self) -> str:
        """A digest of names, shapes, and the sizes and times of files; values themselves are not read."""
        parts = [f"{name} {column.identity}" for name, column in sorted(self._columns.items())]
        parts += [self._labels.identity] if self._labels else []
        parts += [f"{self._length} samples"]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def batches(self, size: int, *, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Samples ``start`` to ``stop`` in order, ``size`` at a time (the last batch may be smaller).

        Raises:
            InputError: a value is not a finite number, or a file is damaged further in.
        """
        if size < 1:
            raise ValueError(f"a batch needs at least one sample, not {size}")
        size = size if self._most is None else min(size, self._most)
        stop = self._length if stop is None else min(stop, self._length)
        if start >= stop:
            return
        with ExitStack() as stack:
            readers = {name: column.reader(start, stack) for name, column in self._columns.items()}
            labels = self._labels.reader(start, stack) if self._labels else None
            for position in range(start, stop, size):
                count = min(size, stop - position)
                inputs = {name: self._convert(name, read(count), position) for name, read in readers.items()}
                yield Batch(position, inputs, self._classes(labels(count)) if labels else None)

    def _look_at(self, spec: InputSpec) -> None:
        """Convert the first samples of an input whose type is not the model's: to say at once what there is to say."""
        column = self._columns[spec.name]
        if column.dtype != spec.dtype:
            with ExitStack() as stack:
                rows = column.reader(0, stack)(min(_FIRST, self._length))
                if np.isfinite(rows).all():  # else the sample is named when its turn comes
                    self._fittings[spec.name](rows, 0)

    @cached_property
    def _fittings(self) -> dict[str, Fitting]:
        return {
            name: Fitting(self._target(name, column), f"'{name}' in {self._source}")
            for name, column in self._columns.items()
        }

    def _convert(self, name: str, rows: Array, position: int) -> Array:
        finite = np.isfinite(rows)
        if not finite.all():
            sample = position + int(np.argmin(finite.reshape(len(rows), -1).all(axis=1)))
            raise InputError(
                f"'{name}' in {self._source} holds a value that is not a finite number",
                found=f"NaN or infinity in sample {sample}",
                remedy="remove or replace such samples",
            )
        return self._fittings[name](rows, position)

    def _classes(self, values: Array) -> NDArray[np.int64]:
        return _as_classes(values, f"'{self._labels_name}' in {self._source}")

    def _target(self, name: str, column: Column) -> np.dtype[Any]:
        return self._specs[name].dtype if name in self._specs else column.dtype.newbyteorder("=")

    def _common_length(self) -> int:
        columns = dict(self._columns) | ({self._labels_name: self._labels} if self._labels else {})
        lengths = {name: column.shape[0] for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise InputError(
                f"the arrays in {self._source} have different numbers of samples",
                found=found,
                remedy="save as many labels, and as much of every input, as there are samples",
            )
        return next(iter(lengths.values()))


def _as_classes(values: Array, where: str) -> NDArray[np.int64]:
    """Class numbers, also where they are floats that hold whole numbers."""
    flat = values.reshape(len(values), -1)
    whole = values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool(np.all(flat == np.rint(flat))))
    if flat.shape[1] != 1 or not whole:
        raise InputError(
            f"{where} are not class numbers",
            found=f"{values.dtype} {values.shape[1:]} a sample",
            remedy="save one integer a sample (numpy.argmax of one-hot labels)",
        )
    return flat[:, 0].astype(np.int64)
