"""Calibration, layer by layer: each staircase is fitted to the float network with all layers before it quantised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.calibration.thresholds import channels_first, largest, least_squares, percentile
from onnx2snn.data import input_specs, open_data
from onnx2snn.errors import ConversionError, InputError
from onnx2snn.evaluation.work import predicted_classes
from onnx2snn.graph import Array, Names, constant_input, origin, producer_of, tidy
from onnx2snn.model_file import load_model, save_model
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.exporter import to_model, to_split_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.refuse import non_spiking
from onnx2snn.passes.spelling import Spelling
from onnx2snn.reference import make_runner
from onnx2snn.staircases.probe import recognise_checked

Method = Literal["auto", "mse", "percentile", "max"]

#: Samples that are looked at: statistics hardly change beyond, and memory stays bounded.
SAMPLES = 256


@dataclass(frozen=True)
class CalibratedLayer:
    """One activation that became a staircase.

    Attributes:
        name: The user's node.
        operator: What it was.
        thresholds: Number of thresholds: one, or one per channel.
        signal_to_noise: Of its activations against the float network's, in decibels.
    """

    name: str
    operator: str
    thresholds: int
    signal_to_noise: float


@dataclass(frozen=True)
class Calibration:
    """A float network made a quantised one.

    Attributes:
        model: An ordinary ONNX network whose activations are staircases.
        layers: In order.
        timesteps: T; K = 2^T − 1.
        samples: How many were used.
        output_error: Root mean square difference of the outputs from the float network's, relative to their spread.
        top1_agreement: Share of the samples with the same first class; None where outputs are no scores.
        accuracy: Of the float and of the quantised network, where the data has labels.
    """

    model: onnx.ModelProto
    layers: tuple[CalibratedLayer, ...]
    timesteps: int
    samples: int
    output_error: float
    top1_agreement: float | None
    accuracy: dict[str, float] | None

    def save(self, path: str | Path) -> None:
        """Write the model to ``path``, whole or not at all.

        Raises:
            OutputError: it cannot be written there.
        """
        save_model(self.model, path)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the model, as JSON values."""
        return {
            "timesteps": self.timesteps,
            "samples": self.samples,
            "output_error": self.output_error,
            "top1_agreement": self.top1_agreement,
            "accuracy": self.accuracy,
            "layers": [asdict(layer) for layer in self.layers],
        }


def calibrate(
    model: str | Path | onnx.ModelProto,
    data: Any,
    *,
    timesteps: int = 4,
    method: Method = "auto",
    per_channel: bool = True,
) -> Calibration:
    """Replace ReLU, ReLU6, Clip(0, c) and HardSigmoid between synapses by staircases of 2^T − 1 levels.

    Args:
        model: The float network.
        data: Samples without labels: a path, a data set, or {input name: array}. 32 are enough; 256 are used.
        timesteps: T.
        method: How thresholds are chosen: ``max``, ``percentile`` (99.9), ``mse`` (least squared error), or ``auto``: least
            squared error layer by layer, each layer's mean pre-activation corrected for what the layers before it lose.
        per_channel: One threshold per channel rather than per layer.

    Raises:
        ConversionError: an activation has no staircase (LeakyRelu, smooth ones); names node, operator and remedy.
        InputError: the data does not fit.
    """
    return quantised(load_model(model), data, timesteps=timesteps, method=method, per_channel=per_channel)


def quantised(
    source: onnx.ModelProto,
    data: Any,
    *,
    timesteps: int,
    method: Method = "auto",
    per_channel: bool = True,
) -> Calibration:
    """As :func:`calibrate`, of a network that is loaded."""
    if not 1 <= timesteps <= 16:
        raise InputError("T lies between 1 and 16", found=timesteps)
    data_set = open_data(data, input_specs(source))
    batch = next(iter(data_set.batches(SAMPLES)), None)
    if batch is None or not len(batch):
        raise InputError("there are no samples to calibrate with")
    work = _Work(source, batch.inputs, levels=2**timesteps - 1, method=method, per_channel=per_channel)
    layers = tuple(work.quantise(name) for name in work.names)
    if not layers:
        raise ConversionError("there is no float activation to calibrate", remedy="convert it as it is")
    quantised = work.model(source)
    expected, found = work.float_outputs, make_runner(quantised)(batch.inputs)
    first = source.graph.output[0].name
    ann, snn = predicted_classes(expected[first]), predicted_classes(found[first])
    agreement = None if ann is None or snn is None else float(np.mean(ann == snn))
    accuracy = None
    if batch.labels is not None and ann is not None and snn is not None:
        accuracy = {
            "float": float(np.mean(ann == batch.labels)),
            "quantised": float(np.mean(snn == batch.labels)),
        }
    error = _relative_error(expected[first], found[first])
    return Calibration(quantised, layers, timesteps, len(batch), error, agreement, accuracy)


def _relative_error(expected: Array, found: Array) -> float:
    spread = float(np.std(expected.astype(np.float64))) or 1.0
    return float(np.sqrt(np.mean((expected.astype(np.float64) - found) ** 2))) / spread


class _Work:
    """The network while its activations are replaced, one after the other."""

    def __init__(
        self,
        source: onnx.ModelProto,
        inputs: Mapping[str, Array],
        *,
        levels: int,
        method: Method,
        per_channel: bool,
    ) -> None:
        graph = import_model(source)
        for graph_pass in PREPARE:
            graph = graph_pass(graph)
        self._graph = graph
        self._inputs = inputs
        self._levels = levels
        self._method = method
        self._per_channel = per_channel
        self.names = _activations(graph)
        wanted = [node for node in graph.nodes if node.name in self.names]
        tensors = [t.name for node in wanted for t in (node.inputs[0], node.outputs[0])]
        self._float = self._values(list(dict.fromkeys(tensors)))
        self.float_outputs = {t.name: self._float[t.name] for t in graph.outputs}

    def _values(self, names: list[str]) -> dict[str, Array]:
        copy = self._graph.copy()
        tensors = copy.tensors()
        have = {t.name for t in copy.outputs}
        copy.outputs = [*copy.outputs, *(tensors[n] for n in names if n not in have)]
        answer: dict[str, Array] = make_runner(to_split_model(tidy(copy)))(self._inputs)
        return answer

    def quantise(self, name: str) -> CalibratedLayer:
        """Put a staircase in place of the activation ``name``; everything before it is quantised already."""
        node = next(n for n in self._graph.nodes if n.name == name)
        z, output = node.inputs[0], node.outputs[0]
        axis = _channel_axis(node) if self._per_channel else None
        now = self._values([z.name])[z.name]
        target = channels_first(self._float[output.name], axis)
        wanted, current = channels_first(self._float[z.name], axis), channels_first(now, axis)
        scale, shift, ceiling = _line(node)
        correction = np.zeros(len(current))
        if self._method == "auto":
            correction = wanted.mean(axis=1) - current.mean(axis=1)
        driven = scale * (current + correction[:, None]) + shift
        theta = {
            "max": lambda: largest(target, self._levels),
            "percentile": lambda: percentile(target, self._levels),
        }.get(self._method, lambda: least_squares(driven, target, self._levels, ceiling))()
        column = theta[:, None]
        answer = np.clip(np.floor(driven / column + 0.5), 0, self._levels) * column
        shape = (-1,) + (1,) * (len(z.shape) - 1 - axis) if axis is not None else ()
        self._replace(node, theta.reshape(shape), (correction * scale + shift).reshape(shape), scale)
        noise = float(np.mean((answer - target) ** 2))
        power = float(np.mean(target**2))
        ratio = float(10 * np.log10(power / noise)) if noise > 0 and power > 0 else float("inf")
        names = origin(node)
        return CalibratedLayer(names[0] if names else name, node.op, theta.size, ratio)

    def _replace(self, node: gs.Node, theta: NDArray[Any], shift: NDArray[Any], scale: float) -> None:
        spelling = Spelling(self._graph, Names(self._graph), node)
        z, output = node.inputs[0], node.outputs[0]
        node.outputs.clear()
        value = z if scale == 1 else spelling.apply("Mul", z, np.float32(scale))
        if np.any(shift != 0):
            value = spelling.apply("Add", value, shift.astype(np.float32))
        step = theta.astype(np.float32)
        level = spelling.apply(
            "Floor", spelling.apply("Add", spelling.apply("Div", value, step), np.float32(0.5))
        )
        clipped = spelling.apply("Clip", level, np.float32(0), np.float32(self._levels))
        spelling.apply("Mul", clipped, step, output=output)
        self._graph = tidy(self._graph)

    def model(self, source: onnx.ModelProto) -> onnx.ModelProto:
        """The network as it stands, with inputs and outputs as the source declares them."""
        model = to_model(self._graph)
        for ours, theirs in (
            (model.graph.input, source.graph.input),
            (model.graph.output, source.graph.output),
        ):
            declared = {info.name: info for info in theirs}
            for info in ours:
                info.CopyFrom(declared[info.name])
        return model


def _activations(graph: gs.Graph) -> list[str]:
    """Names of the nodes to replace, in order.

    Raises:
        ConversionError: something else between synapses is no ReLU either.
    """
    recognition = recognise_checked(graph)
    levels = graph
    for graph_pass in RECOGNISE:
        levels = graph_pass(levels)
    blocked = {entry.name for entry in non_spiking(levels, recognition.rejected)}
    by_node = {node.name: node for node in graph.nodes}
    found = []
    for node in graph.nodes:
        names = origin(node) or [node.outputs[0].name]
        if names[0] not in blocked or node.name not in by_node:
            continue
        if _is_relu(node):
            found.append(node.name)
        elif node.op not in ("MaxPool", "GlobalMaxPool", "ReduceMax"):
            raise ConversionError(
                "this activation has no staircase",
                node=names[0],
                operator=node.op,
                remedy="train with ReLU, ReLU6 or HardSigmoid instead",
            )
    return found


def _is_relu(node: gs.Node) -> bool:
    if node.domain:
        return False
    if node.op in ("Relu", "HardSigmoid"):
        return True
    low, high = constant_input(node, 1), constant_input(node, 2)
    return bool(
        node.op == "Clip" and low is not None and np.all(low == 0) and high is not None and high.size == 1
    )


def _line(node: gs.Node) -> tuple[float, float, float]:
    """The activation's line before it is clipped: slope, offset, and the ceiling."""
    if node.op == "HardSigmoid":
        return float(node.attrs.get("alpha", 0.2)), float(node.attrs.get("beta", 0.5)), 1.0
    high = constant_input(node, 2) if node.op == "Clip" else None
    return 1.0, 0.0, float("inf") if high is None else float(high.reshape(-1)[0])


def _channel_axis(node: gs.Node) -> int:
    """Axis 1, or the last where a matrix product over sequences makes the features."""
    rank = len(node.inputs[0].shape)
    maker = producer_of(node.inputs[0])
    while maker is not None and maker.op in ("Add", "Mul", "Sub") and maker.inputs and maker.inputs[0].inputs:
        maker = producer_of(maker.inputs[0])
    return rank - 1 if maker is not None and maker.op == "MatMul" else min(1, rank - 1)
