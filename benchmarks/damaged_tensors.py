"""Damage to constants, and to what a file declares of its tensors."""

from __future__ import annotations

import random
import struct

import onnx
from damaged_bytes import EXTREMES, FLOATS
from onnx import TensorProto


def constant(model: onnx.ModelProto, draw: random.Random) -> TensorProto:
    held = [a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute if a.HasField("t")]
    return draw.choice([*model.graph.initializer, *held])


def damage_values(model: onnx.ModelProto, draw: random.Random) -> None:
    """One number, or all, of a constant: zero, negative, not a number."""
    tensor = constant(model, draw)
    if tensor.data_type == TensorProto.FLOAT and tensor.raw_data:
        raw = bytearray(tensor.raw_data)
        count = len(raw) // 4
        places = range(count) if draw.random() < 0.3 and count < 5000 else [draw.randrange(count)]
        value = struct.pack("<f", draw.choice(FLOATS))
        for place in places:
            raw[4 * place : 4 * place + 4] = value
        tensor.raw_data = bytes(raw)
    elif tensor.raw_data:
        raw = bytearray(tensor.raw_data)
        raw[draw.randrange(len(raw))] = draw.randrange(256)
        tensor.raw_data = bytes(raw)
    elif tensor.float_data:
        tensor.float_data[draw.randrange(len(tensor.float_data))] = draw.choice(FLOATS)
    elif tensor.int64_data:
        tensor.int64_data[draw.randrange(len(tensor.int64_data))] = draw.choice(EXTREMES)


def damage_dims(model: onnx.ModelProto, draw: random.Random) -> None:
    tensor = constant(model, draw)
    change = draw.randrange(4)
    if change == 0 and tensor.dims:
        tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(EXTREMES)
    elif change == 1:
        tensor.dims.append(draw.choice(EXTREMES))
    elif change == 2 and tensor.dims:
        tensor.dims.pop()
    else:
        dims = list(tensor.dims)
        draw.shuffle(dims)
        tensor.dims[:] = dims


def damage_type(model: onnx.ModelProto, draw: random.Random) -> None:
    kind = draw.choice([*range(30), 1000])
    if draw.random() < 0.5:
        constant(model, draw).data_type = kind
    else:
        draw.choice([*model.graph.input, *model.graph.output]).type.tensor_type.elem_type = kind


def damage_data(model: onnx.ModelProto, draw: random.Random) -> None:
    tensor = constant(model, draw)
    tensor.raw_data = draw.choice((b"", tensor.raw_data[:-1], tensor.raw_data * 2, draw.randbytes(16)))


def damage_declared(model: onnx.ModelProto, draw: random.Random) -> None:
    info = draw.choice([*model.graph.input, *model.graph.output, *model.graph.value_info])
    shape = info.type.tensor_type.shape
    change = draw.randrange(5)
    if change == 0 and shape.dim:
        draw.choice(shape.dim).dim_value = draw.choice(EXTREMES)
    elif change == 1:
        shape.dim.add().dim_value = draw.choice(EXTREMES)
    elif change == 2 and shape.dim:
        del shape.dim[-1]
    elif change == 3:
        info.type.tensor_type.ClearField("shape")
    else:
        info.ClearField("type")
