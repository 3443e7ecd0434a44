"""Where no certificate is possible: a rate code, or a float source. Values and answers are compared, nothing is claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.calibration.calibrated import decibels
from onnx2snn.calibration.lines import clipped_lines
from onnx2snn.calibration.measure import Loss
from onnx2snn.certificate.certificate import Certificate, LayerCounts, OutputCheck
from onnx2snn.certificate.samples_in_front import in_front
from onnx2snn.data import Batch, DataSet
from onnx2snn.exact.rounded_network import Difference
from onnx2snn.graph.exporter import with_outputs
from onnx2snn.model.weights import SplitModel
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model
from onnx2snn.runtime import SpikingSession

#: Samples at a time.
CHUNK = 64


def holds_values(model: SplitModel, tensors: Iterable[str]) -> bool:
    """Whether ``model`` is a float network that has all of ``tensors``, which hold a spiking network's activations."""
    graph = apply_owned(import_model(model), PREPARE)
    return bool(clipped_lines(graph)) and set(tensors) <= set(graph.tensors())


def approximate(
    model: SplitModel,
    session: SpikingSession,
    table: dict[str, Any],
    data: DataSet,
    *,
    generated: bool,
    progress: Callable[[int], None] | None = None,
) -> Certificate:
    """Compare what the spikes of each layer stand for with the source's activations, and the outputs.

    Args:
        model: The source, quantised or not.
        session: The spiking network.
        table: Its layer table.
        data: Samples.
        generated: Whether they were drawn.
        progress: Called with the number of samples just done.
    """
    check = _Comparison(model, session, table)
    for batch in data.batches(CHUNK):
        check.batch(batch)
        if progress is not None:
            progress(len(batch))
    return check.certificate(generated=generated)


class _Comparison:
    def __init__(self, model: SplitModel, session: SpikingSession, table: dict[str, Any]) -> None:
        graph = apply_owned(import_model(model), PREPARE)
        self._layers: list[dict[str, Any]] = table["layers"]
        self._source = with_outputs(graph, [layer["source_tensor"] for layer in self._layers])
        self._outputs = [tensor.name for tensor in graph.outputs]
        self._session = session
        self._sample_axes = {name: axis for name, axis in table.get("sample_axes", {}).items() if axis > 0}
        self._loss = Loss()
        self._compared: Counter[str] = Counter()
        self._exact: Counter[str] = Counter()
        self._errors: list[NDArray[np.float64]] = []
        self._largest: dict[str, float] = {}
        self._factors: dict[str, NDArray[np.float64]] = {}
        self._sum = 0.0
        self._values = 0

    def batch(self, batch: Batch) -> None:
        expected, found = (
            in_front(answer, self._sample_axes)
            for answer in (self._source.run(batch.inputs), self._session.levels(batch.inputs))
        )
        for layer in self._layers:
            self._layer(layer, expected[layer["source_tensor"]], found[layer["name"]])
        worst = np.zeros(len(batch))
        for name in self._outputs:
            error = np.abs(found[name].astype(np.float64) - expected[name])
            self._sum += float(error.sum())
            self._values += error.size
            self._largest[name] = max(self._largest.get(name, 0.0), float(error.max(initial=0)))
            worst = np.maximum(worst, error.reshape(len(batch), -1).max(axis=1, initial=0))
        self._errors.append(worst)
        self._loss.samples += len(batch)
        self._loss.classes(batch, expected[self._outputs[0]], found[self._outputs[0]])

    def _layer(self, layer: dict[str, Any], expected: NDArray[Any], level: NDArray[Any]) -> None:
        scale, offset = (_per_channel(layer[key], layer["shape"]) for key in ("scale", "offset"))
        name, values = layer["name"], level * scale + offset
        factor: float | NDArray[np.float64] = 1.0
        if np.all(scale == 1):  # levels as they are: what one stands for lies in the synapses behind
            factor = self._factors.setdefault(name, _fitted(expected, values))
        self._compared[name] += level.size
        self._exact[name] += int(np.sum(level == np.rint((expected / factor - offset) / scale)))
        self._loss.layers.setdefault(name, Difference()).add(expected, values * factor)

    def _counts(self, layer: dict[str, Any]) -> LayerCounts:
        name = layer["name"]
        return LayerCounts(
            name,
            layer["neurons"],
            levels_compared=self._compared[name],
            exact=self._exact[name],
            signal_to_noise=decibels(self._loss.layers[name].signal_to_noise),
        )

    def certificate(self, *, generated: bool) -> Certificate:
        errors = np.concatenate(self._errors) if self._errors else np.zeros(0)
        order = np.argsort(-errors, kind="stable")[:5]
        accuracy = self._loss.accuracy
        return Certificate(
            lossless=False,
            approximate=True,
            samples=self._loss.samples,
            generated=generated,
            timesteps=self._session.timesteps,
            steps=self._session.steps,
            layers=tuple(self._counts(layer) for layer in self._layers),
            maps=(),
            outputs=tuple(OutputCheck(name, largest, None) for name, largest in self._largest.items()),
            max_abs_error=float(errors.max(initial=0)),
            mean_abs_error=self._sum / max(self._values, 1),
            top1_agreement=self._loss.top1_agreement,
            accuracy={"ann": accuracy["float"], "snn": accuracy["quantised"]} if accuracy else None,
            worst_samples=tuple(int(i) for i in order if errors[i] > 0),
            defects=(),
        )


def _fitted(expected: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """By channel, the factor of least squared error Σ (expected − factor·values)²."""
    axes = tuple(a for a in range(values.ndim) if a != 1)
    product, power = (
        np.sum(values * v, axis=axes, keepdims=True, dtype=np.float64) for v in (expected, values)
    )
    return np.where((power > 0) & (product > 0), product / np.where(power > 0, power, 1.0), 1.0)


def _per_channel(values: float | list[float], shape: list[int | None]) -> NDArray[np.float64]:
    """A layer's parameter, to broadcast against one sample: along the first axis that has as many channels."""
    flat = np.asarray(values, np.float64)
    if flat.ndim == 0:
        return flat
    if flat.size == np.prod([s or 0 for s in shape]):
        return flat.reshape([s or 0 for s in shape])
    axis = shape.index(flat.size)
    return flat.reshape((-1,) + (1,) * (len(shape) - 1 - axis))
