"""SpikingSession: run a converted network, count what it spends, look at its spikes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.runtime.batches import by_sample, joined, of_samples
from onnx2snn.runtime.counts import count_nodes, counts_of, level_name, level_nodes
from onnx2snn.runtime.draft import Written
from onnx2snn.runtime.energy import FLOAT32, EnergyTable
from onnx2snn.runtime.engine import Engine, InputSpec, make_engine
from onnx2snn.runtime.machine import Machine
from onnx2snn.runtime.network import read_network
from onnx2snn.runtime.result import Result, result_of
from onnx2snn.runtime.sizes import open_tensors, size_nodes, with_sizes
from onnx2snn.runtime.snn_file import SnnFile, read_snn, with_graph, with_outputs
from onnx2snn.runtime.stream import Stream
from onnx2snn.runtime.stream_engine import StreamingEngine
from onnx2snn.runtime.tracing import Trace, by_step, traced, traced_rate, tracing_graph

_LOG = logging.getLogger(__name__)

Array: TypeAlias = NDArray[Any]
Count = Literal["synops", "spikes", "nothing"]
Prepared = Literal["synops", "spikes", "nothing", "levels"]


COUNTS = ("synops", "spikes", "nothing", "levels")
EXECUTIONS = ("spiking", "fused", "int8", "streaming")
#: What the functions of the dialect compute, where a session rewrites nothing.
_BODIES = {"spiking": "spiking", "fused": "fused", "int8": "fused", "streaming": "spiking"}


class SpikingSession:
    """A converted network, ready to run; safe to use from several threads.

    Args:
        model: Path or bytes of a model that onnx2snn wrote.
        execution: ``spiking``: trains of 0 and 1, T steps folded into the batch. ``fused``: integer levels in one pass,
            with the same spikes. ``int8``: the same in 8-bit integers, wherever weights are whole numbers times a scale
            and the result is the same bit for bit; float32 elsewhere. (A rate code has no shorter way than ``spiking``.)
            ``streaming``: a pipeline, one time step after the other, a new input every T steps (METHOD 8); :meth:`stream`
            drives it step by step.
        backend: ``onnxruntime``, or ``numpy``: the reference evaluator of the onnx package.
        threads: Threads of one run; None leaves it to the backend.
        providers: Execution providers of onnxruntime.
        session_options: An ``onnxruntime.SessionOptions`` of your own, used as it is.
        chunk: Samples at a time: memory stays bounded for batches of any size.
        table: Energy per operation: ``FLOAT32``, ``INT8``, or an :class:`onnx2snn.runtime.EnergyTable` of your own.
        count: What :meth:`run` counts where it is not told otherwise; what is prepared at once. ``levels``: nothing, and
            :meth:`levels` is prepared instead.
        save_memory: Keep 8-bit convolutions of the smallest maps as they are, where a larger matrix would be faster.

    Raises:
        InvalidModelError: no spiking network, a damaged file, or a newer dialect.
    """

    def __init__(
        self,
        model: str | Path | bytes,
        *,
        execution: str = "spiking",
        backend: str = "onnxruntime",
        threads: int | None = None,
        providers: Sequence[str] | None = None,
        session_options: Any = None,
        chunk: int = 64,
        table: EnergyTable = FLOAT32,
        count: Prepared = "synops",
        save_memory: bool = False,
    ) -> None:
        if execution not in EXECUTIONS:
            raise InputError(
                f"there is no execution '{execution}'", remedy=f"choose one of {', '.join(EXECUTIONS)}"
            )
        if count not in COUNTS:
            raise InputError(f"there is no count '{count}'", remedy=f"choose one of {', '.join(COUNTS)}")
        if chunk < 1:
            raise InputError("a chunk holds at least one sample", found=chunk)
        self._file: SnnFile = read_snn(model)
        self.coding = self._file.coding
        whole = execution in ("fused", "int8")
        self.execution = "spiking" if whole and self.coding == "rate" else execution
        self.layers: tuple[dict[str, Any], ...] = tuple(self._file.table["layers"])
        self.outputs: tuple[str, ...] = tuple(self._file.table["outputs"])
        self.timesteps = self._file.timesteps
        self._energy = table
        self._chunk = chunk
        self._count: Count = "nothing" if count == "levels" else count
        self._first = "trains" if count == "levels" else count
        self._growth = 0.0 if save_memory else 2.0
        options = {"threads": threads, "providers": providers, "session_options": session_options}
        folder = None if isinstance(model, bytes) else Path(model).parent
        self._backend = backend
        self._options: dict[str, Any] = {"folder": folder, "lean": self._file.beside, **options}
        self._engines: dict[str, Engine] = {}
        self._machines: dict[str, Machine] = {}
        self._sized: tuple[dict[str, tuple[int, ...]], dict[str, Any]] | None = None
        self._lock = threading.RLock()
        self._content = self._file.with_execution(_BODIES[self.execution])
        missing = set(self.outputs) - set(self._engine(self._first).outputs)
        if missing:
            raise InvalidModelError("its layer table names outputs that it has not", found=", ".join(missing))

    @property
    def inputs(self) -> dict[str, InputSpec]:
        """What the network reads: shape (None for any size) and dtype, by name."""
        return dict(self._engine(self._first).inputs)

    def run(self, inputs: Mapping[str, Array], *, count: Count | None = None) -> Result:
        """Present a batch and return what the network answers and what it spent.

        Args:
            inputs: By input name, shape (N, ...) as in the source model.
            count: ``synops``: spikes and synaptic operations; ``spikes``: spikes alone, which is faster; ``nothing``:
                answers alone, which is fastest (energy is NaN then). None: what the session was made for.

        Raises:
            InputError: a name, shape or dtype differs; it says which was expected and which was found.
        """
        engine = self._engine(self._count if count is None else count)
        checked, samples = self._checked(engine, inputs)
        answers = self._in_parts(engine, checked, samples, lambda answer: answer)
        for name in answers:
            if name.startswith(("spikes/", "synops/")):
                answers[name] = by_sample(answers[name], samples)
        return result_of(answers, samples, self._table(checked), self._energy)

    def levels(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The level k that each neuron's spikes carry, by layer, (N, ...) float32; outputs by their own names."""
        engine = self._engine("trains")
        checked, samples = self._checked(engine, inputs)

        def read(answer: Mapping[str, Array]) -> dict[str, Array]:
            levels = {layer["name"]: self._level(answer, layer["output"]) for layer in self.layers}
            return levels | {name: answer[name] for name in self.outputs}

        return self._in_parts(engine, checked, samples, read)

    def trace(self, inputs: Mapping[str, Array]) -> Trace:
        """Every spike and membrane potential of the spiking execution, step by step.

        Raises:
            InputError: as :meth:`run`.
        """
        engine = self._engine("trace")
        checked, samples = self._checked(engine, inputs)
        form = str(self._file.table.get("bias", "once"))
        spikes: dict[str, list[Array]] = {}
        potentials: dict[str, list[Array]] = {}
        thresholds: dict[str, Array] = {}
        resets: dict[str, Array] = {}
        for part in self._parts(engine, checked, samples):
            answer = engine.run(part)
            rows = len(next(iter(part.values())))
            for layer in self.layers:
                prefix = f"trace/{layer['name']}/"
                operands = {k[len(prefix) :]: v for k, v in answer.items() if k.startswith(prefix)}
                if self.coding == "rate":
                    train, course = traced_rate(operands, rows, self.timesteps)
                else:
                    train, course = traced(operands, rows, self.timesteps, form)
                spikes.setdefault(layer["name"], []).append(train)
                potentials.setdefault(layer["name"], []).append(course)
                thresholds[layer["name"]] = by_step(operands["compare"], train.ndim)
                resets[layer["name"]] = by_step(operands["subtract"], train.ndim)
        return Trace(_joined(spikes, samples), _joined(potentials, samples), thresholds, resets)

    def stream(self, *, batch: int = 1, count: Count = "synops") -> Stream:
        """A pipeline of its own, to be driven one time step a call; whatever the session's execution.

        Args:
            batch: Samples that enter together.
            count: As in :meth:`run`, for ``Stream.result``.

        Raises:
            InputError: the model fixes another batch.
        """
        return Stream(self._machine(count), batch=batch, result=self._result)

    def stream_run(
        self, samples: Iterable[Mapping[str, Array] | None], *, batch: int = 1
    ) -> Iterator[dict[str, Array]]:
        """The answers to a stream of samples, in order: {output name: array (batch, ...)}, each once it leaves.

        Args:
            samples: One a phase, by input name, (batch, ...); None leaves a phase empty.
            batch: Samples that enter together.

        Raises:
            InputError: as :meth:`run`.
        """
        return self.stream(batch=batch, count="spikes").run(samples)

    def _result(self, answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> Result:
        samples = len(next(iter(inputs.values())))
        return result_of(answers, samples, self._table(inputs), self._energy)

    def _table(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """The layer table; what it leaves open is found by a run on one sample of each size, the last of which is kept."""
        table = self._file.table
        tensors = open_tensors(table)
        if not tensors:
            return table
        shapes = {name: value.shape[1:] for name, value in inputs.items()}
        with self._lock:
            if self._sized is None or self._sized[0] != shapes:
                engine = self._engine("sizes")
                some = {name: value[: engine.fixed_batch or 1] for name, value in inputs.items()}
                self._sized = shapes, with_sizes(table, tensors, engine.run(some))
            return self._sized[1]

    def _level(self, answer: Mapping[str, Array], train: str) -> Array:
        if self.execution == "spiking":
            return counts_of(answer[train], self.timesteps, self.coding)
        return answer[level_name(train) if self.execution == "streaming" else train]

    def _engine(self, kind: str) -> Engine:
        """The network with the further outputs that ``kind`` needs, made when first asked for."""
        if self.execution == "streaming" and kind not in ("trace", "sizes"):
            return StreamingEngine(self._machine(kind), frozenset(self.outputs) - self.of_samples)
        with self._lock:
            if kind not in self._engines:
                began = time.perf_counter()
                if self._file.place is not None:
                    self._file.place.check()
                written = Written(self._with_outputs(kind, self.execution))
                if kind not in ("trace", "sizes") and self._backend == "onnxruntime":
                    folder = self._options["folder"]
                    written = self._file.specialised(
                        written.content, execution=self.execution, folder=folder, growth=self._growth
                    )
                self._engines[kind] = make_engine(
                    written.content, self._backend, constants=written.constants, **self._options
                )
                took = 1000 * (time.perf_counter() - began)
                _LOG.debug("%s execution in %s, for %s: %.0f ms", self.execution, self._backend, kind, took)
            return self._engines[kind]

    def _machine(self, kind: str) -> Machine:
        """The network as a pipeline, likewise."""
        with self._lock:
            if kind not in self._machines:
                if self._file.place is not None:
                    self._file.place.check()
                pipeline = self._file.pipeline(self._with_outputs(kind, "streaming"))
                self._machines[kind] = Machine(
                    pipeline, timesteps=self.timesteps, backend=self._backend, options=self._options
                )
            return self._machines[kind]

    def _with_outputs(self, kind: str, execution: str) -> bytes:
        if kind == "trace":
            spiking = self._file.with_execution("spiking")
            outputs = {layer["output"]: layer["name"] for layer in self.layers}
            return with_graph(spiking, tracing_graph(spiking, outputs))
        if kind == "sizes":
            shortest = "spiking" if self.coding == "rate" else "fused"
            return with_graph(self._file.with_execution(shortest), size_nodes(open_tensors(self._file.table)))
        if kind == "trains":
            if execution == "streaming":
                return with_graph(self._content, level_nodes(self.layers, self.timesteps))
            return with_outputs(self._content, [layer["output"] for layer in self.layers])
        if kind == "nothing":
            return self._content
        content = with_graph(self._content, count_nodes(self.layers, self.timesteps, execution))
        return self._file.counts_synops(content, self._options["folder"]) if kind == "synops" else content

    def _checked(self, engine: Engine, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], int]:
        if set(inputs) != set(engine.inputs):
            remedy = f"give {', '.join(engine.inputs)}"
            raise InputError(
                "the inputs are not those of the model", found=", ".join(inputs) or "nothing", remedy=remedy
            )
        checked = {name: spec.checked(name, inputs[name]) for name, spec in engine.inputs.items()}
        counts = {len(value) for value in checked.values()}
        if len(counts) != 1:
            raise InputError("the inputs hold different numbers of samples", found=sorted(counts))
        samples = counts.pop()
        if samples == 0:
            raise InputError("there are no samples")
        return checked, samples

    @cached_property
    def of_samples(self) -> frozenset[str]:
        """Outputs, and layers, that depend on the samples; the others are the same for all of them, and are there once."""
        network = read_network(self._file.content)
        steps = ((node.operator, node.reads, node.outputs) for node in network.nodes)
        reached = of_samples(steps, network.inputs)
        layers = {layer["name"] for layer in self.layers if layer["output"] in reached}
        return frozenset(layers | (reached & set(self.outputs)))

    def _in_parts(
        self,
        engine: Engine,
        inputs: dict[str, Array],
        samples: int,
        read: Callable[[dict[str, Array]], dict[str, Array]],
    ) -> dict[str, Array]:
        """What ``read`` takes of the answers, put together.

        Raises:
            InputError: an output neither grows with the samples nor is the same for all of them.
        """
        parts = self._parts(engine, inputs, samples)
        counts = [len(next(iter(part.values()))) for part in parts]
        answers = [read(engine.run(part)) for part in parts]
        counted = {name for name in answers[0] if name.startswith(("spikes/", "synops/"))}
        whole = joined(answers, counts, samples, counted | self.of_samples)
        if whole is None and not engine.fixed_batch:
            whole = read(engine.run(inputs))
        if whole is None:
            remedy = f"give {engine.fixed_batch} at a time"
            raise InputError("its outputs do not grow with the samples", found=samples, remedy=remedy)
        return whole

    def _parts(self, engine: Engine, inputs: dict[str, Array], samples: int) -> list[dict[str, Array]]:
        """Chunks; of exactly the declared batch where the model fixes one, the last filled up with its last sample."""
        size = engine.fixed_batch or min(self._chunk, samples)
        parts = []
        for start in range(0, samples, size):
            part = {name: value[start : start + size] for name, value in inputs.items()}
            missing = size - len(next(iter(part.values())))
            if engine.fixed_batch and missing:
                part = {n: np.concatenate([v, np.repeat(v[-1:], missing, axis=0)]) for n, v in part.items()}
            parts.append(part)
        return parts


def _joined(parts: dict[str, list[Array]], samples: int) -> dict[str, Array]:
    """Chunks (steps, n, ...) put together along the samples."""
    return {name: np.concatenate(values, axis=1)[:, :samples] for name, values in parts.items()}
