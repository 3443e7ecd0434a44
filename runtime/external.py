"""Weights in files beside a spiking network: found by its bytes, and refused where they are not within its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime.wire import fields, read_varint

# Field numbers of ModelProto, GraphProto, NodeProto, AttributeProto, SparseTensorProto and TensorProto.
_GRAPH, _FUNCTION = 7, 25
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15
_ATTRIBUTE, _FUNCTION_NODE = 5, 7
_TENSOR, _TENSORS, _SUBGRAPH, _SUBGRAPHS, _SPARSE_TENSOR = 5, 10, 6, 11, 22
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
#: Deeper subgraphs than protobuf itself reads.
_DEEPEST = 100


def external_tensors(content: memoryview) -> list[dict[str, str]]:
    """What every tensor in a file of its own says of its place: location, offset, length.

    Raises:
        ValueError: the bytes are no model.
    """
    found = []
    for number, kind, value, _, _ in fields(content):
        if number == _GRAPH and kind == 2:
            found += [_place(tensor) for tensor in _of_graph(value, 0) if _is_external(tensor)]
        elif number == _FUNCTION and kind == 2:
            for part, _, node, _, _ in fields(value):
                if part == _FUNCTION_NODE:
                    found += [_place(tensor) for tensor in _of_node(node, 0) if _is_external(tensor)]
    return found


def check_external(tensors: list[dict[str, str]], folder: Path | None) -> None:
    """Refuse places outside of ``folder``, and files that are missing or too short.

    Raises:
        InvalidModelError: names the place.
    """
    for place in tensors:
        location = place.get("location", "")
        if folder is None:
            raise InvalidModelError(
                "its weights are in a file of their own", found=location, remedy="give the path of the model"
            )
        inside = folder.resolve()
        try:
            path = (inside / location).resolve()
            size = path.stat().st_size if path.is_file() else -1
            end = int(place.get("offset", "0")) + int(place.get("length", "0"))
            sound = int(place.get("offset", "0")) >= 0 and 0 <= end <= size
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long; no numbers
            raise InvalidModelError("its weights cannot be read", found=repr(location[:80])) from None
        if not path.is_relative_to(inside):
            raise InvalidModelError("it points to weights outside of its folder", found=str(path))
        if size < 0:
            remedy = "put the file of weights beside the model"
            raise InvalidModelError("it needs weights that are missing", found=path.name, remedy=remedy)
        if not sound:
            raise InvalidModelError("its weights cannot be read", found=f"{path.name} has {size} bytes")


def _of_graph(graph: memoryview, depth: int) -> Iterator[memoryview]:
    if depth > _DEEPEST:
        raise ValueError("its graphs are nested too deep")
    for number, kind, value, _, _ in fields(graph):
        if kind != 2:
            continue
        if number == _INITIALIZER:
            yield value
        elif number == _SPARSE:
            yield from _of_sparse(value)
        elif number == _NODE:
            yield from _of_node(value, depth)


def _of_node(node: memoryview, depth: int) -> Iterator[memoryview]:
    for number, kind, attribute, _, _ in fields(node):
        if number != _ATTRIBUTE or kind != 2:
            continue
        for part, inner, value, _, _ in fields(attribute):
            if inner != 2:
                continue
            if part in (_TENSOR, _TENSORS):
                yield value
            elif part in (_SUBGRAPH, _SUBGRAPHS):
                yield from _of_graph(value, depth + 1)
            elif part == _SPARSE_TENSOR:
                yield from _of_sparse(value)


def _of_sparse(sparse: memoryview) -> Iterator[memoryview]:
    return (value for number, kind, value, _, _ in fields(sparse) if number in (1, 2) and kind == 2)


def _is_external(tensor: memoryview) -> bool:
    return any(
        number == _DATA_LOCATION and kind == 0 and read_varint(value, 0)[0] == 1
        for number, kind, value, _, _ in fields(tensor)
    )


def _place(tensor: memoryview) -> dict[str, str]:
    place = {}
    for number, kind, entry, _, _ in fields(tensor):
        if number == _EXTERNAL_DATA and kind == 2:
            held = {key: str(value, "utf-8") for key, inner, value, _, _ in fields(entry) if inner == 2}
            place[held.get(1, "")] = held.get(2, "")
    return place
