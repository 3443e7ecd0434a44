"""Reading and writing model files: what is read is checked, what is written is whole or not there."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx.external_data_helper import uses_external_data

from onnx2snn.atomic_files import draft_folder, place
from onnx2snn.errors import InvalidModelError, OutputError
from onnx2snn.model.checks import check_rules
from onnx2snn.model.external_data import locate_external, tensors_of
from onnx2snn.model.file_kinds import MODEL, folder_remedy, kind_of, missing_remedy
from onnx2snn.model.foreign import foreign_kind, written_as_onnx
from onnx2snn.model.in_place import without_weights
from onnx2snn.model.quantiser_repairs import with_valid_quantisers
from onnx2snn.model.repairs import repaired
from onnx2snn.model.weights import SplitModel, split_model
from onnx2snn.model.writer import write_beside, write_embedded

#: Protobuf holds no message of 2 GiB; what is near it keeps its weights in a file of their own.
LARGEST = 2**31 - 2**20

#: Bytes from which a tensor may be left in the model's file.
IN_PLACE = 1 << 20

_LOG = logging.getLogger(__name__)
_REMEDY = "give the path of an ONNX file"


def load_model(model: str | Path | onnx.ModelProto, *, in_place: bool = False) -> onnx.ModelProto:
    """Read and check a model; one that is in memory already is checked only, and not changed.

    What many exporters leave out is put back (:mod:`onnx2snn.model.repairs`). A network of another framework is read through the
    tool that writes it as ONNX, where that is installed (:mod:`onnx2snn.model.foreign`).

    Weights in files beside the model are read from the model's own folder, and from nowhere else. The large ones stay where
    they are; :func:`onnx2snn.model.weights.split_model` maps them.

    Args:
        model: A path, or a model in memory.
        in_place: Leave large weights inside of the model's own file where they are too: they are never copied.

    Raises:
        InvalidModelError: it is missing, empty, damaged, no ONNX, or against the rules of ONNX.
    """
    if isinstance(model, onnx.ModelProto):
        if any(map(uses_external_data, tensors_of(model))):
            raise InvalidModelError(
                "the model's weights are in files that it does not hold",
                remedy="give its path, or read it with onnx.load",
            )
        whole = with_valid_quantisers(repaired(model))
        _check(whole, "the model")
        return whole
    path = Path(model)
    name = f"'{model}'"
    kind = foreign_kind(path)
    if kind is not None:
        return load_model(onnx.ModelProto.FromString(written_as_onnx(path, kind, name)))
    loaded = _parsed(_without_weights(path, name) if in_place else read_file(path, name), path, name)
    if not loaded.graph.node:
        raise _foreign(path, name) or InvalidModelError(f"{name} holds no network", remedy=_REMEDY)
    locate_external(loaded, path, name)
    loaded = with_valid_quantisers(repaired(loaded))
    _check(loaded, name)
    opsets = ", ".join(f"{opset.domain or 'ai.onnx'} {opset.version}" for opset in loaded.opset_import)
    _LOG.debug("read %s: %d nodes, %s", name, len(loaded.graph.node), opsets)
    return loaded


def _without_weights(path: Path, name: str) -> bytes:
    """The bytes of a model file, its large weights as references to it; as they are where they are no message."""
    with _readable(path, name), path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size < IN_PLACE:
            return stream.read()
        mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        return without_weights(mapped, os.path.realpath(path), large=IN_PLACE)
    except ValueError:  # protobuf says what is wrong, or knows better
        return bytes(mapped)


def _parsed(content: bytes, path: Path, name: str) -> onnx.ModelProto:
    if not content:
        raise InvalidModelError(f"{name} is empty", remedy="export the network again")
    loaded = onnx.ModelProto()
    try:
        loaded.ParseFromString(content)
    except MemoryError:
        raise
    except Exception as error:  # protobuf's DecodeError, whatever its implementation
        damaged = InvalidModelError(
            f"{name} is no ONNX file, or a damaged one", remedy="export the network again"
        )
        raise _foreign(path, name) or damaged from error
    return loaded


def _foreign(path: Path, name: str) -> InvalidModelError | None:
    """What to do with a file of another kind; None for one of a kind that is not known."""
    kind = kind_of(path)
    if kind is None or kind is MODEL:
        return None
    return InvalidModelError(f"{name} is no ONNX model but {kind.name}", remedy=kind.to_model)


def read_file(path: Path, name: str) -> bytes:
    """The bytes of a model file.

    Raises:
        InvalidModelError: it does not exist, cannot be read, is no regular file, or too large for a model.
    """
    with _readable(path, name):
        return path.read_bytes()


@contextlib.contextmanager
def _readable(path: Path, name: str) -> Iterator[None]:
    """Reading a model file; errors as those of :func:`read_file`."""
    try:
        if path.is_dir():
            raise InvalidModelError(f"{name} is a folder, not a model", remedy=folder_remedy(path) or _REMEDY)
        if path.exists() and not path.is_file():
            raise InvalidModelError(f"{name} cannot be read", found="no file", remedy=_REMEDY)
        if path.stat().st_size >= 2**31:
            too_large = InvalidModelError(
                f"{name} is no ONNX file: they are smaller than 2 GiB", remedy=_REMEDY
            )
            raise _foreign(path, name) or too_large
        yield
    except FileNotFoundError as error:
        raise InvalidModelError(f"{name} does not exist", remedy=missing_remedy(path) or _REMEDY) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidModelError(f"{name} cannot be read", found=reason, remedy=_REMEDY) from error


def _check(model: onnx.ModelProto, name: str) -> None:
    try:
        check_rules(model)
    except (InvalidModelError, MemoryError):
        raise
    except Exception as error:  # as above
        raise InvalidModelError(
            f"{name} is against the rules of ONNX",
            found=_first_line(error),
            remedy="export the network again",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def save_model(model: onnx.ModelProto | SplitModel, path: str | Path) -> None:
    """Write ``model`` to ``path``, whole or not at all; what an earlier run that was killed has left there is cleared away.

    From 2 GiB on its weights go to ``<path>.<digest>.data`` beside it: under a name of their own, so that the model and its
    weights belong together at every moment. The weights of the file that was there before are removed last.

    Raises:
        OutputError: the folder does not exist, or the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    whole = model if isinstance(model, SplitModel) else split_model(model)
    size = whole.structure.ByteSize() + sum(values.nbytes for values in whole.weights.values())
    with draft_folder(path) as folder:
        draft = folder / "model"
        if size < LARGEST:
            with draft.open("wb") as stream:
                write_embedded(whole, stream)
            kept = None
        else:
            kept = _place_weights(whole, draft, folder / "weights", target)
        place(draft, target)
        _remove_old_weights(target, kept)


def _place_weights(model: SplitModel, draft: Path, weights: Path, target: Path) -> str:
    with weights.open("wb") as stream:
        structure, digest = write_beside(model, stream)
    name = f"{target.name}.{digest}.data"
    for tensor in structure.graph.initializer:
        if tensor.name in model.weights:
            tensor.external_data.add(key="location", value=name)
    content = structure.SerializeToString()
    if len(content) >= LARGEST:
        raise OutputError(
            f"cannot write {target}: its structure alone is larger than protobuf's 2 GiB",
            remedy="export the network with fewer operators in one file (a part of it), or with its weights as initialisers",
        )
    draft.write_bytes(content)
    place(weights, target.with_name(name))
    return name


def _remove_old_weights(target: Path, kept: str | None) -> None:
    ours = re.compile(re.escape(target.name) + r"\.[0-9a-f]{16}\.data")
    for name in os.listdir(target.parent):  # noqa: PTH208 - no glob: a name may hold its special characters
        if ours.fullmatch(name) and name != kept:
            with contextlib.suppress(OSError):
                (target.parent / name).unlink()
