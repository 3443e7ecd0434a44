"""Run: every answer of a network on a data set of any size, in order, whoever computes it and in whatever order."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from onnx2snn.data import ResultWriter, Source, input_specs, open_data
from onnx2snn.data.specs import Array
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.errors import InputError, OutputError
from onnx2snn.evaluation.batch_job import BatchJob, respond
from onnx2snn.evaluation.evaluation import Evaluation
from onnx2snn.evaluation.sent import SentModel
from onnx2snn.evaluation.streaming import merged
from onnx2snn.evaluation.tally import Tally
from onnx2snn.model.files import load_model

Sent = tuple[Tally, dict[str, Array]]


def run_all(
    model: str | Path,
    data: Source,
    *,
    output: str | os.PathLike[str] | None = None,
    execution: str | None = None,
    backend: str = "onnxruntime",
    batch: int = 100,
    workers: int = 1,
    ray: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Run a spiking network, write its answers, and measure what they cost.

    Args:
        model: The spiking network.
        data: Whatever :func:`onnx2snn.data.open_data` opens.
        output: An .npz: outputs by name, spike counts as ``spikes/<layer>``, rows in the order of the data.
        execution: Of :class:`onnx2snn.runtime.SpikingSession`; None: that of a compiled network, else ``spiking``.
        backend: Likewise.
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
    proto = load_model(model)
    layers = tuple(read_layer_table(proto, compiled=True)["layers"])
    sent = SentModel.of(model, proto, remote=ray is not None)
    samples = open_data(data, input_specs(proto))
    task = {"model": sent.digest, "execution": str(execution), "backend": backend, "work": f"run to {output}"}
    work = functools.partial(respond, BatchJob(sent, execution, backend), output is not None)
    parts = _Parts(Path(f"{resume}.parts") if resume and output else None)
    with ResultWriter(output) if output else nullcontext() as writer:

        def receive(start: int, sent: Sent) -> Tally:
            tally, arrays = sent
            if writer is not None:
                parts.put(start, tally.samples, arrays)
                parts.drain(writer)
            return tally

        ways: dict[str, Any] = {"workers": workers, "ray": ray, "resume": resume, "progress": progress}
        total = merged(samples, work, Tally(), task, batch=batch, receive=receive, **ways)
        if writer is not None:
            parts.drain(writer)
            if parts.written < len(samples):
                raise InputError(
                    f"answers of an earlier run are missing from {resume}.parts",
                    remedy="delete the --resume file to start anew",
                )
    if resume and output:
        parts.discard()
        Path(resume).unlink(missing_ok=True)
    return Evaluation(total, layers)


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

    def drain(self, writer: ResultWriter) -> None:
        """Write whatever comes next, as far as it is there."""
        while (part := self._next()) is not None:
            writer.append(part[1])
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
