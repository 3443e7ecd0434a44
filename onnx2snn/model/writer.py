"""A model and its weights as bytes: the weights are written straight from their arrays, one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import onnx

from onnx2snn.model import wire
from onnx2snn.model.weights import Array, SplitModel, is_hollow

#: Tensors in a file of weights begin at multiples of this: pages can be mapped.
ALIGNED = 4096

# Field numbers of ModelProto, GraphProto and TensorProto.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9


def write_embedded(model: SplitModel, stream: IO[bytes]) -> None:
    """Write one message with everything in it; a ModelProto of it all is never made."""
    content = memoryview(model.structure.SerializeToString())
    for number, _, value, start, end in wire.fields(content):
        if number != _GRAPH:
            stream.write(content[start:end])
            continue
        parts = list(_graph_parts(value, model))
        stream.write(wire.head(_GRAPH, sum(len(part) + _size(values) for part, values in parts)))
        for part, values in parts:
            stream.write(part)
            if values is not None:
                stream.write(little_endian(values))


def _graph_parts(graph: memoryview, model: SplitModel) -> Iterator[tuple[bytes | memoryview, Array | None]]:
    """The graph's fields, each with the values that follow it."""
    for number, _, value, start, end in wire.fields(graph):
        tensor = onnx.TensorProto.FromString(bytes(value)) if number == _INITIALIZER else None
        if tensor is None or not is_hollow(tensor):
            yield graph[start:end], None
            continue
        values = model.weights[tensor.name]
        tensor.ClearField("data_location")
        begun: bytes = tensor.SerializeToString() + wire.head(_RAW_DATA, values.nbytes)
        yield wire.head(_INITIALIZER, len(begun) + values.nbytes) + begun, values


def _size(values: Array | None) -> int:
    return 0 if values is None else values.nbytes


def write_beside(model: SplitModel, stream: IO[bytes]) -> tuple[onnx.ModelProto, str]:
    """Write the weights alone.

    Returns:
        The structure, which knows where each tensor lies but not the name of the file, and a digest of the weights.
    """
    structure = onnx.ModelProto()
    structure.CopyFrom(model.structure)
    digest = hashlib.blake2b(digest_size=8)
    for tensor in filter(is_hollow, structure.graph.initializer):
        stream.seek(-(-stream.tell() // ALIGNED) * ALIGNED)
        values = little_endian(model.weights[tensor.name])
        for key, number in {"offset": stream.tell(), "length": values.nbytes}.items():
            tensor.external_data.add(key=key, value=str(number))
        stream.write(values)
        digest.update(values)
    return structure, digest.hexdigest()


def little_endian(values: Any) -> memoryview:
    """The bytes of an array as ONNX stores them; nothing is copied where they lie so already."""
    array = np.asarray(values)
    stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return stored.reshape(-1).view(np.uint8).data
