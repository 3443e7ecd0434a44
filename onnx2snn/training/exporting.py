"""From a trained torch module to the ONNX file that ``onnx2snn`` converts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from torch import Tensor, nn

from onnx2snn.exact.snapping import RANGE, snap
from onnx2snn.model.files import save_model
from onnx2snn.model.torch_modules import module_to_onnx
from onnx2snn.training.qcfs import QCFS


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    input_name: str = "input",
    output_name: str = "output",
    exact: bool = True,
) -> None:
    """Write ``model`` with the ordinary torch exporter: for evaluation, any batch size, weights inside.

    Args:
        model: Takes one tensor (N, ...), gives one; left in the mode that it was in.
        example: An input (N, ...) with the shape of the real ones.
        path: Where the file goes; it appears complete or not at all.
        input_name: Name of the graph's input.
        output_name: Name of the graph's output.
        exact: With QCFS activations: round weights, biases and the input, from −8 to 8 or in the range of an ``example``
            that exceeds it, to grids on which float32 adds exactly (:func:`onnx2snn.snap`).

    Raises:
        OutputError: the folder is missing or cannot be written, or onnxscript is not there.
        ConversionError: torch cannot export it.
    """
    found = to_onnx(model, example, input_name=input_name, output_name=output_name)
    if exact and any(isinstance(child, QCFS) for child in model.modules()):
        values = example.detach().cpu().numpy()
        found = snap(found, {input_name: values} if np.abs(values).max(initial=0) > RANGE else None).model
    save_model(found, path)


def to_onnx(
    model: nn.Module, example: Tensor, *, input_name: str = "input", output_name: str = "output"
) -> onnx.ModelProto:
    """What :func:`export_onnx` writes, in memory."""
    return module_to_onnx(model, example, input_names=[input_name], output_names=[output_name])
