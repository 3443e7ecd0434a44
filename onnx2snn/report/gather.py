"""Gathering a report's facts from two networks and some data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx

from onnx2snn.certificate import Certificate, verify
from onnx2snn.certificate.compiled_twin import compiled_execution, converted_twin
from onnx2snn.certificate.samples import drawn
from onnx2snn.certificate.source_network import SourceNetwork
from onnx2snn.data import DataSet, input_specs, open_data
from onnx2snn.dialect.layer_table import check_pair, read_layer_table
from onnx2snn.evaluation.evaluation import Evaluation
from onnx2snn.evaluation.neurobench import Operations, Structure
from onnx2snn.model.files import load_model
from onnx2snn.model.networks import Network, name_of, named
from onnx2snn.model.weights import SplitModel, split_model
from onnx2snn.report.energy_facts import EnergyFacts
from onnx2snn.report.layer_tally import batch_size, tally_layers
from onnx2snn.report.report_facts import Array, Latency, ReportFacts
from onnx2snn.report.sample import Chosen, look_closely, must_be_binary
from onnx2snn.report.sweep import sweep_points
from onnx2snn.report.topology import stops_of
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.energy import FLOAT32, INT8
from onnx2snn.runtime.providers import Provider

#: Opens a stage of work (its name, samples in all); what it gives is called with the number of samples just done.
Track: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

_REPETITIONS, _SECONDS = 7, 0.2


@contextmanager
def untracked(_what: str, _total: int) -> Iterator[Callable[[int], None]]:
    """Nobody watches."""
    yield lambda _: None


def gather(
    source: Network,
    snn: Network,
    data: Any,
    *,
    certificate: Certificate | None = None,
    sample: int = 0,
    neurons: Chosen | None = None,
    sweep: Sequence[Any] = (),
    batch: int | None = None,
    providers: Sequence[Provider] | None = None,
    track: Track = untracked,
) -> ReportFacts:
    """Everything that a report says; arguments and errors as :func:`onnx2snn.report.write_report`.

    Memory is bounded by one batch, and time by a few passes over the data.
    """
    points = sweep_points(sweep)
    model, converted, table = _pair(source, snn)
    samples = _samples(model, data)
    network, given = _behind(model, converted, snn)
    executions: tuple[Literal["spiking", "fused"], ...] = ("spiking", "fused")
    spiking, fused = (SpikingSession(given, execution=one, providers=providers) for one in executions)
    with track("tracing", 1) as advance:
        looked_at = look_closely(spiking, samples, sample, neurons or {})
        advance(1)
    if certificate is None:
        with track("verifying", len(samples)) as advance:
            certificate = verify(source, snn, samples, batch=batch, providers=providers, progress=advance)
    stops = stops_of(network.structure, [operator["name"] for operator in table.get("non_spiking", [])])
    with track("counting spikes", len(samples)) as advance:
        options: dict[str, Any] = {"operations": Operations(network), "batch": batch}
        layers, spent = tally_layers(fused, samples, certificate.layers, stops, advance, **options)
    costs = Evaluation(spent, table, Structure.of(network)).to_dict()
    compiled = compiled_execution(converted)
    timed = {"spiking": spiking, "fused": fused}
    if compiled is not None:
        timed = {f"{compiled}, as compiled": SpikingSession(snn, providers=providers)}
    with track("timing", len(timed)) as advance:
        depth, steps = max((stop.phase for stop in stops), default=0), spiking.timesteps
        latency = measure_latency(timed, samples, depth=depth, timesteps=steps, progress=advance)
    return ReportFacts(
        source=name_of(source),
        model=name_of(snn),
        certificate=certificate,
        timesteps=spiking.timesteps,
        stops=stops,
        layers=layers,
        non_spiking=tuple(table.get("non_spiking", [])),
        macs=table.get("macs", {}),
        energy=energies(costs),
        memory_model=costs["memory_model"],
        neurobench=costs["neurobench"],
        latency=latency,
        sample=looked_at,
        sweep=points,
    )


def _pair(source: Network, snn: Network) -> tuple[onnx.ModelProto, onnx.ModelProto, dict[str, Any]]:
    """The source, its converted network, and the layer table of that."""
    model, converted = load_model(named(source)), load_model(named(snn))
    check_pair((source, model), (snn, converted))
    table = read_layer_table(converted, compiled=True)
    remedy = "onnx2snn run and onnx2snn verify tell what it spends, and how far it is off"
    must_be_binary(table, remedy=remedy)
    return model, converted, table


def _behind(model: onnx.ModelProto, converted: onnx.ModelProto, snn: Network) -> tuple[SplitModel, Any]:
    """The converted network, and what a session is given of it.

    A compiled file shows answers and levels; how they come about is shown on the network that it was compiled from.
    """
    network = split_model(converted)
    if compiled_execution(converted) is None:
        return network, snn
    twin = converted_twin(split_model(model), network)
    return twin, twin.whole().SerializeToString()


def _samples(model: onnx.ModelProto, data: Any) -> DataSet:
    specs = input_specs(model)
    return open_data(drawn(specs, SourceNetwork(model)) if data is None else data, specs)


def energies(costs: Mapping[str, Any]) -> tuple[EnergyFacts, ...]:
    """What :class:`onnx2snn.evaluation.Evaluation` tells of a network, by each table."""
    synops = 0.0 if costs["synops"] is None else costs["synops"]["mean"]
    found = []
    for table, name in ((FLOAT32, "float32"), (INT8, "int8")):
        told = costs["energy"][name]
        snn, ann = (None if told[kind] is None else told[kind]["mean"] for kind in ("snn", "ann"))
        found.append(EnergyFacts.of(table, synops, snn, ann, told["memory"]))
    return tuple(found)


def measure_latency(
    sessions: Mapping[str, SpikingSession],
    data: DataSet,
    *,
    depth: int,
    timesteps: int,
    progress: Callable[[int], None],
) -> Latency:
    """Time steps of one input, and milliseconds that each session takes on this machine."""
    size = min(batch_size(next(iter(sessions.values())).layers), len(data))
    inputs = next(data.batches(size)).inputs
    measured = {}
    for name, session in sessions.items():
        one = _milliseconds(session, {key: value[:1] for key, value in inputs.items()})
        measured[name] = {"one": one, "batch": one if size == 1 else _milliseconds(session, inputs) / size}
        progress(1)
    return Latency(depth, (depth + 1) * timesteps, timesteps, measured, size)


def _milliseconds(session: SpikingSession, inputs: Mapping[str, Array]) -> float:
    """The median of a few runs within a fifth of a second, or of one, behind a first one, on which sessions are made."""
    times: list[float] = []
    count: Literal["spikes", "nothing"] = "nothing" if session.counts == "nothing" else "spikes"
    session.run(inputs, count=count)
    while not times or (len(times) < _REPETITIONS and sum(times) < _SECONDS):
        began = time.perf_counter()
        session.run(inputs, count=count)
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))
