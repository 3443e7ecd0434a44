"""From a trained torch module to the ONNX file that ``onnx2snn`` converts."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from onnx2snn.errors import OutputError
from onnx2snn.model.files import save_model


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    input_name: str = "input",
    output_name: str = "output",
) -> None:
    """Write ``model`` with the ordinary torch exporter: for evaluation, any batch size, weights inside.

    Args:
        model: Takes one tensor (N, ...), gives one; left in the mode that it was in.
        example: An input (N, ...) with the shape of the real ones.
        path: Where the file goes; it appears complete or not at all.
        input_name: Name of the graph's input.
        output_name: Name of the graph's output.

    Raises:
        OutputError: the folder is missing or cannot be written, or onnxscript is not there.
    """
    save_model(to_onnx(model, example, input_name=input_name, output_name=output_name), path)


def to_onnx(
    model: nn.Module, example: Tensor, *, input_name: str = "input", output_name: str = "output"
) -> onnx.ModelProto:
    """What :func:`export_onnx` writes, in memory."""
    if importlib.util.find_spec("onnxscript") is None:
        raise OutputError(
            "torch exports with onnxscript, which is missing", remedy="pip install 'onnx2snn[train]'"
        )
    was_training = model.training
    model.eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter's own making: deprecations, opset conversion
            program = torch.onnx.export(
                model,
                (torch.cat([example[:1]] * 2),),  # a batch of one would be exported as a constant
                input_names=[input_name],
                output_names=[output_name],
                dynamic_shapes=({0: torch.export.Dim("N")},),
                dynamo=True,
                verbose=False,
            )
    finally:
        model.train(was_training)
    if program is None:
        raise AssertionError("the dynamo exporter returns a program")
    proto: onnx.ModelProto = program.model_proto
    return _without_source_paths(proto)


def _without_source_paths(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the stack traces that the exporter keeps on nodes: paths of the machine that trained."""
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    return model
