"""The source's side of a certificate: its own levels, and its affine maps between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.certificate.cuts import cut_source
from onnx2snn.certificate.rounding import UNIT
from onnx2snn.graph import Array, apply_owned, origin
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.exporter import to_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.operators import is_neuron
from onnx2snn.passes.staircase_nodes import SOURCE, SOURCE_TENSOR
from onnx2snn.reference import make_runner
from onnx2snn.staircases import Staircase


@dataclass(frozen=True)
class Activation:
    """An activation of the source.

    Attributes:
        tensor: The source tensor that holds α·k + o.
        staircase: Its parameters.
        operators: How many operators of the source compute it: each rounds once.
    """

    tensor: str
    staircase: Staircase
    operators: int

    def levels(self, values: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The level k of activations α·k + o (N, ...), and where they are such numbers, up to the source's rounding."""
        staircase = self.staircase
        exact = (values.astype(np.float64) - staircase.shift) / staircase.scale
        k = np.rint(exact)
        reach = staircase.levels + 1 + np.abs(staircase.shift / staircase.scale)
        on_grid = np.abs(exact - k) <= np.minimum(2 * (self.operators + 2) * UNIT * reach, 0.25)
        inside = (k >= 0) & (k <= staircase.ceilings)
        return np.nan_to_num(k, posinf=0, neginf=0).astype(np.int64), on_grid & inside


class Source:
    """The source network, instrumented.

    Levels come from the source's own operators (normalised: integer codes as float32), never from the converted model.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = apply_owned(import_model(model), PREPARE)
        levels = apply_owned(graph.copy(), RECOGNISE)
        self.activations = {
            node.attrs[SOURCE_TENSOR]: Activation(node.attrs[SOURCE_TENSOR], node.attrs[SOURCE], len(origin(node)) + 2)
            for node in levels.nodes
            if is_neuron(node)
        }
        self.outputs = [tensor.name for tensor in graph.outputs]
        self.cut = cut_source(levels)
        self._run = make_runner(_with_outputs(graph, list(self.activations)))

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Activations by source tensor, and the network's outputs; float32, operator by operator."""
        return self._run(inputs)


def _with_outputs(graph: gs.Graph, names: list[str]) -> onnx.ModelProto:
    tensors = graph.tensors()
    have = {tensor.name for tensor in graph.outputs}
    graph.outputs = [*graph.outputs, *(tensors[name] for name in names if name not in have)]
    return to_model(graph)
