"""What a report says, gathered before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate import Certificate
from onnx2snn.data import DataSet
from onnx2snn.runtime import SpikingSession, Trace

CHUNK = 64


@dataclass(frozen=True)
class LayerFacts:
    """One layer over all samples.

    Attributes:
        name: The IF node.
        neurons: For one sample.
        timesteps: Steps in which it can spike.
        levels: K.
        threshold: θ in units of the source; a range as text where channels differ.
        spikes_per_neuron: Mean over neurons and samples.
        silent: Share of neurons that spike for no sample.
        synops: Synaptic operations a sample.
        histogram: Share of neurons at each level 0 … K, over all samples.
        bits: Share of neurons that spike, by time step, most significant first.
        certificate: exact, ambiguous, propagated, unexplained.
    """

    name: str
    neurons: int
    timesteps: int
    levels: int
    threshold: str
    spikes_per_neuron: float
    silent: float
    synops: float
    histogram: NDArray[np.float64]
    bits: NDArray[np.float64]
    certificate: dict[str, int]


@dataclass(frozen=True)
class Facts:
    """Everything on the page.

    Attributes:
        certificate: The verdict.
        layers: By layer, in order.
        timesteps: T.
        energy_snn: Joules a sample.
        energy_ann: Joules a sample of the source, as an ANN; NaN where unknown.
        example: The first sample's inputs.
        trace: Its spikes and membrane potentials.
    """

    certificate: Certificate
    layers: tuple[LayerFacts, ...]
    timesteps: int
    energy_snn: float
    energy_ann: float
    example: Mapping[str, NDArray[Any]]
    trace: Trace

    def to_dict(self) -> dict[str, Any]:
        """The page's numbers as JSON values."""
        layers = [
            {
                "name": layer.name,
                "neurons": layer.neurons,
                "timesteps": layer.timesteps,
                "levels": layer.levels,
                "spikes_per_neuron": layer.spikes_per_neuron,
                "silent": layer.silent,
                "synops": layer.synops,
                **layer.certificate,
            }
            for layer in self.layers
        ]
        latency = (len(self.layers) + 1) * self.timesteps
        return {
            "lossless": self.certificate.lossless,
            "samples": self.certificate.samples,
            "timesteps": self.timesteps,
            "latency_steps": latency,
            "accuracy": self.certificate.accuracy,
            "energy": {"snn": self.energy_snn, "ann": None if np.isnan(self.energy_ann) else self.energy_ann},
            "layers": layers,
        }


def gather(session: SpikingSession, data: DataSet, certificate: Certificate) -> Facts:
    """Run all of ``data`` once for levels and once for operations; memory is bounded by one chunk."""
    histograms = {la["name"]: np.zeros(la["levels"] + 1, np.int64) for la in session.layers}
    active: dict[str, NDArray[np.bool_]] = {}
    synops = {la["name"]: 0 for la in session.layers}
    samples, snn, ann = 0, 0.0, np.nan
    example: Mapping[str, NDArray[Any]] | None = None
    for batch in data.batches(CHUNK):
        example = example or {name: value[:1] for name, value in batch.inputs.items()}
        levels = session.levels(batch.inputs)
        result = session.run(batch.inputs)
        samples += len(batch)
        snn += float(result.energy.snn.sum())
        ann = float(result.energy.ann[0])
        for layer in session.layers:
            name = layer["name"]
            k = levels[name].astype(np.int64)
            histograms[name] += np.bincount(k.ravel(), minlength=layer["levels"] + 1)
            fired = np.asarray((k > 0).any(axis=0), np.bool_)
            active[name] = np.logical_or(active[name], fired) if name in active else fired
            synops[name] += int(result.synops[name].sum()) if name in result.synops else 0
    counted = {layer.name: layer for layer in certificate.layers}
    layers = tuple(
        _layer(
            la, histograms[la["name"]], active[la["name"]], synops[la["name"]] / samples, counted[la["name"]]
        )
        for la in session.layers
    )
    first = dict(example or {})
    return Facts(certificate, layers, session.timesteps, snn / samples, ann, first, session.trace(first))


def _layer(layer: Mapping[str, Any], histogram: Any, active: Any, synops: float, counts: Any) -> LayerFacts:
    share = histogram / max(histogram.sum(), 1)
    k = np.arange(len(share))
    steps = int(layer["timesteps"])
    bits = np.array([share[(k >> bit) & 1 == 1].sum() for bit in range(steps - 1, -1, -1)])
    threshold = layer["threshold"]
    text = (
        f"{threshold:.4g}" if isinstance(threshold, float) else f"{min(threshold):.3g} … {max(threshold):.3g}"
    )
    sorts = ("exact", "ambiguous", "propagated", "unexplained")
    return LayerFacts(
        name=layer["name"],
        neurons=layer["neurons"],
        timesteps=steps,
        levels=layer["levels"],
        threshold=text,
        spikes_per_neuron=float(bits.sum()),
        silent=float(1 - active.mean()),
        synops=synops,
        histogram=share,
        bits=bits,
        certificate={sort: int(getattr(counts, sort)) for sort in sorts},
    )
