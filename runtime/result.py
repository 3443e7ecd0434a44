"""What a network answered, and what it spent on it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.listings import spike_listing
from onnx2snn.runtime.energy import Energy, EnergyTable, energy_of
from onnx2snn.units import si, steps_in_words, steps_to_answer, things

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, repr=False)
class Result:
    """What the network answered to N samples, and what it spent.

    Attributes:
        outputs: By output name, (N, ...), as in the source model.
        spikes: By layer, spikes of each sample, (N,); empty unless counted.
        synops: By layer, synaptic operations that its spikes caused, (N,); empty unless counted.
        samples: N.
        table: The network's layer table, its open sizes filled in.
        energies: Joules per operation, of :attr:`energy`.
    """

    outputs: dict[str, Array]
    spikes: dict[str, NDArray[np.int64]]
    synops: dict[str, NDArray[np.int64]]
    samples: int
    table: Mapping[str, Any]
    energies: EnergyTable

    def __repr__(self) -> str:
        return f"Result({things(self.samples, 'sample')}, {self._told()})"

    def _repr_html_(self) -> str:
        return spike_listing(self.layers()).html(self._told())

    def summary(self) -> str:
        """Means over the samples, layer by layer, as text."""
        return spike_listing(self.layers()).text(self._told())

    @cached_property
    def energy(self) -> Energy:
        """Joules of each sample, of the SNN and of its ANN, in all and by layer; NaN unless counted."""
        return self.priced(self.energies)

    @cached_property
    def neurons(self) -> dict[str, int]:
        """By layer, neurons of one sample; where the network leaves sizes open, by those of the samples."""
        return {layer["name"]: int(layer["neurons"]) for layer in self.table["layers"]}

    def priced(self, energies: EnergyTable) -> Energy:
        """Energy by another table.

        Args:
            energies: Joules of an accumulate and a multiply-accumulate: :data:`onnx2snn.runtime.INT8`, for example.
        """
        return energy_of(self.synops, self.table, energies, self.samples)

    def layers(self) -> list[dict[str, Any]]:
        """By layer: neurons, time steps, spikes a neuron and a neuron and time step, synaptic operations; means of a sample."""
        found = []
        for layer in self.table.get("layers", ()):
            name = layer["name"]
            spikes, synops = (
                {"mean": float(counted[name].mean())} if name in counted else None
                for counted in (self.spikes, self.synops)
            )
            found.append(layer_costs(layer, self.neurons[name], spikes, synops))
        return found

    def plot(self) -> Any:
        """Spike rates by layer and the energy of a sample, as a ``matplotlib.figure.Figure`` (extra ``report``).

        Raises:
            OutputError: matplotlib is missing.
            InputError: nothing was counted.
        """
        plots = importlib.import_module("onnx2snn.report.plots")  # an extra, which stands on all of this
        return plots.plot_result(self)

    def _told(self) -> str:
        table = self.table
        steps = steps_to_answer(table["timesteps"], table.get("depth"), table.get("coding", "binary"))
        told = [steps_in_words(table["timesteps"], steps)]
        if self.spikes:
            told.append(f"{si(float(np.mean(sum(self.spikes.values(), np.zeros(1)))))} spikes a sample")
        if self.synops and np.isfinite(self.energy.snn).all():
            ann = float(self.energy.ann.mean())
            beside = f" (ANN {si(ann, 'J')})" if np.isfinite(ann) else ""
            told.append(f"{si(float(self.energy.snn.mean()), 'J')}{beside}")
        return ", ".join(told)


def layer_costs(
    layer: Mapping[str, Any],
    neurons: float,
    spikes: Mapping[str, float] | None,
    synops: Mapping[str, float] | None,
) -> dict[str, Any]:
    """What a layer of neurons spends on a sample.

    Args:
        layer: Its entry in the layer table.
        neurons: Of a sample; a mean where sizes are open.
        spikes: Their ``mean``, and what else is known of them; None where they were not counted.
        synops: Synaptic operations, likewise.
    """
    each = None if spikes is None else spikes["mean"] / neurons
    return {
        "name": layer["name"],
        "neurons": int(neurons) if neurons == int(neurons) else neurons,
        "timesteps": layer["timesteps"],
        "spikes_per_neuron": each,
        "spike_rate": None if each is None else each / layer["timesteps"],
        "spikes": spikes,
        "synops": synops,
    }


def result_of(
    answers: Mapping[str, Array], samples: int, layer_table: Mapping[str, Any], energies: EnergyTable
) -> Result:
    """The result of a network with its counting nodes.

    Args:
        answers: By name: outputs, ``spikes/<layer>`` and, where they were counted, ``synops/<layer>``.
        samples: N.
        layer_table: Of the network, its open sizes filled in.
        energies: Of single operations.
    """
    names = [layer["name"] for layer in layer_table["layers"]]
    spikes = _counted(answers, "spikes", names)
    synops = _counted(answers, "synops", names)
    outputs: Sequence[str] = layer_table["outputs"]
    found = {name: answers[name] for name in outputs}
    return Result(found, spikes, synops, samples, layer_table, energies)


def _counted(answers: Mapping[str, Array], kind: str, layers: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    return {
        layer: answers[f"{kind}/{layer}"].astype(np.int64) for layer in layers if f"{kind}/{layer}" in answers
    }
