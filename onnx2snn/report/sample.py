"""One sample, looked at closely: its spikes, and membrane potentials of chosen neurons."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from onnx2snn.data import DataSet
from onnx2snn.errors import InputError
from onnx2snn.evaluation.batch_job import predicted_classes
from onnx2snn.report.report_facts import Array, LayerSample, SampleFacts
from onnx2snn.runtime import SpikingSession, Trace

#: Neurons to draw, by layer: positions in C order, or indices within the layer's shape.
Chosen: TypeAlias = Mapping[str, Sequence[int | Sequence[int]]]

#: Neurons of a layer that are drawn.
SHOWN = 14


def look_closely(session: SpikingSession, data: DataSet, index: int, neurons: Chosen) -> SampleFacts:
    """One sample's spikes, and membrane potentials of chosen neurons.

    Args:
        session: Of the spiking execution.
        data: All samples.
        index: Position of the one.
        neurons: Which to draw; where a layer is not named, they are chosen for it.

    Raises:
        InputError: there is no such sample, layer or neuron.
    """
    if not 0 <= index < len(data):
        found = f"{len(data)} samples, from 0 to {len(data) - 1}"
        raise InputError(
            f"there is no sample {index}", found=found, remedy=f"choose one from 0 to {len(data) - 1}"
        )
    names = [layer["name"] for layer in session.layers]
    check_names(neurons, names)
    batch = next(data.batches(1, start=index))
    trace, result = session.trace(batch.inputs), session.run(batch.inputs, count="spikes")
    layers = tuple(layer_sample(name, neurons.get(name, ()), trace) for name in names)
    answers = predicted_classes(next(iter(result.outputs.values())))
    return SampleFacts(
        index=index,
        inputs={name: value[0] for name, value in batch.inputs.items()},
        outputs={name: value[0] for name, value in result.outputs.items()},
        answer=None if answers is None else int(answers[0]),
        label=None if batch.labels is None else int(batch.labels[0]),
        layers=layers,
    )


def must_be_binary(table: Mapping[str, Any], *, remedy: str) -> None:
    """Refuse what figures of bits and of phases do not fit.

    Raises:
        InputError: the network has a rate code.
    """
    if table.get("coding", "binary") == "rate":
        raise InputError(
            "these figures are of binary-coded spikes, and the network's are rate-coded", remedy=remedy
        )


def check_names(neurons: Chosen, names: Sequence[str]) -> None:
    """Refuse layers that there are not."""
    for name in neurons:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1, 0.3) or names[:1]
            raise InputError(f"there is no layer '{name}'", remedy=f"for example '{near[0]}'")


def layer_sample(
    name: str, neurons: Sequence[int | Sequence[int]], trace: Trace, sample: int = 0
) -> LayerSample:
    """What is drawn of one layer while one sample passes; potentials and thresholds in units of θ."""
    spikes, potentials = trace.spikes[name], trace.potentials[name]
    steps, shape = len(spikes), spikes.shape[2:]
    train = spikes[:, sample].reshape(steps, -1)
    counts = train.sum(axis=0, dtype=np.int64)
    if neurons:
        shown = np.array([_position(name, neuron, shape) for neuron in neurons], np.int64)
        watched = int(shown[0])
    else:
        shown, watched = _chosen(train, counts)
    course = potentials[:, sample].reshape(len(potentials), -1)[:, watched].astype(np.float64)
    compared = np.broadcast_to(trace.thresholds[name], spikes.shape)[:, sample].reshape(steps, -1)[:, watched]
    # A neuron that searches a table takes nothing from v, and has no θ: then v is told as it is.
    theta = float(np.broadcast_to(trace.resets[name], spikes.shape)[-1, sample].reshape(-1)[watched]) or 1.0
    return LayerSample(
        name=name,
        spikes=int(counts.sum()),
        active=int(np.count_nonzero(counts)),
        asked=bool(neurons),
        neurons=shown,
        trains=train[:, shown].copy(),
        watched=watched,
        train=train[:, watched].copy(),
        potentials=course / theta,
        thresholds=compared / theta,
    )


def _chosen(train: Array, counts: Array) -> tuple[Array, int]:
    """Neurons from the busiest to the quietest that spikes, and one whose spikes come and go most often."""
    active = int(np.count_nonzero(counts))
    order = np.argsort(-counts, kind="stable")[: max(active, min(SHOWN, counts.size))]
    places = np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(np.int64)
    changes = np.count_nonzero(np.diff(train.astype(np.int8), axis=0, prepend=0), axis=0)
    return order[places], int(np.lexsort((-counts, -changes))[0])


def _position(name: str, neuron: int | Sequence[int], shape: tuple[int, ...]) -> int:
    index: Any = (neuron,) if isinstance(neuron, int) else tuple(neuron)
    try:
        return int(np.ravel_multi_index(index, shape if len(index) > 1 else (int(np.prod(shape)),)))
    except ValueError as error:
        size = "×".join(map(str, shape))
        found = f"neurons {size}" if len(shape) > 1 else f"{size} neurons"
        raise InputError(
            f"layer '{name}' has no neuron {','.join(map(str, index))}",
            found=found,
            remedy="count from 0: one number in C order, or one for each axis",
        ) from error
