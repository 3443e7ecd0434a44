"""Run: every answer of a network on a data set of any size, in order, whoever computes it and in whatever order."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from onnx2snn.data import ResultWriter, Source
from onnx2snn.data.specs import Array
from onnx2snn.errors import InputError, OutputError
from onnx2snn.evaluation.batch_job import respond
from onnx2snn.evaluation.evaluation import Evaluation, open_task
from onnx2snn.evaluation.streaming import merged
from onnx2snn.evaluation.tally import Tally
from onnx2snn.model.networks import Network
from onnx2snn.runtime.providers import Provider

Sent = tuple[Tally, dict[str, Array], dict[str, Array]]


def run_all(
    model: Network,
    data: Source,
    *,
    output: str | os.PathLike[str] | None = None,
    spikes: str | os.PathLike[str] | None = None,
    execution: str | None = None,
    backend: str = "onnxruntime",
    providers: Sequence[Provider] | None = None,
    batch: int = 100,
    workers: int = 1,
    ray: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Run a network, write its answers, and measure what they cost.

    Args:
        model: The network.
        data: Whatever :func:`onnx2snn.data.open_data` opens.
        output: An .npz: outputs by name, spike counts as ``spikes/<layer>``, rows in the order of the data.
        spikes: An .npz: by layer, the spikes of each sample and time step, (N, T, ...) uint8.
        execution: Of :class:`onnx2snn.runtime.SpikingSession`; None: that of a compiled network, else ``spiking``.
        backend: Likewise.
        providers: Likewise.
        batch: Samples at a time.
        workers: Processes that share the work.
        ray: Address of a Ray cluster to use instead.
        resume: A state file; with ``output``, finished answers wait in the folder ``<resume>.parts``, and both are removed
            once the result is written.
        progress: Called with the number of samples that were just done.

    Raises:
        InputError: the data does not fit, or the state file belongs to other work.
        OutputError: the result cannot be written.
    """
    opened = open_task(model, data, remote=ray is not None, execution=execution, backend=backend)
    if spikes is not None and opened.kind != "spiking":
        remedy = "give the file that onnx2snn in.onnx out.onnx wrote"
        raise InputError("spikes are written step by step of a converted network alone", remedy=remedy)
    job = opened.job(execution, backend, providers)
    work = functools.partial(respond, job, output is not None, spikes is not None)
    files = {"outputs": output, "trains": spikes}
    parts = _Parts(Path(f"{resume}.parts") if resume and any(files.values()) else None)
    with ExitStack() as stack:
        axes: dict[str, Mapping[str, int]] = {"outputs": opened.turned}
        writers = {k: stack.enter_context(ResultWriter(f, axes.get(k))) for k, f in files.items() if f}
        ways: dict[str, Any] = {"workers": workers, "ray": ray, "resume": resume, "progress": progress}
        ways["receive"] = functools.partial(_received, parts, writers)
        targets = f"{output} and {spikes}" if spikes else f"{output}"
        task = opened.identity(execution, backend, providers, f"run to {targets}")
        total = merged(opened.samples, work, Tally(), task, batch=batch, **ways)
        if writers:
            parts.drain(writers)
            if parts.written < len(opened.samples):
                raise InputError(
                    f"answers of an earlier run are missing from {resume}.parts",
                    remedy="delete the --resume file to start anew",
                )
    if resume and writers:
        parts.discard()
        Path(resume).unlink(missing_ok=True)
    return Evaluation(total, opened.table, opened.structure)


def _received(parts: _Parts, writers: Mapping[str, ResultWriter], start: int, sent: Sent) -> Tally:
    """What a batch cost; its answers are written when those before them are."""
    tally, arrays, trains = sent
    if writers:
        parts.put(start, tally.samples, _labelled(outputs=arrays, trains=trains))
        parts.drain(writers)
    return tally


def _labelled(**kinds: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of several files as one mapping."""
    return {f"{kind}:{name}": array for kind, arrays in kinds.items() for name, array in arrays.items()}


class _Parts:
    """Answers that wait for those before them: in memory, or in a folder that outlives an interruption."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[int, tuple[int, Mapping[str, Array]]] = {}
        self.written = 0

    def put(self, start: int, samples: int, arrays: Mapping[str, Array]) -> None:
        if self._folder is None:
            self._held[start] = samples, arrays
            return
        try:
            self._folder.mkdir(exist_ok=True)
            fresh = self._folder / f".{start}.npz"
            held: dict[str, Any] = {f"a{i}": array for i, array in enumerate(arrays.values())}
            np.savez(fresh, names=list(arrays), samples=samples, **held)
            fresh.replace(self._folder / f"{start}.npz")
        except OSError as error:
            raise OutputError(
                f"cannot write {self._folder}: {error.strerror}", remedy="free space"
            ) from error

    def drain(self, writers: Mapping[str, ResultWriter]) -> None:
        """Write whatever comes next, as far as it is there, each kind to its file."""
        while (part := self._next()) is not None:
            for kind, writer in writers.items():
                own = {n.partition(":")[2]: v for n, v in part[1].items() if n.partition(":")[0] == kind}
                writer.append(own)
            self.written += part[0]

    def _next(self) -> tuple[int, Mapping[str, Array]] | None:
        if self._folder is None:
            return self._held.pop(self.written, None)
        path = self._folder / f"{self.written}.npz"
        if not path.exists():
            return None
        with np.load(path) as held:
            arrays = {str(name): held[f"a{i}"] for i, name in enumerate(held["names"])}
            return int(held["samples"]), arrays

    def discard(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
