"""Work on a data set of any size: streamed, shared, interrupted and resumed, and always the same result."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from onnx2snn.atomic_files import check_target
from onnx2snn.data import DataSet
from onnx2snn.data.dataset import Batch
from onnx2snn.evaluation.crew import here, in_processes, on_ray
from onnx2snn.evaluation.state import Partial, Progress

Part = TypeVar("Part", bound=Partial)

_SAVE_EVERY = 5.0


def merged(
    samples: DataSet,
    work: Callable[[Batch], tuple[int, Any]],
    nothing: Part,
    task: Mapping[str, str],
    *,
    batch: int,
    workers: int = 1,
    ray: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] | None = None,
    receive: Callable[[int, Any], Part] | None = None,
) -> Part:
    """The sum of what ``work`` finds on every batch; the same bits whoever does it, and however often it was interrupted.

    Args:
        samples: The data.
        work: From a batch to the position of its first sample and its part of the result; sent to other processes.
        nothing: The result on no samples.
        task: What identifies the result, beside the data and the batch size: digests of models, options.
        batch: Samples a batch.
        workers: Processes that share the work.
        ray: Address of a Ray cluster to use instead.
        resume: A state file: continue what it holds, and keep it up to date.
        progress: Called with the number of samples that were just done; at first, of those done already (perhaps none).
        receive: From the position and what ``work`` sent to the part of the result; for what is not to be merged.

    Raises:
        InputError: the data is damaged, or the state file belongs to another task.
    """
    whole = dict(task) | {"data": samples.fingerprint, "batch size": str(batch)}
    state = Progress(whole, batch, len(samples), nothing)
    path = Path(resume) if resume is not None else None
    if path is not None:
        check_target(path)
        state.load(path)
    if progress is not None:
        progress(state.tally.samples)
    batches = itertools.chain.from_iterable(_pending(samples, state))
    if ray is not None:
        finished = on_ray(work, batches, address=ray)
    else:
        finished = in_processes(work, batches, workers=workers) if workers > 1 else here(work, batches)
    received = ((start, sent if receive is None else receive(start, sent)) for start, sent in finished)
    _collect(state, received, path, progress)
    return state.tally


def _pending(samples: DataSet, state: Progress[Any]) -> Iterator[Iterator[Batch]]:
    for start, stop in list(state.pending()):
        yield samples.batches(state.batch, start=start, stop=stop)


def _collect(
    state: Progress[Part],
    finished: Iterator[tuple[int, Part]],
    path: Path | None,
    progress: Callable[[int], None] | None,
) -> None:
    """Merge parts as they come; the state file is current every few seconds and whenever this ends."""
    saved = time.monotonic()
    try:
        for start, part in finished:
            state.add(start, part)
            if progress is not None:
                progress(part.samples)
            if path is not None and time.monotonic() - saved > _SAVE_EVERY:
                state.save(path)
                saved = time.monotonic()
    finally:
        if path is not None and state.done:
            state.save(path)
