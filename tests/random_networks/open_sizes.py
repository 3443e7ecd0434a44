"""The same network with heights and widths left open, where it runs on other sizes too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnx2snn.errors import InvalidModelError
from onnx2snn.model.reference import run_reference

Arrays = Mapping[str, np.ndarray]


def with_open_sizes(model: onnx.ModelProto, inputs: Arrays) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Sizes behind the channels get names, one for each number, and data twice as large; ``model`` itself where it has none
    or does not run on them."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    for info in opened.graph.input:
        if info.name in inputs:
            for size in info.type.tensor_type.shape.dim[2:]:
                size.dim_param = f"size_{size.dim_value}"
    for info in opened.graph.output:
        for size in info.type.tensor_type.shape.dim[1:]:
            size.Clear()
    larger = {name: _repeated(values) for name, values in inputs.items()}
    if all(larger[name].shape == values.shape for name, values in inputs.items()):
        return model, dict(inputs)
    try:
        run_reference(opened, larger)
    except InvalidModelError:
        return model, dict(inputs)
    return opened, larger


def _repeated(values: np.ndarray) -> np.ndarray:
    """Twice along all axes behind the channels, each copy another way round."""
    for axis in range(2, values.ndim):
        values = np.concatenate([values, np.roll(values, 1, axis)], axis)
    return values
