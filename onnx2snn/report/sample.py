"""One sample, looked at closely: its spikes, and membrane potentials of chosen neurons."""

from __future__ import annotations

import numpy as np

from onnx2snn.data import DataSet
from onnx2snn.errors import InputError
from onnx2snn.evaluation.work import predicted_classes
from onnx2snn.report.facts import Array, LayerSample, SampleFacts
from onnx2snn.runtime import SpikingSession

#: Neurons of a layer that are drawn.
SHOWN = 14


def look_closely(session: SpikingSession, data: DataSet, index: int) -> SampleFacts:
    """One sample's spikes, and membrane potentials of chosen neurons.

    Raises:
        InputError: there is no such sample.
    """
    if not 0 <= index < len(data):
        raise InputError(
            f"there is no sample {index}", found=f"{len(data)} samples, from 0 to {len(data) - 1}"
        )
    batch = next(data.batches(1, start=index))
    trace, result = session.trace(batch.inputs), session.run(batch.inputs, count="spikes")
    layers = tuple(
        _chosen(
            layer["name"],
            *(
                part[layer["name"]]
                for part in (trace.spikes, trace.potentials, trace.thresholds, trace.resets)
            ),
        )
        for layer in session.layers
    )
    answers = predicted_classes(next(iter(result.outputs.values())))
    return SampleFacts(
        index=index,
        inputs={name: value[0] for name, value in batch.inputs.items()},
        outputs={name: value[0] for name, value in result.outputs.items()},
        answer=None if answers is None else int(answers[0]),
        label=None if batch.labels is None else int(batch.labels[0]),
        layers=layers,
    )


def _chosen(name: str, spikes: Array, potentials: Array, thresholds: Array, resets: Array) -> LayerSample:
    """Neurons from the busiest to the quietest that spikes, and the potential of one whose spikes come and go."""
    steps = len(spikes)
    train = spikes[:, 0].reshape(steps, -1)
    counts = train.sum(axis=0, dtype=np.int64)
    active = int(np.count_nonzero(counts))
    order = np.argsort(-counts, kind="stable")[: max(active, min(SHOWN, counts.size))]
    places = np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(np.int64)
    shown = order[places]
    changes = np.count_nonzero(np.diff(train.astype(np.int8), axis=0, prepend=0), axis=0)
    watched = int(np.lexsort((-counts, -changes))[0])
    course = potentials[:, 0].reshape(2 * steps, -1)[:, watched].astype(np.float64)
    compared = np.broadcast_to(thresholds, spikes.shape)[:, 0].reshape(steps, -1)[:, watched]
    theta = float(np.broadcast_to(resets, spikes.shape)[-1, 0].reshape(-1)[watched])
    return LayerSample(
        name=name,
        spikes=int(counts.sum()),
        active=active,
        neurons=shown,
        trains=train[:, shown].copy(),
        watched=watched,
        train=train[:, watched].copy(),
        potentials=course / theta,
        thresholds=compared / theta,
    )
