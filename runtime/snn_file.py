"""A converted network as bytes: its layer table, and variants of it, without the onnx package.

Protobuf merges repeated messages, so a graph output or a node is added by appending bytes; only the functions of the
dialect are cut out and replaced. Weights are never decoded.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime.bodies import DOMAIN, function_body
from onnx2snn.runtime.draft import Draft, Written
from onnx2snn.runtime.external import check_external, external_tensors
from onnx2snn.runtime.fan_out import by_fan_out
from onnx2snn.runtime.layer_table import read_table
from onnx2snn.runtime.network import read_network
from onnx2snn.runtime.neuron_check import check_neurons
from onnx2snn.runtime.pipeline import Pipeline, make_pipeline
from onnx2snn.runtime.specialise import specialised
from onnx2snn.runtime.weights_in_place import Place, read_in_place
from onnx2snn.runtime.wire import fields, message, value_info

#: Protobuf holds no message of this size.
_TOO_LARGE = 1 << 31
#: The dialect that this runtime understands.
VERSION = 2
TABLE_KEY, COUNTING_KEY = "onnx2snn", "onnx2snn.counting"

# Field numbers of ModelProto and its parts.
_GRAPH, _OPSET, _METADATA, _FUNCTION = 7, 8, 14, 25
_GRAPH_OUTPUT, _KEY, _VALUE = 12, 1, 2


@dataclass(frozen=True)
class SnnFile:
    """A spiking network in memory.

    Attributes:
        content: The serialized model.
        table: Its layer table.
        counting: The graph fragment that counts synaptic operations, serialized; None in files without.
        opset: Version of the default operator set.
        beside: Whether weights are in a file of their own.
        place: The file that holds the large weights of ``content``; None where it holds them itself.
    """

    content: bytes
    table: dict[str, Any]
    counting: bytes | None
    opset: int
    beside: bool = False
    place: Place | None = None

    @property
    def timesteps(self) -> int:
        """T of the network."""
        return int(self.table["timesteps"])

    @property
    def coding(self) -> str:
        """What a spike carries: ``binary`` 2^(T−t), ``rate`` 1."""
        return str(self.table.get("coding", "binary"))

    def with_execution(self, execution: str) -> bytes:
        """The model whose functions have the bodies of ``execution``."""
        view = memoryview(self.content)
        parts: list[bytes | memoryview] = []
        names: list[str] = []
        for field, _, value, start, end in fields(view):
            name = _dialect_function(value) if field == _FUNCTION else None
            if name is None:
                parts.append(view[start:end])
            else:
                names.append(name)
        bias = str(self.table.get("bias", "once"))
        bodies = (self._body(n, execution, bias) for n in names)
        return b"".join([*parts, *(message(_FUNCTION, body) for body in bodies)])

    def _body(self, name: str, execution: str, bias: str) -> bytes:
        if not name.startswith("Table"):
            return function_body(name, execution=execution, bias=bias, opset=self.opset, coding=self.coding)
        from onnx2snn.dialect import functions  # noqa: PLC0415 - needs the onnx package

        body = functions.function_body(
            name, timesteps=self.timesteps, execution=execution, bias=bias, opset=self.opset
        )
        return bytes(body.SerializeToString())

    def specialised(self, content: bytes, *, execution: str, folder: Path | None, growth: float) -> Written:
        """``content``, a variant of this network, in operators that are fast (:mod:`onnx2snn.runtime.specialise`).

        Biases that enter at every step are there to be studied, and so is the rate code; networks that hold them stay as
        they are.

        Raises:
            InvalidModelError: it cannot be read.
        """
        if self.table.get("bias", "once") != "once" or self.coding != "binary":
            return Written(content)
        try:
            return specialised(content, execution=execution, opset=self.opset, folder=folder, growth=growth)
        except (ValueError, KeyError, IndexError) as error:
            raise _damaged(error) from error

    def counts_synops(self, content: bytes, folder: Path | None) -> bytes:
        """``content``, a variant of this network that counts spikes, counting synaptic operations as well.

        Raises:
            InvalidModelError: it cannot be read.
        """
        if self.counting is None:
            return content
        try:
            values = Draft(read_network(self.content), folder).value
            return with_graph(content, by_fan_out(self.counting, values, self.timesteps))
        except (ValueError, KeyError, IndexError) as error:
            raise _damaged(error) from error

    def pipeline(self, content: bytes) -> Pipeline:
        """``content``, a variant of this network, cut into time steps.

        Raises:
            InvalidModelError: it joins spikes and analog values in a way that the dialect does not know, or is rate-coded.
        """
        if self.coding != "binary":
            remedy = "run it spiking, or convert it with the binary code"
            raise InvalidModelError("a rate-coded network is not streamed in phases", remedy=remedy)
        bias = str(self.table.get("bias", "once"))
        try:
            return make_pipeline(content, timesteps=self.timesteps, bias=bias, opset=self.opset)
        except (ValueError, KeyError, IndexError) as error:
            raise InvalidModelError(
                "this network cannot be streamed", found=str(error), remedy="convert it again"
            ) from error


def with_outputs(content: bytes, names: Iterable[str]) -> bytes:
    """The model with further graph outputs."""
    added = b"".join(message(_GRAPH_OUTPUT, value_info(name)) for name in names)
    return content + message(_GRAPH, added) if added else content


def with_graph(content: bytes, fragment: bytes) -> bytes:
    """The model with the nodes and outputs of a graph fragment behind its own."""
    return content + message(_GRAPH, fragment)


def read_snn(model: str | Path | bytes) -> SnnFile:
    """Read a converted network.

    Raises:
        InvalidModelError: it is missing, damaged, no spiking network, or of a newer dialect.
    """
    try:
        view, content, place = _read(model)
        check_external(external_tensors(view), None if isinstance(model, bytes) else Path(model).parent)
        return replace(_parsed(view), content=content, place=place)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidModelError(
            f"{model!s} cannot be read: {reason}", remedy="give the path of a converted model"
        ) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> InvalidModelError:
    return InvalidModelError(
        "this is no ONNX file, or a damaged one", found=str(error), remedy="convert the network again"
    )


def _read(model: str | Path | bytes) -> tuple[memoryview, bytes, Place | None]:
    """The bytes of the whole model; what a session works on, and where that has its weights (None: it holds them)."""
    if isinstance(model, bytes):
        return memoryview(model), model, None
    path = Path(model)
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")
        size = path.stat().st_size
    except ValueError as error:  # a null character
        raise OSError(str(error)) from error
    if size >= _TOO_LARGE:
        raise OSError("it is larger than any ONNX file")
    return read_in_place(path)


def _parsed(view: memoryview) -> SnnFile:
    """All but the content."""
    metadata: dict[str, bytes] = {}
    opset = 1
    for field, _, value, _, _ in fields(view):
        if field == _METADATA:
            entry = {number: bytes(text) for number, _, text, _, _ in fields(value)}
            metadata[entry.get(_KEY, b"").decode()] = entry.get(_VALUE, b"")
        elif field == _OPSET:
            entry = {number: bytes(v) for number, _, v, _, _ in fields(value)}
            if entry.get(1, b"") in (b"", b"ai.onnx"):
                opset = int.from_bytes(entry[2], "little")
    if TABLE_KEY not in metadata:
        remedy = "convert it first: onnx2snn in.onnx out.onnx"
        raise InvalidModelError("this model is no spiking network of onnx2snn", remedy=remedy)
    table = read_table(metadata[TABLE_KEY], VERSION)
    if table["dialect"] > VERSION:
        found = f"dialect {table['dialect']}"
        raise InvalidModelError(
            "this model was written in a newer dialect", found=found, remedy="upgrade onnx2snn"
        )
    check_neurons(view, [layer["output"] for layer in table["layers"]])
    counting = metadata.get(COUNTING_KEY)
    fragment = None if counting is None else base64.b64decode(counting)
    return SnnFile(b"", table, fragment, opset, bool(external_tensors(view)))


def _dialect_function(value: memoryview) -> str | None:
    """The name of a function of the dialect, None for any other function."""
    entry = {
        number: bytes(text) for number, kind, text, _, _ in fields(value) if kind == 2 and number in (1, 10)
    }
    return entry[1].decode() if entry.get(10, b"").decode() == DOMAIN else None
