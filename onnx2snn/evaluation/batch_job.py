"""The work on one batch: run it, and sum up what it answered and spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from onnx2snn.data.dataset import Batch
from onnx2snn.errors import InputError
from onnx2snn.evaluation.sent import SentModel
from onnx2snn.evaluation.tally import Moments, Tally

if TYPE_CHECKING:
    from onnx2snn.runtime import Result, SpikingSession

#: A finished batch: the position of its first sample, and its part of the result.
Finished: TypeAlias = tuple[int, Tally]


@dataclass(frozen=True)
class BatchJob:
    """What a worker needs to know, whichever machine it is on.

    Attributes:
        model: The spiking network.
        execution: Of :class:`onnx2snn.runtime.SpikingSession`.
        backend: Likewise.
    """

    model: SentModel
    execution: str | None
    backend: str


@lru_cache(maxsize=1)
def _session(job: BatchJob) -> SpikingSession:
    from onnx2snn.runtime import SpikingSession  # noqa: PLC0415 - loaded where the work is done

    return SpikingSession(job.model.content, execution=job.execution, backend=job.backend)


def answer(job: BatchJob, batch: Batch) -> Finished:
    """Run one batch and sum up what it answered and spent."""
    session = _session(job)
    return batch.start, tally_of(session.run(batch.inputs), batch, opened(session.layers))


def respond(job: BatchJob, answers: bool, batch: Batch) -> tuple[int, tuple[Tally, dict[str, Any]]]:
    """As :func:`answer`, and where ``answers``: the outputs, and spike counts as ``spikes/<layer>``, to be written.

    Outputs that are the same for all samples are those of the first batch.
    """
    session = _session(job)
    result = session.run(batch.inputs)
    outputs = {k: v for k, v in result.outputs.items() if batch.start == 0 or k in session.of_samples}
    arrays = outputs | {f"spikes/{k}": v for k, v in result.spikes.items()} if answers else {}
    return batch.start, (tally_of(result, batch, opened(session.layers)), arrays)


def opened(layers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the layers that have as many neurons as the sizes of the data make."""
    return [layer["name"] for layer in layers if None in layer["shape"]]


def tally_of(result: Result, batch: Batch, sized: Sequence[str] = ()) -> Tally:
    """Sum up what the network answered to ``batch`` and spent on it; of the layers ``sized``, how many neurons they had."""
    quantities: dict[str, Any] = {"energy/snn": result.energy.snn, "energy/ann": result.energy.ann}
    for kind, counts in (("spikes", result.spikes), ("synops", result.synops)):
        quantities |= {f"{kind}/{name}": value for name, value in counts.items()}
        if counts:
            quantities[kind] = sum(counts.values(), np.zeros(len(batch), np.int64))
    quantities |= {f"neurons/{name}": np.full(len(batch), result.neurons[name]) for name in sized}
    right = right_answers(next(iter(result.outputs.values())), batch)
    labelled, correct = (0, 0) if right is None else (len(batch), right)
    moments = {name: Moments.of(value) for name, value in quantities.items() if np.all(np.isfinite(value))}
    return Tally(len(batch), labelled, correct, moments)


def predicted_classes(output: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """The answered class of each sample: the position of the largest score, or the class number itself.

    Args:
        output: (N, classes) scores, or (N,) or (N, 1) class numbers; further axes may have size 1.

    Returns:
        (N,), or None where the output is neither.
    """
    if output.ndim == 0 or not output.size:
        return None
    flat = output.reshape(len(output), -1)
    if flat.shape[1] == 1:
        return flat[:, 0] if flat.dtype.kind in "iu" else None
    return np.argmax(flat, axis=1) if max(output.shape[1:]) == flat.shape[1] else None


def right_answers(output: np.ndarray[Any, Any], batch: Batch) -> int | None:
    """How many samples are answered with their true class; None where the data has no classes, or the output answers none.

    Raises:
        InputError: a label is none of the classes that the network has scores for.
    """
    predicted = predicted_classes(output) if output.ndim and len(output) == len(batch) else None
    if predicted is None or batch.labels is None:
        return None
    classes = output.size // max(len(output), 1)
    if classes > 1:
        _check_labels(batch, classes)
    return int(np.sum(predicted == batch.labels))


def _check_labels(batch: Batch, classes: int) -> None:
    labels = np.asarray(batch.labels)
    outside = (labels < 0) | (labels >= classes)
    if not outside.any():
        return
    sample = int(np.argmax(outside))
    raise InputError(
        f"the network has scores for {classes} classes, 0 to {classes - 1}, and the data other labels",
        found=f"{labels[sample]} in sample {batch.start + sample}",
        remedy="number the classes from 0 in the order of the network's outputs, or leave labels out",
    )
