"""Evaluate: accuracy, spikes, synaptic operations and energy on a data set."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from onnx2snn.data import Source, input_specs, open_data
from onnx2snn.dialect.layer_table import is_snn, read_layer_table
from onnx2snn.evaluation.batch_job import BatchJob, answer
from onnx2snn.evaluation.sent import SentModel
from onnx2snn.evaluation.streaming import merged
from onnx2snn.evaluation.tally import Moments, Tally
from onnx2snn.model.files import load_model


@dataclass(frozen=True)
class Evaluation:
    """What a network answered and spent on a data set.

    Attributes:
        tally: The merged counts.
        layers: The layer table of the network's metadata (name, neurons, timesteps ...).
    """

    tally: Tally
    layers: tuple[Mapping[str, Any], ...]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.tally.samples

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; None where the data has no labels or the network does not classify."""
        return self.tally.correct / self.tally.labelled if self.tally.labelled else None

    def __getitem__(self, quantity: str) -> Moments:
        """The spread of a quantity of :class:`Tally` over samples, for example ``"spikes"``.

        Raises:
            KeyError: it was not measured.
        """
        return self.tally.moments[quantity]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; energies in joules."""
        return {
            "samples": self.samples,
            "accuracy": self.accuracy,
            "spikes": self.summary("spikes"),
            "synops": self.summary("synops"),
            "energy": {"snn": self.summary("energy/snn"), "ann": self.summary("energy/ann")},
            "layers": [self._layer(layer) for layer in self.layers],
        }

    def summary(self, quantity: str) -> dict[str, float] | None:
        """Mean and spread of a quantity over samples; None where it was not measured."""
        return self[quantity].summary() if quantity in self.tally.moments else None

    def _layer(self, layer: Mapping[str, Any]) -> dict[str, Any]:
        sized = self.tally.moments.get(f"neurons/{layer['name']}")
        neurons = layer["neurons"] if sized is None else sized.mean
        spikes = self.summary(f"spikes/{layer['name']}")
        per_neuron = None if spikes is None else spikes["mean"] / neurons
        return {
            "name": layer["name"],
            "neurons": int(neurons) if neurons == int(neurons) else neurons,
            "timesteps": layer["timesteps"],
            "spikes_per_neuron": per_neuron,
            "spike_rate": None if per_neuron is None else per_neuron / layer["timesteps"],
            "spikes": spikes,
            "synops": self.summary(f"synops/{layer['name']}"),
        }


def evaluate(
    model: str | Path | onnx.ModelProto,
    data: Source,
    *,
    execution: Literal["spiking", "fused", "int8", "streaming"] | None = None,
    backend: Literal["onnxruntime", "numpy"] = "onnxruntime",
    batch: int = 100,
    workers: int = 1,
    ray: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Measure accuracy, spikes, synaptic operations and energy of a spiking network, and their spread.

    The result is the same, bit for bit, however the work is divided and whether or not it was interrupted.

    Args:
        model: The spiking network.
        data: Whatever :func:`onnx2snn.data.open_data` opens.
        execution: ``fused`` counts the same spikes at the cost of one pass. None: that of a compiled network, else ``fused``.
        backend: What runs the network.
        batch: Samples a batch; part of what identifies the result.
        workers: Processes that share the work.
        ray: Address of a Ray cluster to use instead, ``"auto"`` for a running one, ``"local"`` to start one.
        resume: A state file: continue what it holds, and keep it up to date.
        progress: Called with the number of samples just done; at first, of those done already (perhaps none).

    Raises:
        InputError: the data does not fit, or the state file belongs to another evaluation.
    """
    proto = load_model(model)
    layers = tuple(read_layer_table(proto, compiled=True)["layers"])
    sent = SentModel.of(model, proto, remote=ray is not None)
    samples = open_data(data, input_specs(proto))
    if is_snn(proto):
        execution = execution or "fused"
    task = {"model": sent.digest, "execution": str(execution), "backend": backend, "work": "evaluate"}
    work = functools.partial(answer, BatchJob(sent, execution, backend))
    ways: dict[str, Any] = {"workers": workers, "ray": ray, "resume": resume, "progress": progress}
    tally = merged(samples, work, Tally(), task, batch=batch, **ways)
    return Evaluation(tally, layers)
