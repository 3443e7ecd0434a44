"""A model without its weights: large tensors become references to their place in the model's own file.

ONNX lets a tensor lie in another file, at an offset; here that file is the model itself. Whoever reads
it maps it there.
"""

from __future__ import annotations

from onnx2snn.model.wire import fields, message, number, text

_GRAPH, _INITIALIZER = 7, 5
_TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _EXTERNAL = 9, 13, 14, 1


def without_weights(view: memoryview, location: str, *, large: int) -> bytes:
    """A serialized model whose large initializers are references to their places in a file.

    Args:
        view: The model, as it is in the file.
        location: What the references call the file.
        large: Bytes from which an initializer is large.

    Raises:
        ValueError: it is no protobuf message.
    """
    parts: list[bytes] = []
    for field, kind, value, start, end in fields(view):
        if field != _GRAPH or kind != 2:
            parts.append(bytes(view[start:end]))
            continue
        offset = end - len(value)
        graph = [
            _reference(inner, offset + last - len(inner), location)
            if part == _INITIALIZER and len(inner) >= large
            else bytes(value[first:last])
            for part, _, inner, first, last in fields(value)
        ]
        parts.append(message(_GRAPH, b"".join(graph)))
    return b"".join(parts)


def _reference(tensor: memoryview, offset: int, location: str) -> bytes:
    """An initializer whose raw bytes, if it has any, stay at their place in the file; ``offset``: where it starts itself."""
    kept, place, beside = [], None, False
    for field, kind, value, start, end in fields(tensor):
        beside |= field in (_TENSOR_EXTERNAL, _TENSOR_LOCATION)
        if field == _TENSOR_RAW and kind == 2:
            place = (offset + end - len(value), len(value))
        else:
            kept.append(bytes(tensor[start:end]))
    if place is None or beside:
        return message(_INITIALIZER, bytes(tensor))
    entries = {"location": location, "offset": str(place[0]), "length": str(place[1])}
    kept += [message(_TENSOR_EXTERNAL, text(1, key) + text(2, value)) for key, value in entries.items()]
    return message(_INITIALIZER, b"".join([*kept, number(_TENSOR_LOCATION, _EXTERNAL)]))
