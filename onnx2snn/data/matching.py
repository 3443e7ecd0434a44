"""Which array of a data file is which input of the model, and which holds the true classes."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Mapping, Sequence

from onnx2snn.data.columns import Column
from onnx2snn.data.specs import InputSpec
from onnx2snn.errors import InputError

_LOG = logging.getLogger(__name__)

#: Names under which data files keep the true classes, the most telling first.
LABELS = ("labels", "label", "y", "targets")
#: Of those, the ones that mean nothing but classes; the others may hold any target.
_ALWAYS = LABELS[:2]


@dataclasses.dataclass(frozen=True)
class Matched:
    """Columns that a model knows.

    Attributes:
        inputs: By input name.
        labels: The true classes; None where the data has none.
        labels_name: The name under which they lie.
    """

    inputs: dict[str, Column]
    labels: Column | None = None
    labels_name: str = LABELS[0]


def match(columns: Mapping[str, Column], specs: Sequence[InputSpec] | None, source: str) -> Matched:
    """Find each input's array, and the labels.

    1. An array that is called like an input is that input, also where its name is one of :data:`LABELS` (unless it has one
       whole number a sample, and not the input's shape).
    2. The first of :data:`LABELS` that is left holds the true classes; ``y`` and ``targets`` only where they are one whole
       number a sample.
    3. A model of one input takes the only array that is left, or the only one that has its shape.
    4. Without a model, every array but the labels is an input.

    Raises:
        InputError: an input has no array; it says what to rename.
    """
    named = {
        spec.name: columns[spec.name]
        for spec in specs or ()
        if spec.name in columns and not _is_rather_labels(spec, columns[spec.name])
    }
    rest = {name: column for name, column in columns.items() if name not in named}
    label = next((name for name in LABELS if name in rest and _may_be_labels(name, rest)), LABELS[0])
    labels = rest.pop(label, None)
    missing = [spec for spec in specs or () if spec.name not in named]
    if len(missing) == 1 == len(specs or ()):
        return _only(missing[0], rest, Matched({}, labels, label), source)
    if missing:
        raise _missing(missing[0].name, rest, columns, source)
    return Matched(rest if specs is None else named, labels, label)


def _may_be_labels(name: str, columns: Mapping[str, Column]) -> bool:
    return name in _ALWAYS or is_class_column(columns[name])


def _is_rather_labels(spec: InputSpec, column: Column) -> bool:
    return spec.name in LABELS and is_class_column(column) and not spec.fits(column.shape[1:])


def is_class_column(column: Column) -> bool:
    """Whether it holds one whole number a sample."""
    return column.dtype.kind in "iu" and column.shape[1:] in ((), (1,))


def _only(spec: InputSpec, columns: Mapping[str, Column], rest: Matched, source: str) -> Matched:
    """The array of the only input, whatever its name; a lone one that is called like labels may be it, too."""
    labels = rest.labels
    if not columns and labels is not None and spec.shape is not None and spec.fits(labels.shape[1:]):
        return Matched({spec.name: labels})
    fitting = [name for name, column in columns.items() if spec.fits(column.shape[1:])]
    chosen = list(columns) if len(columns) == 1 else fitting
    if len(chosen) != 1:
        known = {**columns, **({rest.labels_name: labels} if labels else {})}
        raise _missing(spec.name, {n: columns[n] for n in chosen} or columns, known, source)
    level = logging.INFO if len(columns) == 1 else logging.WARNING
    _LOG.log(level, "%s: '%s' is taken for the model's input '%s'", source, chosen[0], spec.name)
    return dataclasses.replace(rest, inputs={spec.name: columns[chosen[0]]})


def _missing(
    name: str, candidates: Mapping[str, Column], columns: Mapping[str, Column], source: str
) -> InputError:
    near = difflib.get_close_matches(name, candidates, 1)
    if near:
        hint = f"rename '{near[0]}' to '{name}'"
    elif candidates:
        hint = f"rename the one that is the model's input to '{name}': {', '.join(candidates)}"
    else:
        hint = f"add the model's input as an array named '{name}'"
    found = ", ".join(f"{key} {column.shape}" for key, column in columns.items())
    return InputError(f"{source} has no array '{name}'", found=found, remedy=hint)
