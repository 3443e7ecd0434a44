"""The work on one batch, and the three ways to have it done: here, in processes, on a Ray cluster.

All three call :func:`answer` on the same batches, so they differ in who works and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Any, TypeAlias

import numpy as np

from onnx2snn.data.dataset import Batch
from onnx2snn.errors import Onnx2SnnError
from onnx2snn.evaluation.tally import Moments, Tally
from onnx2snn.runtime import Result, SpikingSession

#: A finished batch: the position of its first sample, and its part of the result.
Finished: TypeAlias = tuple[int, Tally]

_RETRIES = 3


@dataclass(frozen=True)
class Job:
    """What a worker needs to know, whichever machine it is on.

    Attributes:
        model: The spiking network, serialised.
        execution: Of :class:`onnx2snn.runtime.SpikingSession`.
        backend: Likewise.
    """

    model: bytes
    execution: str
    backend: str


@lru_cache(maxsize=1)
def _session(job: Job) -> SpikingSession:
    return SpikingSession(job.model, execution=job.execution, backend=job.backend)


def answer(job: Job, batch: Batch) -> Finished:
    """Run one batch and sum up what it answered and spent."""
    return batch.start, tally_of(_session(job).run(batch.inputs), batch)


def tally_of(result: Result, batch: Batch) -> Tally:
    """Sum up what the network answered to ``batch`` and spent on it."""
    quantities: dict[str, Any] = {f"spikes/{name}": value for name, value in result.spikes.items()}
    quantities |= {f"synops/{name}": value for name, value in result.synops.items()}
    quantities["spikes"] = sum(result.spikes.values(), np.zeros(len(batch), np.int64))
    quantities["synops"] = sum(result.synops.values(), np.zeros(len(batch), np.int64))
    quantities["energy/snn"] = np.broadcast_to(result.energy.snn, (len(batch),))
    quantities["energy/ann"] = np.broadcast_to(result.energy.ann, (len(batch),))
    labelled, correct = 0, 0
    predicted = predicted_classes(next(iter(result.outputs.values())))
    if batch.labels is not None and predicted is not None:
        labelled, correct = len(batch), int(np.sum(predicted == batch.labels))
    moments = {name: Moments.of(value) for name, value in quantities.items()}
    return Tally(len(batch), labelled, correct, moments)


def predicted_classes(output: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """The answered class of each sample: the position of the largest score, or the class number itself.

    Args:
        output: (N, classes) scores, or (N,) or (N, 1) class numbers; further axes may have size 1.

    Returns:
        (N,), or None where the output is neither.
    """
    flat = output.reshape(len(output), -1)
    if flat.shape[1] == 1:
        return flat[:, 0] if flat.dtype.kind in "iu" else None
    return np.argmax(flat, axis=1) if max(output.shape[1:]) == flat.shape[1] else None


def here(job: Job, batches: Iterable[Batch]) -> Iterator[Finished]:
    """One batch after another, in this process."""
    for batch in batches:
        yield answer(job, batch)


def in_processes(job: Job, batches: Iterable[Batch], *, workers: int) -> Iterator[Finished]:
    """In ``workers`` processes; batches of processes that die are done again, up to three times.

    Raises:
        Onnx2SnnError: the processes keep dying (most often because memory is exhausted).
    """
    source = iter(batches)
    waiting: list[Batch] = []
    for _ in range(_RETRIES + 1):
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            running: dict[Future[Finished], Batch] = {}
            try:
                yield from _keep_busy(pool, job, running, waiting, source, limit=2 * workers)
            except BrokenProcessPool:
                waiting = [*waiting, *running.values()]
                continue
            return
    raise Onnx2SnnError(
        f"worker processes died {_RETRIES + 1} times",
        remedy="memory may be short: use fewer --workers or a smaller --batch; --resume keeps what is done",
    )


def _keep_busy(
    pool: ProcessPoolExecutor,
    job: Job,
    running: dict[Future[Finished], Batch],
    waiting: list[Batch],
    source: Iterator[Batch],
    *,
    limit: int,
) -> Iterator[Finished]:
    """Keep ``limit`` batches in the pool, an earlier pool's first; the unfinished stay in ``running``."""
    while True:
        while len(running) < limit:
            batch = waiting.pop() if waiting else next(source, None)
            if batch is None:
                break
            running[_submit(pool, job, batch, waiting)] = batch
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            finished = future.result()
            del running[future]
            yield finished


def _submit(pool: ProcessPoolExecutor, job: Job, batch: Batch, waiting: list[Batch]) -> Future[Finished]:
    try:
        return pool.submit(answer, job, batch)
    except BrokenProcessPool:
        waiting.append(batch)
        raise


def on_ray(job: Job, batches: Iterable[Batch], *, address: str | None) -> Iterator[Finished]:
    """As tasks of a Ray cluster (extra ``cluster``); a task whose worker dies is done again elsewhere.

    Args:
        job: What to do.
        batches: On what.
        address: Of the cluster; None starts one on this machine, or joins the one that ``RAY_ADDRESS`` names.
    """
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    try:
        task: Callable[..., Any] = ray.remote(num_cpus=1, max_retries=_RETRIES)(answer).remote
        shared = ray.put(job)
        limit = 2 * max(int(ray.cluster_resources().get("CPU", 1)), 1)
        running: list[Any] = []
        for batch in batches:
            running.append(task(shared, batch))
            if len(running) >= limit:
                done, running = ray.wait(running, num_returns=1)
                yield from ray.get(done)
        yield from ray.get(running)
    finally:
        if started:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Onnx2SnnError("--ray needs Ray", remedy="pip install 'onnx2snn[cluster]'") from error
    return ray
