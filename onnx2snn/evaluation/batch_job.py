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
from onnx2snn.runtime.energy import INT8
from onnx2snn.runtime.providers import Provider

if TYPE_CHECKING:
    from onnx2snn.evaluation.baseline import Baseline
    from onnx2snn.evaluation.neurobench import Operations
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
        providers: Likewise.
        kind: ``spiking``, ``compiled``, or ``ann``: a network that does not spike.
    """

    model: SentModel
    execution: str | None
    backend: str
    providers: tuple[Provider, ...] = ()
    kind: str = "spiking"


@lru_cache(maxsize=1)
def _session(job: BatchJob) -> SpikingSession | Baseline:
    from onnx2snn.evaluation.baseline import Baseline  # noqa: PLC0415 - loaded where the work is done
    from onnx2snn.runtime import SpikingSession  # noqa: PLC0415

    if job.kind == "ann":
        return Baseline(job.model.load(), job.providers)
    options: dict[str, Any] = {"backend": job.backend, "providers": job.providers}
    return SpikingSession(job.model.content, execution=job.execution, **options)


@lru_cache(maxsize=1)
def _operations(job: BatchJob) -> Operations | None:
    """What counts the operations of layers of synapses; None where the file does not tell trains from values."""
    from onnx2snn.evaluation.neurobench import Operations  # noqa: PLC0415

    return None if job.kind == "compiled" else Operations(job.model.load())


def answer(job: BatchJob, batch: Batch) -> Finished:
    """Run one batch and sum up what it answered and spent."""
    return batch.start, _answered(job, batch)[0]


def _answered(job: BatchJob, batch: Batch) -> tuple[Tally, Result]:
    session, operations = _session(job), _operations(job)
    result = session.run(batch.inputs)
    further = {} if operations is None else operations.of(batch.inputs)
    return tally_of(result, batch, opened(session.layers), further), result


def respond(
    job: BatchJob, answers: bool, trains: bool, batch: Batch
) -> tuple[int, tuple[Tally, dict[str, Any], dict[str, Any]]]:
    """As :func:`answer`, and what is to be written.

    Outputs that are the same for all samples are those of the first batch.

    Args:
        job: What to run.
        answers: Whether to give the outputs, and spike counts as ``spikes/<layer>``.
        trains: Whether to give spikes, step by step: by layer, (n, T, ...).
        batch: The samples.
    """
    tally, result = _answered(job, batch)
    session = _session(job)
    outputs = {k: v for k, v in result.outputs.items() if batch.start == 0 or k in session.of_samples}
    arrays = outputs | {f"spikes/{k}": v for k, v in result.spikes.items()} if answers else {}
    return batch.start, (tally, arrays, _trains(session, batch) if trains else {})


def _trains(session: Any, batch: Batch) -> dict[str, Any]:
    found = session.trace(batch.inputs).spikes
    return {name: np.moveaxis(spikes, 0, 1) for name, spikes in found.items()}


def opened(layers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the layers that have as many neurons as the sizes of the data make."""
    return [layer["name"] for layer in layers if None in layer["shape"]]


def tally_of(
    result: Result, batch: Batch, sized: Sequence[str] = (), further: Mapping[str, Any] | None = None
) -> Tally:
    """Sum up what the network answered to ``batch`` and spent on it; of the layers ``sized``, how many neurons they had."""
    eight = result.priced(INT8)
    quantities: dict[str, Any] = {
        "energy/ann": result.energy.ann,
        "energy8/ann": eight.ann,
        **(further or {}),
    }
    if result.table["layers"]:
        quantities |= {"energy/snn": result.energy.snn, "energy8/snn": eight.snn}
    for kind, counts in (("spikes", result.spikes), ("synops", result.synops)):
        quantities |= {f"{kind}/{name}": value for name, value in counts.items()}
        if counts:
            quantities[kind] = sum(counts.values(), np.zeros(len(batch), np.int64))
    quantities |= {f"neurons/{name}": np.full(len(batch), result.neurons[name]) for name in sized}
    if result.table.get("open_macs"):
        macs = {kind: result.table["macs"].get(kind) for kind in ("ann", "analog")}
        quantities |= {f"macs/{k}": np.full(len(batch), n) for k, n in macs.items() if n is not None}
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
