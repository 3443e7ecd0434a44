"""What a report says: numbers only, gathered before anything is drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate import Certificate, LayerCounts
from onnx2snn.naming import Label, distinct
from onnx2snn.report.energy_facts import EnergyFacts
from onnx2snn.report.topology import Stop

Array = NDArray[Any]


@dataclass(frozen=True)
class LayerFacts:
    """One layer of neurons, over all samples.

    Attributes:
        name: The IF node.
        source_nodes: The user's nodes that it stands for.
        shape: Of its neurons.
        neurons: For one sample.
        phase: It spikes in time steps phase·T + 1 … (phase + 1)·T.
        timesteps: Steps in which it can spike.
        levels: K.
        threshold: θ in units of the source; one value, or one a channel.
        spikes_per_neuron: Mean over neurons and samples.
        silent: Share of neurons that spike for no sample.
        synops: Synaptic operations that its spikes cause, a sample; None where they are not counted.
        energy: Joules of these.
        histogram: Share of neurons at each level, over all samples; ``bin`` levels at a time.
        bin: Levels in one bin of the histogram, 1 up to K = 255.
        bits: Share of neurons that spike in each of the T steps, most significant bit first.
        certificate: exact, ambiguous, propagated, unexplained.
    """

    name: str
    source_nodes: tuple[str, ...]
    shape: tuple[int, ...]
    neurons: int
    phase: int
    timesteps: int
    levels: int
    threshold: float | list[float]
    spikes_per_neuron: float
    silent: float
    synops: float | None
    energy: float | None
    histogram: NDArray[np.float64]
    bin: int
    bits: NDArray[np.float64]
    certificate: LayerCounts

    @property
    def rate(self) -> float:
        """Spikes a neuron and time step."""
        return self.spikes_per_neuron / self.timesteps

    def to_dict(self) -> dict[str, Any]:
        """The layer as JSON values, the certificate's counts among its own."""
        values: dict[str, Any] = _plain(self)
        counts: dict[str, int] = values.pop("certificate")
        return values | counts | {"spike_rate": self.rate}


@dataclass(frozen=True)
class LayerSample:
    """One layer while one sample passes; nothing but what is drawn is kept.

    Attributes:
        name: The IF node.
        spikes: Of all its neurons.
        active: Neurons that spike.
        asked: Whether the user chose the neurons.
        neurons: Positions of the neurons shown, in C order; if nobody chose, from the busiest to the quietest that spikes.
        trains: (T, shown), 0 or 1.
        watched: The neuron whose potential is drawn: the first one asked for, or one whose spikes come and go.
        train: Its spikes, (T,).
        potentials: Its membrane potential, (2·T,), in units of θ.
        thresholds: What that has to reach in the T generation steps, in units of θ.
    """

    name: str
    spikes: int
    active: int
    asked: bool
    neurons: NDArray[np.int64]
    trains: NDArray[np.uint8]
    watched: int
    train: NDArray[np.uint8]
    potentials: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @property
    def level(self) -> int:
        """The level k that the watched neuron's spikes carry."""
        bits = self.train.astype(np.int64)
        return int(bits @ (1 << np.arange(len(bits) - 1, -1, -1)))


@dataclass(frozen=True)
class SampleFacts:
    """One sample on its way through the network.

    Attributes:
        index: Its position in the data.
        inputs: By name, (...).
        outputs: What the spiking network answers, by name, (...).
        answer: The class that it answers; None where its first output is no score.
        label: The true class, where it is known.
        layers: By layer.
    """

    index: int
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    answer: int | None
    label: int | None
    layers: tuple[LayerSample, ...]


@dataclass(frozen=True)
class Latency:
    """How long one input takes (METHOD 7).

    Attributes:
        depth: L, layers of neurons on the longest path.
        steps: (L + 1)·T time steps.
        interval: A pipeline takes a new input every T steps.
        milliseconds: Measured here on one input and on batches, by execution: {execution: {"one", "batch"}}, a sample.
        batch: Samples of such a batch.
    """

    depth: int
    steps: int
    interval: int
    milliseconds: Mapping[str, Mapping[str, float]]
    batch: int


@dataclass(frozen=True)
class SweepPoint:
    """Accuracy of one conversion in a sweep over T.

    Attributes:
        code: How spikes carry a level: ``binary`` (ours), ``rate`` ...
        timesteps: T.
        accuracy: Share of samples answered right, 0 … 1.
    """

    code: str
    timesteps: int
    accuracy: float


@dataclass(frozen=True)
class ReportFacts:
    """Everything on the page.

    Attributes:
        source: Name of the network that was converted.
        model: Name of the spiking network.
        certificate: The verdict.
        timesteps: T.
        stops: The network's map.
        layers: Layers of neurons, in order.
        non_spiking: Operators that were kept as they are: name, operator, reason.
        macs: Multiply-accumulates of a sample: ``ann``, ``analog``, ``non_spiking``; None where a size is dynamic.
        energy: By table of costs.
        memory_model: Whose count of memory accesses it is.
        neurobench: NeuroBench's complexity metrics (:mod:`onnx2snn.evaluation.neurobench`).
        latency: Of one input.
        sample: One sample, looked at closely.
        sweep: Accuracy over T, where a sweep was run.
    """

    source: str
    model: str
    certificate: Certificate
    timesteps: int
    stops: tuple[Stop, ...]
    layers: tuple[LayerFacts, ...]
    non_spiking: tuple[Mapping[str, str], ...]
    macs: Mapping[str, int | None]
    energy: tuple[EnergyFacts, ...]
    memory_model: str
    neurobench: Mapping[str, Any]
    latency: Latency
    sample: SampleFacts
    sweep: tuple[SweepPoint, ...]

    @cached_property
    def labels(self) -> dict[str, Label]:
        """What figures with little room call a layer, by its name."""
        return distinct(layer.name for layer in self.layers)

    @property
    def spikes(self) -> float:
        """Spikes of all neurons, a sample."""
        return sum(layer.spikes_per_neuron * layer.neurons for layer in self.layers)

    @property
    def synops(self) -> float | None:
        """Synaptic operations, a sample; None where they are not counted."""
        counted = [layer.synops for layer in self.layers if layer.synops is not None]
        return sum(counted) if len(counted) == len(self.layers) else None

    def to_dict(self) -> dict[str, Any]:
        """The page's numbers as JSON values: the certificate's, then the others by name."""
        found = self.certificate.to_dict()
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del own["certificate"]
        sample = {
            key: {n: summary(v) for n, v in getattr(self.sample, key).items()}
            for key in ("inputs", "outputs")
        }
        own |= {"spikes": self.spikes, "synops": self.synops, "sample": _plain(self.sample) | sample}
        values: dict[str, Any] = _plain(found) | _plain(own)
        return values | {"layers": [layer.to_dict() for layer in self.layers]}


def summary(value: Array) -> dict[str, Any]:
    """Shape and range of an array that is too large to tell."""
    numbers = value.astype(np.float64) if value.size else np.zeros(1)
    extremes = {"min": float(numbers.min()), "max": float(numbers.max()), "mean": float(numbers.mean())}
    return {"shape": list(value.shape), **extremes}


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and mappings as JSON knows them; what is not a finite number becomes None."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
