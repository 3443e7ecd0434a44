"""Verification: the source as ONNX defines it against the spiking network, neuron by neuron."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import onnx

from onnx2snn.certificate.affine_maps import Found, check_network
from onnx2snn.certificate.approximate import approximate, holds_values
from onnx2snn.certificate.batch_findings import MOST_DEFECTS, Counts, Findings
from onnx2snn.certificate.certificate import Certificate, LayerCounts, OutputCheck
from onnx2snn.certificate.compare import CHUNK, Comparison
from onnx2snn.certificate.compiled_twin import compiled_execution, converted_twin
from onnx2snn.certificate.declared import check_declared
from onnx2snn.certificate.finished import Witness
from onnx2snn.certificate.interpreter import beside_interpreter
from onnx2snn.certificate.outputs import must_be_of_samples
from onnx2snn.certificate.samples import drawn, random_samples
from onnx2snn.data import Batch, DataSet, InputSpec, input_specs, open_data
from onnx2snn.dialect.layer_table import check_pair, read_layer_table
from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.evaluation.sent import SentModel
from onnx2snn.evaluation.streaming import merged
from onnx2snn.model.files import load_model
from onnx2snn.model.networks import Network, named
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.providers import Provider


def verify(
    source: Network,
    snn: Network,
    data: Any = None,
    *,
    execution: str | None = None,
    backend: str = "onnxruntime",
    providers: Sequence[Provider] | None = None,
    workers: int = 1,
    ray: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Certificate:
    """Compare a spiking network with its source: its synapses and thresholds, and every neuron on every sample.

    Rate-coded networks, and calibrated ones beside their float source, are approximations: their values and answers are
    compared (``workers`` and ``resume`` do not help there), and ``lossless`` is false.

    The result is the same, bit for bit, however the work is divided and whether or not it was interrupted.

    Args:
        source: The network that was converted: a path, a model, what :func:`onnx2snn.calibrate` made, or ``Conversion.source``.
        snn: The converted network: a path, a model, or what :func:`onnx2snn.convert` made. Or a compiled one, which shows its
            answers and levels: synapses and thresholds are then those of the network that ``source`` is converted to.
        data: A path, a data set, {input name: array (N, ...)}, or the only input's array; None: 64 samples are drawn, half of
            them at thresholds.
        execution: The execution of the spiking network to check; None: that of a compiled network, else ``spiking``.
        backend: What runs it.
        providers: Execution providers of onnxruntime that run the spiking network; None: the CPU. The source is computed on
            the CPU.
        workers: Processes that share the work.
        ray: Address of a Ray cluster to use instead, ``"auto"`` for a running one, ``"local"`` to start one.
        resume: A state file: continue what it holds, and keep it up to date.
        batch: Samples at a time, at most; None: as many as memory is meant for.
        progress: Called with the number of samples just done; at first, of those done already (perhaps none).

    Raises:
        InvalidModelError: a file is missing or damaged, or the SNN is not of this source.
        InputError: the data does not fit, or the state file belongs to another verification.
    """
    source, snn = named(source), named(snn)
    job, specs, table = _job(source, snn, execution, backend, providers, remote=ray is not None)
    comparison = None if table.get("coding") == "rate" else _comparable(job, table)
    if comparison is None:
        samples = open_data(random_samples(specs) if data is None else data, specs)
        session = SpikingSession(
            job.snn.content, execution=job.execution, backend=backend, providers=providers, chunk=CHUNK
        )
        return approximate(
            job.source.load(), session, table, samples, generated=data is None, progress=progress
        )
    samples = open_data(drawn(specs, comparison.source) if data is None else data, specs)
    check_declared(comparison.converted, samples)
    structure = _structure(comparison, samples)
    task = {
        "source": job.source.digest,
        "model": job.snn.digest,
        "execution": job.execution,
        "backend": backend,
        "providers": str(list(job.providers)),
        "work": "verify",
    }
    work = functools.partial(compare, job)
    ways: dict[str, Any] = {"workers": workers, "ray": ray, "resume": resume, "progress": progress}
    findings = merged(samples, work, Findings(), task, batch=comparison.rows_of(batch), **ways)
    certificate = _certificate(comparison, structure, findings, generated=data is None)
    return replace(certificate, interpreter=beside_interpreter(source, job.snn.content, samples))


@dataclass(frozen=True)
class VerificationJob:
    """What a worker needs to know, whichever machine it is on.

    Attributes:
        source: The source.
        snn: The spiking network.
        execution: Of :class:`onnx2snn.runtime.SpikingSession`.
        backend: Likewise.
        providers: Likewise.
        compiled: Whether ``snn`` is compiled.
    """

    source: SentModel
    snn: SentModel
    execution: str
    backend: str
    providers: tuple[Provider, ...] = ()
    compiled: bool = False


def _job(
    source: str | Path | onnx.ModelProto,
    snn: str | Path | onnx.ModelProto,
    execution: str | None,
    backend: str,
    providers: Sequence[Provider] | None,
    *,
    remote: bool,
) -> tuple[VerificationJob, tuple[InputSpec, ...], dict[str, Any]]:
    """The job, the inputs of the source, the layer table."""
    model, converted = load_model(source, in_place=True), load_model(snn, in_place=True)
    check_pair((source, model), (snn, converted))
    ours, theirs = (
        SentModel.of(one, loaded, remote=remote) for one, loaded in ((source, model), (snn, converted))
    )
    table, held = read_layer_table(converted, compiled=True), compiled_execution(converted)
    chosen = tuple(providers or ())
    job = VerificationJob(
        ours, theirs, execution or held or "spiking", backend, chosen, compiled=held is not None
    )
    return job, input_specs(model), table


@lru_cache(maxsize=1)
def _comparison(job: VerificationJob) -> Comparison:
    source, snn = job.source.load(), job.snn.load()
    converted = converted_twin(source, snn) if job.compiled else snn
    ways: dict[str, Any] = {"execution": job.execution, "backend": job.backend, "providers": job.providers}
    return Comparison(source, converted, job.snn.content, compiled=job.compiled, **ways)


def _comparable(job: VerificationJob, table: Mapping[str, Any]) -> Comparison | None:
    """Both networks side by side; None where the source is the float network before its calibration."""
    try:
        return _comparison(job)
    except InvalidModelError:
        tensors = _source_tensors(table)
        if tensors and holds_values(job.source.load(), tensors):
            return None
        raise
    except Exception:  # a source that contradicts itself may break whatever works on it
        Witness.of(job.source.load()).must_run()
        raise


def _source_tensors(table: Mapping[str, Any]) -> list[str]:
    """Those that the layer table names; none if it is damaged."""
    try:
        return [layer["source_tensor"] for layer in table["layers"]]
    except (KeyError, TypeError):
        return []


def compare(job: VerificationJob, batch: Batch) -> tuple[int, Findings]:
    """Compare both networks on one batch."""
    return batch.start, _comparison(job)(batch)


def _structure(comparison: Comparison, samples: DataSet) -> list[Found]:
    """What can be said of the network whatever the data; the first sample, or fixed batch, gives the sizes."""
    first = next(samples.batches(comparison.source.batch or 1), None)
    if first is None:
        raise InputError("there are no samples", remedy="give data with at least one sample")
    levels = comparison.answer(first.inputs).levels
    for p in comparison.pairs:
        must_be_of_samples(p.name, levels[p.source], len(first))
    comparison.snn_levels(first.inputs, levels)
    comparison.neurons = {
        p.name: levels[p.source][0].size for p in comparison.pairs
    }  # open sizes are those of the data
    return check_network(comparison, first.inputs, levels)


def _certificate(
    comparison: Comparison, structure: list[Found], found: Findings, *, generated: bool
) -> Certificate:
    maps = tuple(check for check, _ in structure)
    defects = [defect for _, some in structure for defect in some]
    unread = comparison.source.unread
    layers = [
        LayerCounts(
            p.name,
            comparison.neurons[p.name],
            **vars(found.layers.get(p.name, Counts())),
            read_from="normalised form" if p.source in unread else "file",
        )
        for p in comparison.pairs
    ]
    return Certificate(
        lossless=found.unexplained == 0 and not any(check.differing or check.thresholds for check in maps),
        samples=found.samples,
        generated=generated,
        timesteps=comparison.timesteps,
        steps=comparison.steps,
        alike=found.alike,
        alike_error=found.alike_error,
        layers=tuple(layers),
        maps=maps,
        outputs=tuple(OutputCheck(n, o.largest, o.unexplained) for n, o in found.outputs.items()),
        max_abs_error=found.largest_error,
        mean_abs_error=float(found.total_error / max(found.values, 1)),
        top1_agreement=found.same_class / found.classed if found.classed else None,
        accuracy={
            "ann": found.right[0] / found.labelled,
            "snn": found.right[1] / found.labelled,
        }
        if found.labelled
        else None,
        worst_samples=tuple(sample for _, sample in found.worst),
        exact=all(check.exact for check in maps[: len(layers)]),
        defects=tuple([*defects[: MOST_DEFECTS // 2], *found.defects][:MOST_DEFECTS]),
        one_at_a_time=comparison.mixes,
    )
