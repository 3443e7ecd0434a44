"""Large weights apart from what is about structure: a model is its nodes and names; its weights are arrays.

Structure is a few kilobytes, whatever the weights are: no tool that serialises a model then meets protobuf's limit of 2 GiB,
and none copies weights to look at nodes. Weights that lie in a file of their own stay there, mapped into memory.
"""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

Array: TypeAlias = NDArray[Any]

#: Tensors of at most so many values stay with the structure: they may be shapes, axes or scales.
SMALL = 1024

#: Tensors of at least so many bytes are mapped, each on its own, so that each is let go when nobody needs it any more;
#: smaller ones are read: a mapping costs an open file.
MAPPED = 1 << 24

#: What opset 21 is written in; since version 4 an initializer need not be an input as well.
IR_VERSION = 10


@dataclass(frozen=True)
class SplitModel:
    """A model and its large weights, apart.

    Attributes:
        structure: The model; its large initializers have names, types and sizes, but no values.
        weights: Their values, by name.
    """

    structure: onnx.ModelProto
    weights: Mapping[str, Array] = field(default_factory=dict)

    @property
    def constants(self) -> dict[str, Array]:
        """The values of all its initializers, large ones and others, by name."""
        held = self.structure.graph.initializer
        return {t.name: numpy_helper.to_array(t) for t in held if not is_hollow(t)} | dict(self.weights)

    def whole(self) -> onnx.ModelProto:
        """A model with everything in it; its weights are copied."""
        model = onnx.ModelProto()
        model.CopyFrom(self.structure)
        for tensor in model.graph.initializer:
            if tensor.name in self.weights:
                tensor.ClearField("data_location")
                tensor.raw_data = np.ascontiguousarray(self.weights[tensor.name]).tobytes()
        return model


def split_model(model: onnx.ModelProto) -> SplitModel:
    """``model``, which is not changed, and its large weights, apart."""
    weights = {tensor.name: values_of(tensor) for tensor in model.graph.initializer if is_large(tensor)}
    return SplitModel(structure_of(model), weights)


def structure_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` without the values of its large initializers."""
    structure: onnx.ModelProto = without(model, "graph")
    structure.graph.CopyFrom(without(model.graph, "initializer"))
    structure.graph.initializer.extend(
        hollow(tensor.name, tensor.data_type, tensor.dims) if is_large(tensor) else tensor
        for tensor in model.graph.initializer
    )
    return structure


def weights_as_inputs(structure: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with inputs in the place of the initializers that have no values."""
    model: onnx.ModelProto = without(structure, "graph")
    model.graph.CopyFrom(without(structure.graph, "initializer"))
    model.ir_version = max(model.ir_version, IR_VERSION)
    declared = {info.name for info in model.graph.input}
    for tensor in structure.graph.initializer:
        if not is_hollow(tensor):
            model.graph.initializer.append(tensor)
        elif tensor.name not in declared:
            info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            model.graph.input.append(info)
    return model


def without(message: Any, *names: str) -> Any:
    """A copy of a message, some fields left out."""
    copy = type(message)()
    for descriptor, value in message.ListFields():
        if descriptor.name in names:
            continue
        if isinstance(value, (str, bytes, int, float)):
            setattr(copy, descriptor.name, value)
        elif hasattr(value, "ListFields"):
            getattr(copy, descriptor.name).CopyFrom(value)
        else:
            getattr(copy, descriptor.name).extend(value)
    return copy


def hollow(name: str, kind: int, dims: Any) -> onnx.TensorProto:
    """An initializer without values."""
    return onnx.TensorProto(name=name, data_type=kind, dims=dims, data_location=onnx.TensorProto.EXTERNAL)


def is_hollow(tensor: onnx.TensorProto) -> bool:
    """Whether it is an initializer without values."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL and not tensor.external_data


def is_large(tensor: onnx.TensorProto) -> bool:
    """Whether an initializer is no part of the structure: many values, of a type that NumPy has."""
    return math.prod(tensor.dims) > SMALL and element_type(tensor) is not None


def element_type(tensor: onnx.TensorProto) -> np.dtype[Any] | None:
    """NumPy's own type of the values; None for numbers of 4 bits, bfloat16 and its like, and strings."""
    plain = tensor.data_type in _PLAIN
    return np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)) if plain else None


_PLAIN = frozenset(
    {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.BOOL,
        onnx.TensorProto.INT8,
        onnx.TensorProto.INT16,
        onnx.TensorProto.INT32,
        onnx.TensorProto.INT64,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.UINT16,
        onnx.TensorProto.UINT32,
        onnx.TensorProto.UINT64,
    }
)


def values_of(tensor: onnx.TensorProto) -> Array:
    """The values of an initializer; those in a file of their own are mapped, or read where they are few."""
    if not uses_external_data(tensor):
        return numpy_helper.to_array(tensor)
    dtype = element_type(tensor)
    if dtype is None:
        raise ValueError(f"{tensor.name} lies in another file, in a type that cannot be mapped")
    place = ExternalDataInfo(tensor)
    shape, offset = tuple(tensor.dims), place.offset or 0
    stored = dtype if sys.byteorder == "little" else dtype.newbyteorder("<")
    if math.prod(shape) * dtype.itemsize >= MAPPED:
        return np.memmap(Path(place.location), stored, "r", offset, shape)
    return np.fromfile(Path(place.location), stored, math.prod(shape), offset=offset).reshape(shape)


def let_go(values: Array) -> None:
    """Give back the memory of a mapped array, until somebody reads it again; of any other array, nothing."""
    base: Any = values
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
