"""Sums over all samples: one pass over the data, and nothing kept but counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate import LayerCounts
from onnx2snn.data import DataSet
from onnx2snn.evaluation.batch_job import opened, tally_of
from onnx2snn.evaluation.neurobench import Operations
from onnx2snn.evaluation.tally import Tally
from onnx2snn.report.report_facts import Array, LayerFacts
from onnx2snn.report.topology import Stop
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.energy import FLOAT32

#: Bins of a histogram of levels, at most.
MOST_BINS = 256
#: Levels that are held at a time, at most: the memory of one batch.
MOST_LEVELS = 2**24
#: Samples at a time, where the network is small.
BATCH = 64


class LayerTally:
    """Sums over all samples of one layer: levels, bits, who ever spiked.

    Args:
        entry: The layer's entry in the layer table.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        self._steps = int(entry["timesteps"])
        self._shift = max(int(entry["levels"]).bit_length() - MOST_BINS.bit_length() + 1, 0)
        self._histogram = np.zeros((int(entry["levels"]) >> self._shift) + 1, np.int64)
        self._bits = np.zeros(self._steps, np.int64)
        self._active: NDArray[np.bool_] | None = None
        self._synops: float | None = None

    def add(self, levels: Array, synops: NDArray[np.int64] | None) -> None:
        """One batch: levels (n, ...), synaptic operations (n,)."""
        k = levels.astype(np.int32)
        counts = np.bincount((k >> self._shift).ravel(), minlength=len(self._histogram))
        self._histogram += counts[: len(self._histogram)]
        for place in range(self._steps):
            self._bits[place] += int(np.count_nonzero(k & (1 << (self._steps - 1 - place))))
        fired = np.asarray((k > 0).any(axis=0), np.bool_)
        self._active = fired if self._active is None else self._active | fired
        if synops is not None:
            self._synops = (self._synops or 0.0) + float(synops.sum())

    def facts(self, samples: int, phase: int, counts: LayerCounts) -> LayerFacts:
        """What the sums say."""
        entry, total = self._entry, max(int(self._histogram.sum()), 1)
        active = np.zeros(0, np.bool_) if self._active is None else self._active
        bits = self._bits / total
        synops = None if self._synops is None else self._synops / samples
        return LayerFacts(
            name=str(entry["name"]),
            source_nodes=tuple(entry.get("source_nodes") or ()),
            shape=tuple(active.shape),
            neurons=active.size,
            phase=phase,
            timesteps=self._steps,
            levels=int(entry["levels"]),
            threshold=entry["threshold"],
            spikes_per_neuron=float(bits.sum()),
            silent=float(1 - active.mean()) if active.size else 1.0,
            synops=synops,
            energy=None if synops is None else synops * FLOAT32.accumulate,
            histogram=self._histogram / total,
            bin=1 << self._shift,
            bits=bits,
            certificate=counts,
        )


def batch_size(layers: Sequence[Mapping[str, Any]]) -> int:
    """Samples at a time, so that a batch's levels stay within a bound."""
    neurons = sum(int(layer["neurons"]) for layer in layers)
    return int(np.clip(MOST_LEVELS // max(neurons, 1), 1, BATCH))


def tally_layers(
    session: SpikingSession,
    data: DataSet,
    counts: Sequence[LayerCounts],
    stops: Sequence[Stop],
    progress: Callable[[int], None],
    *,
    operations: Operations,
    batch: int | None = None,
) -> tuple[tuple[LayerFacts, ...], Tally]:
    """Run all of ``data`` and sum up each layer, and what the network spends.

    Args:
        session: Of the fused execution: the same spikes in one pass.
        data: All samples.
        counts: The certificate's.
        stops: The network's map.
        progress: Called with the number of samples just done.
        operations: Counts those of its layers of synapses.
        batch: Samples at a time, at most.
    """
    tallies = {layer["name"]: LayerTally(layer) for layer in session.layers}
    size, sized, spent = batch_size(session.layers), opened(session.layers), Tally()
    for part in data.batches(size if batch is None else min(size, batch)):
        levels, result = session.levels(part.inputs), session.run(part.inputs)
        for name, tally in tallies.items():
            tally.add(levels[name], result.synops.get(name))
        spent += tally_of(result, part, sized, operations.of(part.inputs))
        progress(len(part))
    phases = {stop.name: stop.phase for stop in stops if stop.kind == "layer"}
    certified = {layer.name: layer for layer in counts}
    layers = (t.facts(len(data), phases[name], certified[name]) for name, t in tallies.items())
    return tuple(layers), spent
