"""What a model has to keep to before any library works on it: native code answers some breaches with a crash, or without end."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import onnx
from onnx import numpy_helper
from onnx.external_data_helper import uses_external_data

from onnx2snn.errors import InvalidModelError
from onnx2snn.model.external_data import tensors_of
from onnx2snn.model.nodes import STANDARD
from onnx2snn.model.subgraphs import all_nodes
from onnx2snn.model.weights import SMALL, element_type, is_large, structure_of, weights_as_inputs
from onnx2snn.remedies import DYNAMIC_BATCH, IN_FRONT

#: Functions that call functions that call functions: no exporter nests them deeper.
DEEPEST = 100
#: Values of a sparse tensor, its zeros included: they are written out.
_MOST_SPARSE = 1 << 28
#: Bits of one value, at least, of those types that are stored packed.
_PACKED_BITS = 2


def check_rules(model: onnx.ModelProto) -> None:
    """The rules of ONNX, for the structure, and for every tensor of weights on its own.

    Files older than IR version 4 list every initializer as an input too; those that do not are read all the same.

    Raises:
        Exception: any; its first line says what is wrong.
    """
    light = weights_as_inputs(structure_of(model))
    check_text(light)
    _check_functions(model)
    _check_types(model)
    names = Counter(tensor.name for tensor in model.graph.initializer)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"there are two initializers named '{twice}'")
    for tensor in tensors_of(model):
        _check_values(tensor)
    for sparse in model.graph.sparse_initializer:
        if min(sparse.dims, default=0) < 0 or math.prod(sparse.dims) > _MOST_SPARSE:
            raise ValueError(f"a sparse tensor of {math.prod(sparse.dims)} values")
    _check_operators(light)
    _check_samples(model)
    onnx.checker.check_model(light)
    for tensor in filter(is_large, model.graph.initializer):
        if not uses_external_data(tensor):
            onnx.checker.check_tensor(tensor)


def _check_operators(model: onnx.ModelProto) -> None:
    """Every operator of ONNX's own domain is one; converters leave others there that only the source's framework knows.

    Raises:
        InvalidModelError: one is not; it names the node, and how to do without.
    """
    own = {function.name for function in model.functions if function.domain in STANDARD}
    for node in all_nodes(model.graph.node):
        if node.domain in STANDARD and node.op_type not in own and not onnx.defs.has(node.op_type):
            raise InvalidModelError(
                "ONNX has no such operator, and no runtime computes it",
                node=node.name or next(iter(node.output), ""),
                operator=node.op_type,
                found=f"it reads {', '.join(node.input)}",
                remedy=IN_FRONT,
            )


def _check_samples(model: onnx.ModelProto) -> None:
    """Every input may hold samples.

    Raises:
        InvalidModelError: one declares that it holds nothing; no runtime takes anything else.
    """
    for info in model.graph.input:
        sizes = info.type.tensor_type.shape.dim
        if any(size.HasField("dim_value") and size.dim_value == 0 for size in sizes):
            raise InvalidModelError(
                f"input '{info.name}' holds nothing",
                found=f"sizes {[size.dim_value or size.dim_param or '?' for size in sizes]}",
                remedy=DYNAMIC_BATCH,
            )


def _check_types(model: onnx.ModelProto) -> None:
    for info in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        kind = info.type.tensor_type.elem_type
        if kind not in onnx.TensorProto.DataType.values():
            raise ValueError(f"'{info.name}' has elements of a type that ONNX has not: {kind}")


def check_text(message: Any) -> None:
    """Names and attributes are UTF-8: protobuf hands out what is not as bytes, or fails at the first reader.

    Raises:
        ValueError: one is not.
    """
    for field, value in message.ListFields():
        if field.name in ("raw_data", "string_data"):
            continue
        values = [value] if isinstance(value, (str, bytes)) or hasattr(value, "ListFields") else value
        if isinstance(values, (int, float)) or isinstance(next(iter(values), None), (int, float)):
            continue
        for item in values:
            if isinstance(item, bytes):
                item.decode()
            elif not isinstance(item, str):
                check_text(item)


def _check_values(tensor: onnx.TensorProto) -> None:
    """As many values as the tensor's sizes say; mapped ones were counted when they were found."""
    count, dtype = math.prod(tensor.dims), element_type(tensor)
    if min(tensor.dims, default=0) < 0:
        raise ValueError(f"tensor '{tensor.name}' has a negative size")
    if uses_external_data(tensor):
        return
    stored = len(tensor.raw_data)
    if dtype is not None and tensor.HasField("raw_data"):
        found, wanted = stored, count * dtype.itemsize
    elif dtype is not None:
        found, wanted = max(len(getattr(tensor, name)) for name in _FIELDS), count
    elif tensor.data_type == onnx.TensorProto.STRING:
        found, wanted = len(tensor.string_data), count
    else:
        if count > max(stored, len(tensor.int32_data) * 4) * 8 // _PACKED_BITS + SMALL:
            raise ValueError(f"tensor '{tensor.name}' holds fewer than {count} values")
        numpy_helper.to_array(tensor)  # few types, and rare: the library knows them
        return
    if found != wanted:
        raise ValueError(f"tensor '{tensor.name}' does not hold the {count} values that its sizes say")


_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def _check_functions(model: onnx.ModelProto) -> None:
    """No function calls itself, however indirectly, and none is nested without measure."""
    calls = {
        (function.domain, function.name): {(node.domain, node.op_type) for node in all_nodes(function.node)}
        for function in model.functions
    }
    depth: dict[tuple[str, str], int] = {}
    waiting = dict(calls)
    while waiting:
        ready = [name for name, called in waiting.items() if not any(c in waiting for c in called)]
        if not ready:
            raise ValueError(f"function '{next(iter(waiting))[1]}' calls itself")
        for name in ready:
            depth[name] = 1 + max((depth.get(called, 0) for called in waiting.pop(name)), default=0)
            if depth[name] > DEEPEST:
                raise ValueError(f"its functions are nested more than {DEEPEST} deep")
