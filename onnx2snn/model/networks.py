"""What names a network: a path, a model in memory, or something that holds one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import onnx

from onnx2snn.errors import InputError


class Made(Protocol):
    """A conversion, a calibration, a compiled network: it holds a model."""

    @property
    def model(self) -> onnx.ModelProto:
        """The model."""
        ...


Network: TypeAlias = str | Path | onnx.ModelProto | Made


def named(network: Network) -> str | Path | onnx.ModelProto:
    """The path, or the model that ``network`` holds.

    Raises:
        InputError: it is a torch module, or nothing that holds a model.
    """
    if isinstance(network, (str, os.PathLike, onnx.ModelProto)):
        return network
    if is_module(network):
        remedy = "give the source of its conversion: onnx2snn.convert(module, example_inputs).source"
        raise InputError("a torch module is no ONNX network", found=type(network).__name__, remedy=remedy)
    model = getattr(network, "model", None)
    if not isinstance(model, onnx.ModelProto):
        remedy = "give a path, an onnx.ModelProto, or what convert, calibrate or compile made"
        raise InputError("this is no network", found=type(network).__name__, remedy=remedy)
    return model


def name_of(network: Network) -> str:
    """What to call it: the file's name, or the graph's."""
    found = named(network)
    return (found.graph.name or "model") if isinstance(found, onnx.ModelProto) else Path(found).name


def is_module(network: Any) -> bool:
    """Whether it is a torch module; torch is not loaded to tell."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.nn.Module)
