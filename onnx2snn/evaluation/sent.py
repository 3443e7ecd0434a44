"""A model on its way to whoever shares the work."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from onnx2snn.model.files import load_model
from onnx2snn.model.foreign import foreign_kind
from onnx2snn.model.weights import SplitModel, split_model

#: Bytes that are read at a time.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class SentModel:
    """A model as a worker gets it.

    Attributes:
        content: Its path where the worker has the same files, or its weights lie in a file of their own; else its bytes.
        digest: What tells it from another model, whichever way it is sent.
        loaded: The model itself; it is not sent.
    """

    content: str | bytes
    digest: str
    loaded: SplitModel | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, source: str | Path | onnx.ModelProto, model: onnx.ModelProto, *, remote: bool) -> SentModel:
        """``model``, which was loaded from ``source``.

        Args:
            source: Its path, or the model itself.
            model: As loaded.
            remote: Whether workers may be on other machines.
        """
        if isinstance(source, onnx.ModelProto) or foreign_kind(Path(source)) is not None:
            content = model.SerializeToString()
            return cls(content, hashlib.sha256(content).hexdigest(), split_model(model))
        found = hashlib.sha256()
        with Path(source).open("rb") as stream:
            while block := stream.read(_BLOCK):
                found.update(block)
        own = os.path.realpath(source)
        places = (ExternalDataInfo(t).location for t in model.graph.initializer if uses_external_data(t))
        beside = [place for place in places if os.path.realpath(place) != own]
        for place in beside:
            status = Path(place).stat()
            found.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        given: bytes | str = Path(source).read_bytes() if remote and not beside else os.fspath(source)
        return cls(given, found.hexdigest(), split_model(model))

    def __getstate__(self) -> dict[str, Any]:
        """What is sent."""
        return {"content": self.content, "digest": self.digest, "loaded": None}

    def load(self) -> SplitModel:
        """The model, its large weights apart."""
        if self.loaded is not None:
            return self.loaded
        if isinstance(self.content, bytes):
            return split_model(onnx.ModelProto.FromString(self.content))
        return split_model(load_model(self.content, in_place=True))
