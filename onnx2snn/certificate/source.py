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
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph import Array, apply_owned, origin
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.exporter import to_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.operators import is_neuron
from onnx2snn.passes.staircase_nodes import SOURCE, SOURCE_TENSOR
from onnx2snn.reference import Runner, loads_in_onnxruntime, make_runner
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
        if values.dtype.kind not in "fiu" or not _fits(values.shape[1:], staircase):
            return np.zeros(values.shape, np.int64), np.zeros(values.shape, bool)
        exact = (values.astype(np.float64) - staircase.shift) / staircase.scale
        k = np.rint(exact)
        reach = staircase.levels + 1 + np.abs(staircase.shift / staircase.scale)
        on_grid = np.abs(exact - k) <= np.minimum(2 * (self.operators + 2) * UNIT * reach, 0.25)
        inside = (k >= 0) & (k <= staircase.ceilings)
        return np.nan_to_num(k, posinf=0, neginf=0).astype(np.int64), on_grid & inside


def _fits(sample: tuple[int, ...], staircase: Staircase) -> bool:
    """Whether parameters by channel fit the shape of one sample."""
    parameters = (staircase.scale, staircase.shift, staircase.ceilings)
    try:
        return np.broadcast_shapes(sample, *(np.shape(a) for a in parameters)) == sample
    except ValueError:
        return False


@dataclass(frozen=True)
class Answer:
    """What the source answered to a batch.

    Attributes:
        levels: By source tensor, the levels of its activations (N, ...).
        on_grid: By source tensor, where the activation holds one of its levels.
        outputs: By name: what these levels led to.
        written: Outputs of the model exactly as its file is written; the same arrays, save where its levels cannot be read.
    """

    levels: dict[str, NDArray[np.int64]]
    on_grid: dict[str, NDArray[np.bool_]]
    outputs: dict[str, Array]
    written: dict[str, Array]


class Source:
    """The source network, instrumented.

    Levels come from the source's own operators, never from the converted model: from the file as it is written, run
    operator by operator; where it does not hold an activation under its name (it was in a function, or in other units), or no
    runtime computes it, from its normalised form, in which integer codes are float32.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = apply_owned(import_model(model), PREPARE)
        levels = apply_owned(graph.copy(), RECOGNISE)
        self.activations = {
            node.attrs[SOURCE_TENSOR]: Activation(
                node.attrs[SOURCE_TENSOR], node.attrs[SOURCE], len(origin(node)) + 2
            )
            for node in levels.nodes
            if is_neuron(node)
        }
        self.outputs = [tensor.name for tensor in graph.outputs]
        self.cut = cut_source(levels)
        self._normalised = make_runner(_with_outputs(graph, list(self.activations)))
        self._written = self._instrumented(model) if loads_in_onnxruntime(model) else None

    def __call__(self, inputs: Mapping[str, Array]) -> Answer:
        """Run the source on a batch."""
        values = self._normalised(inputs)
        normalised = self._read(values)
        written = self._run_written(inputs)
        if written is None:
            return Answer(*normalised, self._outputs(values), self._outputs(values))
        own = self._read(written) if all(name in written for name in self.activations) else None
        if own is not None and all(_alike(own[0][name], normalised[0][name]) for name in self.activations):
            return Answer(*own, self._outputs(written), self._outputs(written))
        return Answer(*normalised, self._outputs(values), self._outputs(written))

    def _instrumented(self, model: onnx.ModelProto) -> Runner | None:
        """The file as it is written, with those activations as further outputs that it holds."""
        there = {name for node in model.graph.node for name in node.output}
        have = {output.name for output in model.graph.output}
        instrumented = onnx.ModelProto()
        instrumented.CopyFrom(model)
        added = [name for name in self.activations if name in there and name not in have]
        instrumented.graph.output.extend(onnx.ValueInfoProto(name=name) for name in added)
        try:
            return make_runner(instrumented)
        except InvalidModelError:
            return None

    def _run_written(self, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
        if self._written is not None:
            try:
                return self._written(inputs)
            except InvalidModelError:
                self._written = None
        return None

    def _outputs(self, values: Mapping[str, Array]) -> dict[str, Array]:
        return {name: values[name] for name in self.outputs}

    def _read(
        self, values: Mapping[str, Array]
    ) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.bool_]]]:
        read = {name: activation.levels(values[name]) for name, activation in self.activations.items()}
        return {name: k for name, (k, _) in read.items()}, {name: ok for name, (_, ok) in read.items()}


def _alike(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    """Whether both are readings of one activation: of one shape, and the same save for what rounding may have decided."""
    return one.shape == other.shape and (one.size == 0 or float(np.mean(one == other)) > 0.5)


def _with_outputs(graph: gs.Graph, names: list[str]) -> onnx.ModelProto:
    tensors = graph.tensors()
    have = {tensor.name for tensor in graph.outputs}
    graph.outputs = [*graph.outputs, *(tensors[name] for name in names if name not in have)]
    return to_model(graph)
