"""Evaluate: accuracy, spikes, synaptic operations and energy on a data set."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from onnx2snn.data import DataSet, Source, input_specs, open_data
from onnx2snn.dialect.layer_table import has_layer_table, is_snn, read_layer_table
from onnx2snn.errors import InputError
from onnx2snn.evaluation.baseline import Baseline
from onnx2snn.evaluation.batch_job import BatchJob, answer
from onnx2snn.evaluation.memory import NAME as MEMORY_MODEL
from onnx2snn.evaluation.memory import WIDTHS, memory_energy
from onnx2snn.evaluation.neurobench import Structure, neurobench
from onnx2snn.evaluation.sent import SentModel
from onnx2snn.evaluation.streaming import merged
from onnx2snn.evaluation.tally import Moments, Tally
from onnx2snn.listings import spike_listing
from onnx2snn.model.files import load_model
from onnx2snn.model.networks import Network, named
from onnx2snn.model.weights import split_model
from onnx2snn.runtime.batches import turned
from onnx2snn.runtime.engine_inputs import declared_axes
from onnx2snn.runtime.providers import Provider
from onnx2snn.runtime.result import layer_costs
from onnx2snn.units import percent, steps_to_answer, things


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What a network answered and spent on a data set.

    Attributes:
        tally: The merged counts.
        table: The layer table of the network's metadata; of a network that does not spike, one without layers.
        structure: Its weights, counted.
    """

    tally: Tally
    table: Mapping[str, Any]
    structure: Structure

    def __repr__(self) -> str:
        return f"Evaluation({self._told()})"

    def _repr_html_(self) -> str:
        return spike_listing(self.to_dict()["layers"]).html(self._told())

    def _told(self) -> str:
        known = "" if self.accuracy is None else f", accuracy {percent(self.accuracy)}"
        return f"{things(self.samples, 'sample')}, {things(len(self.layers), 'layer')}{known}"

    @property
    def layers(self) -> tuple[Mapping[str, Any], ...]:
        """Entries of the layer table (name, neurons, timesteps ...)."""
        return tuple(self.table["layers"])

    @property
    def steps(self) -> int:
        """Time steps from an input to its answer: (L + 1)·T."""
        coding = self.table.get("coding", "binary")
        return steps_to_answer(self.table["timesteps"], self.table.get("depth"), coding)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.tally.samples

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; None where the data has no labels or the network does not classify."""
        return self.tally.correct / self.tally.labelled if self.tally.labelled else None

    def __getitem__(self, quantity: str) -> Moments:
        """The spread of a quantity of :class:`Tally` over samples, for example ``"spikes"``.

        Raises:
            KeyError: it was not measured.
        """
        return self.tally.moments[quantity]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; energies in joules, by tables of operations and with memory accesses."""
        means = {name: moments.mean for name, moments in self.tally.moments.items()}
        neurons = {layer["name"]: self._neurons(layer) for layer in self.layers}
        table = {**self.table, "macs": self._macs()}
        energy: dict[str, Any] = {
            name: {kind: self.summary(f"{quantity}/{kind}") for kind in ("snn", "ann")}
            for name, quantity in (("float32", "energy"), ("int8", "energy8"))
        }
        for name, widths in WIDTHS.items():
            energy[name]["memory"] = memory_energy(widths, self.structure, table, means, neurons)
        return {
            "samples": self.samples,
            "accuracy": self.accuracy,
            "timesteps": self.table["timesteps"],
            "steps_to_answer": self.steps,
            "spikes": self.summary("spikes"),
            "synops": self.summary("synops"),
            "energy": {"snn": energy["float32"]["snn"], "ann": energy["float32"]["ann"], **energy},
            "memory_model": MEMORY_MODEL,
            "neurobench": neurobench(self.structure, table, means, neurons),
            "layers": [self._layer(layer) for layer in self.layers],
        }

    def summary(self, quantity: str) -> dict[str, float] | None:
        """Mean and spread of a quantity over samples; None where it was not measured.

        Args:
            quantity: ``spikes``, ``synops``, ``energy/snn`` or ``energy/ann`` (joules, 32-bit float; ``energy8/...``: 8-bit
                integer), of a layer ``spikes/<layer>`` or ``synops/<layer>``.
        """
        return self[quantity].summary() if quantity in self.tally.moments else None

    def _macs(self) -> dict[str, float | None]:
        """Multiply-accumulates of one sample, by kind; means where sizes are open."""
        sized = {kind: self.tally.moments.get(f"macs/{kind}") for kind in self.table.get("macs", {})}
        means = {kind: moments.mean for kind, moments in sized.items() if moments is not None}
        whole = {kind: int(mean) if mean == int(mean) else mean for kind, mean in means.items()}
        return {**self.table.get("macs", {}), **whole}

    def _neurons(self, layer: Mapping[str, Any]) -> float:
        """Of one sample; a mean where sizes are open."""
        sized = self.tally.moments.get(f"neurons/{layer['name']}")
        return layer["neurons"] if sized is None else sized.mean

    def _layer(self, layer: Mapping[str, Any]) -> dict[str, Any]:
        spikes, synops = (self.summary(f"{kind}/{layer['name']}") for kind in ("spikes", "synops"))
        return layer_costs(layer, self._neurons(layer), spikes, synops)


def evaluate(
    model: Network,
    data: Source,
    *,
    execution: Literal["spiking", "fused", "int8", "streaming"] | None = None,
    backend: Literal["onnxruntime", "numpy", "events"] = "onnxruntime",
    providers: Sequence[Provider] | None = None,
    batch: int = 100,
    workers: int = 1,
    ray: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Measure accuracy, spikes, synaptic operations and energy of a network, and their spread.

    A network that does not spike, the source of a conversion, is measured too: its answers and its multiply-accumulates.

    The result is the same, bit for bit, however the work is divided and whether or not it was interrupted.

    Args:
        model: The network: a path, a model, or what :func:`onnx2snn.convert` made.
        data: Whatever :func:`onnx2snn.data.open_data` opens.
        execution: ``fused`` counts the same spikes at the cost of one pass. None: that of a compiled network, else ``fused``.
        backend: What runs the network.
        providers: Execution providers of onnxruntime; None: the CPU.
        batch: Samples a batch; part of what identifies the result.
        workers: Processes that share the work.
        ray: Address of a Ray cluster to use instead, ``"auto"`` for a running one, ``"local"`` to start one.
        resume: A state file: continue what it holds, and keep it up to date.
        progress: Called with the number of samples just done; at first, of those done already (perhaps none).

    Raises:
        InputError: the data does not fit, or the state file belongs to another evaluation.
    """
    task = open_task(model, data, remote=ray is not None, execution=execution, backend=backend)
    chosen = (execution or "fused") if task.kind == "spiking" else execution
    work = functools.partial(answer, task.job(chosen, backend, providers))
    ways: dict[str, Any] = {"workers": workers, "ray": ray, "resume": resume, "progress": progress}
    identity = task.identity(chosen, backend, providers, "evaluate")
    tally = merged(task.samples, work, Tally(), identity, batch=batch, **ways)
    return Evaluation(tally, task.table, task.structure)


@dataclass(frozen=True)
class Task:
    """A network and data that fit.

    Attributes:
        sent: The network, as workers get it.
        kind: ``spiking``, ``compiled`` or ``ann``.
        samples: The data.
        table: Its layer table.
        structure: Its weights, counted.
        turned: By output, the axis of samples, where it is another than the first.
    """

    sent: SentModel
    kind: str
    samples: DataSet
    table: Mapping[str, Any]
    structure: Structure
    turned: Mapping[str, int]

    def job(self, execution: str | None, backend: str, providers: Sequence[Provider] | None) -> BatchJob:
        """What a worker does."""
        return BatchJob(self.sent, execution, backend, tuple(providers or ()), self.kind)

    def identity(
        self, execution: str | None, backend: str, providers: Sequence[Provider] | None, work: str
    ) -> dict[str, str]:
        """What tells its result from others."""
        ways = {"execution": str(execution), "backend": backend, "providers": str(list(providers or ()))}
        return {"model": self.sent.digest, **ways, "work": work}


def open_task(model: Network, data: Source, *, remote: bool, execution: str | None, backend: str) -> Task:
    """Read the network, and open the data for it.

    Raises:
        InvalidModelError: the network is missing or damaged.
        InputError: the data does not fit, or the network does not spike and has no such execution or backend.
    """
    model = named(model)
    proto = load_model(model)
    kind = "spiking" if is_snn(proto) else "compiled" if has_layer_table(proto) else "ann"
    if kind == "ann" and (execution is not None or backend != "onnxruntime"):
        remedy = "leave --execution and --backend out, or convert it first: onnx2snn in.onnx out.onnx"
        raise InputError("this network does not spike: it is run as its file is", remedy=remedy)
    samples = open_data(data, input_specs(proto))
    if kind == "ann":
        baseline = Baseline(split_model(proto))
        table: Mapping[str, Any] = baseline.table | {"sample_axes": baseline.axes}
    else:
        table = read_layer_table(proto, compiled=True)
    structure = Structure.of(split_model(proto))
    axes = declared_axes((*proto.graph.output, *proto.graph.input))
    elsewhere = {n: axis for n, axis in table.get("sample_axes", {}).items() if axis > 0}
    elsewhere |= turned(
        axes, [spec.name for spec in input_specs(proto)], [o.name for o in proto.graph.output]
    )
    return Task(SentModel.of(model, proto, remote=remote), kind, samples, table, structure, elsewhere)
