"""From what a user has on disk to a data set."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnx2snn.data.columns import ArrayColumn, Column, JoinedColumn, NpyColumn, NpzColumn, npz_members
from onnx2snn.data.dataset import DataSet
from onnx2snn.data.images import ImageOptions, image_columns, is_image
from onnx2snn.data.matching import LABELS
from onnx2snn.data.specs import InputSpec
from onnx2snn.errors import InputError
from onnx2snn.model.file_kinds import ARRAYS, kind_of, missing_remedy

Source: TypeAlias = str | os.PathLike[str] | NDArray[Any] | Sequence[Any] | Mapping[str, ArrayLike] | DataSet

_LOG = logging.getLogger(__name__)
_REMEDY = (
    "give an .npz (arrays by input name), a .npy, a folder of such shards, or a folder of images by class"
)


def open_data(
    source: Source,
    specs: Sequence[InputSpec] | None = None,
    *,
    images: ImageOptions | None = None,
    batch: int | None = None,
) -> DataSet:
    """Open ``source`` for a model with inputs ``specs``; nothing but headers is read yet.

    1. ``data.npz``: one array per input under its name, or the only input's under any name; true classes under ``labels``,
       ``label``, ``y`` or ``targets``.
    2. ``data.npy``, or an array, a tensor of torch, nested lists: that of the only input.
    3. A folder of .npz shards, read in the order of their names.
    4. A folder of .npy files: one per input if they are named after the inputs, otherwise shards of the only
       input; ``labels.npy`` (or another of its names) beside them.
    5. A folder of folders of images: each sub-folder is a class, numbered in the order of their names.
    6. A mapping from input name to array, or a data set that is open already.

    Args:
        source: The data.
        specs: The model's inputs (:func:`input_specs`); None takes the arrays as they are.
        images: How images become arrays.
        batch: Samples at a time, at most, whoever asks for more.

    Raises:
        InputError: it is missing, damaged, or does not fit the model.
    """
    found = _any_source(source, specs, images)
    return found if batch is None else found.at_most(batch)


def _any_source(source: Source, specs: Sequence[InputSpec] | None, images: ImageOptions | None) -> DataSet:
    if isinstance(source, DataSet):
        return source
    if isinstance(source, Mapping):
        return DataSet({name: _in_memory(name, value) for name, value in source.items()}, specs)
    if not isinstance(source, (str, os.PathLike)):
        return DataSet({_only_input("the array", specs): _in_memory("the array", np.asarray(source))}, specs)
    path = Path(os.fspath(source))
    if path.is_dir():
        return DataSet(_folder_columns(path, specs, images or ImageOptions()), specs, source=str(path))
    if not path.exists():
        remedy = missing_remedy(path) or "check the path of the data"
        raise InputError(f"no such file or folder: {path}", remedy=remedy)
    return DataSet(_file_columns(path, specs), specs, source=str(path))


def _in_memory(name: str, value: ArrayLike) -> Column:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not array.ndim or not array.size:
        raise InputError(
            f"'{name}' is not a numeric array of samples",
            found=f"{array.dtype} {array.shape}",
            remedy="give numbers with the samples along the first axis, numpy.asarray(x, numpy.float32) for example",
        )
    return ArrayColumn(array)


def _file_columns(path: Path, specs: Sequence[InputSpec] | None) -> dict[str, Column]:
    """By what the file's name says, else by what it holds."""
    kind, suffix = kind_of(path), path.suffix.lower()
    if kind is ARRAYS:
        suffix = ".npz" if zipfile.is_zipfile(path) else ".npy"
    if suffix == ".npz":
        return _archive_columns(path, specs)
    if suffix == ".npy":
        return {_only_input(path, specs): NpyColumn(path)}
    if kind is not None:
        raise InputError(f"{path} is no data file but {kind.name}", remedy=kind.to_data)
    raise InputError(f"{path} is not a data file", found=path.suffix or "no file type", remedy=_REMEDY)


def _archive_columns(path: Path, specs: Sequence[InputSpec] | None) -> dict[str, Column]:
    """The inputs and what may be labels; where an input is not there by its name, whatever numeric arrays there are."""
    members = npz_members(path)
    wanted = [spec.name for spec in specs or ()]
    if specs is not None and set(wanted) <= set(members):
        wanted += [name for name in LABELS if name in members and name not in wanted]
        return {name: column for name in wanted if (column := _opened(path, name, wanted[: len(specs)]))}
    return {
        name: column
        for name in members
        if (column := _opened(path, name, members if len(members) == 1 else []))
    }


def _opened(path: Path, member: str, needed: Sequence[str]) -> Column | None:
    """A member of an archive; what is not needed and holds no numbers (names of classes, a single number) is left alone."""
    try:
        return NpzColumn(path, member)
    except InputError as error:
        if member in needed:
            raise
        if member in LABELS:
            _LOG.warning(
                "'%s' in %s are left out, they are no class numbers (%s): number the classes from 0 in the order of the outputs",
                member,
                path,
                error.found or error.message,
            )
        return None


def _only_input(path: Path | str, specs: Sequence[InputSpec] | None) -> str:
    if specs is None:
        return Path(path).stem
    if len(specs) != 1:
        names = ", ".join(spec.name for spec in specs)
        raise InputError(
            f"{path} holds one array, the model has {len(specs)} inputs: {names}", remedy=_REMEDY
        )
    return specs[0].name


def _folder_columns(path: Path, specs: Sequence[InputSpec] | None, images: ImageOptions) -> dict[str, Column]:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    archives = [entry for entry in entries if entry.suffix.lower() == ".npz"]
    arrays = [entry for entry in entries if entry.suffix.lower() == ".npy"]
    if archives:
        return _joined([_file_columns(archive, specs) for archive in archives], archives)
    if arrays:
        return _npy_columns(arrays, specs)
    classes = [entry for entry in entries if entry.is_dir()]
    if any(is_image(file) for folder in classes for file in folder.iterdir()):
        return image_columns(classes, specs, images)
    raise InputError(f"{path} holds no data", remedy=_REMEDY)


def _joined(shards: Sequence[Mapping[str, Column]], files: Sequence[Path]) -> dict[str, Column]:
    names = set(shards[0])
    for shard, file in zip(shards, files, strict=True):
        if set(shard) != names:
            raise InputError(
                f"the shards {files[0].name} and {file.name} hold different arrays",
                found=f"{', '.join(sorted(names))} and {', '.join(sorted(shard))}",
                remedy="save every shard with the same names",
            )
    return {name: JoinedColumn(name, [shard[name] for shard in shards]) for name in sorted(names)}


def _npy_columns(files: Sequence[Path], specs: Sequence[InputSpec] | None) -> dict[str, Column]:
    columns: dict[str, Column] = {file.stem: NpyColumn(file) for file in files}
    if specs is None or {spec.name for spec in specs} <= set(columns):
        return columns
    label = next((name for name in LABELS if name in columns), None)
    inputs = [name for name in columns if name != label]
    if not inputs:
        raise InputError(f"{files[0].parent} holds labels but no inputs", remedy=_REMEDY)
    name = _only_input(files[0].parent, specs)
    labels = {label: columns[label]} if label else {}
    return {name: JoinedColumn(name, [columns[shard] for shard in inputs])} | labels
