"""SpikingSession: run a converted network, count what it spends, look at its spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError
from onnx2snn.runtime.counts import count_nodes, counts_of
from onnx2snn.runtime.energy import FLOAT32, Energy, EnergyTable, energy_of
from onnx2snn.runtime.engine import Engine, make_engine
from onnx2snn.runtime.snn_file import SnnFile, read_snn, with_graph, with_outputs
from onnx2snn.runtime.tracing import Trace, traced, tracing_graph

Array: TypeAlias = NDArray[Any]
Count = Literal["synops", "spikes"]


@dataclass(frozen=True)
class Result:
    """What the network answered to N samples, and what it spent.

    Attributes:
        outputs: By output name, (N, ...), as in the source model.
        spikes: By layer, spikes of each sample, (N,).
        synops: By layer, synaptic operations that its spikes caused, (N,); empty unless counted.
        energy: Joules of each sample, of the SNN and of its ANN.
    """

    outputs: dict[str, Array]
    spikes: dict[str, NDArray[np.int64]]
    synops: dict[str, NDArray[np.int64]]
    energy: Energy


class SpikingSession:
    """A converted network, ready to run; safe to use from several threads.

    Args:
        model: Path or bytes of a model that onnx2snn wrote.
        execution: ``spiking``: trains of 0 and 1, T steps folded into the batch. ``fused``: integer levels in one pass,
            with the same spikes (METHOD 8).
        backend: ``onnxruntime``, or ``numpy``: the reference evaluator of the onnx package.
        threads: Threads of one run; None leaves it to the backend.
        providers: Execution providers of onnxruntime.
        session_options: An ``onnxruntime.SessionOptions`` of your own, used as it is.
        chunk: Samples at a time: memory stays bounded for batches of any size.
        table: Energy per operation.

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
    ) -> None:
        if execution not in ("spiking", "fused"):
            raise InputError(f"there is no execution '{execution}'", remedy="choose spiking or fused")
        if chunk < 1:
            raise InputError("a chunk holds at least one sample", found=chunk)
        self._file: SnnFile = read_snn(model)
        self.execution = execution
        self.layers: tuple[dict[str, Any], ...] = tuple(self._file.table["layers"])
        self.outputs: tuple[str, ...] = tuple(self._file.table["outputs"])
        self.timesteps = self._file.timesteps
        self._energy = table
        self._chunk = chunk
        options = {"threads": threads, "providers": providers, "session_options": session_options}
        folder = None if isinstance(model, bytes) else Path(model).parent
        self._backend = backend
        self._options: dict[str, Any] = {"folder": folder, **options}
        self._content = self._file.with_execution(execution)
        self._engines: dict[str, Engine] = {}
        self._engine("synops")

    def run(self, inputs: Mapping[str, Array], *, count: Count = "synops") -> Result:
        """Present a batch and return what the network answers and what it spent.

        Args:
            inputs: By input name, shape (N, ...) as in the source model.
            count: ``synops``: spikes and synaptic operations; ``spikes``: spikes alone, which is faster.

        Raises:
            InputError: a name, shape or dtype differs; it says which was expected and which was found.
        """
        engine = self._engine(count)
        checked, samples = self._checked(engine, inputs)
        parts = [engine.run(part) for part in self._parts(engine, checked, samples)]
        merged = {name: np.concatenate([p[name] for p in parts])[:samples] for name in parts[0]}
        spikes = {layer["name"]: merged[f"spikes/{layer['name']}"].astype(np.int64) for layer in self.layers}
        synops = {
            layer["name"]: merged[key].astype(np.int64)
            for layer in self.layers
            if (key := f"synops/{layer['name']}") in merged
        }
        total = sum(synops.values(), np.zeros(samples, np.int64))
        macs = self._file.table.get("macs", {})
        return Result(
            {n: merged[n] for n in self.outputs}, spikes, synops, energy_of(total, macs, self._energy)
        )

    def levels(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The level k that each neuron's spikes carry, by layer, (N, ...) float32; outputs by their own names."""
        engine = self._engine("trains")
        checked, samples = self._checked(engine, inputs)
        collected: dict[str, list[Array]] = {}
        for part in self._parts(engine, checked, samples):
            answer = engine.run(part)
            for layer in self.layers:
                train = answer.pop(layer["output"])
                level = counts_of(train, self.timesteps) if self.execution == "spiking" else train
                collected.setdefault(layer["name"], []).append(level)
            for name in self.outputs:
                collected.setdefault(name, []).append(answer[name])
        return {name: np.concatenate(values)[:samples] for name, values in collected.items()}

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
        for part in self._parts(engine, checked, samples):
            answer = engine.run(part)
            rows = len(next(iter(part.values())))
            for layer in self.layers:
                prefix = f"trace/{layer['name']}/"
                operands = {k[len(prefix) :]: v for k, v in answer.items() if k.startswith(prefix)}
                train, course = traced(operands, rows, self.timesteps, form)
                spikes.setdefault(layer["name"], []).append(train)
                potentials.setdefault(layer["name"], []).append(course)
        return Trace(_joined(spikes, samples), _joined(potentials, samples))

    def _engine(self, kind: str) -> Engine:
        """The network with the further outputs that ``kind`` needs, made when first asked for."""
        if kind not in self._engines:
            if kind == "trains":
                content = with_outputs(self._content, [layer["output"] for layer in self.layers])
            elif kind == "trace":
                spiking = self._file.with_execution("spiking")
                content = with_graph(
                    spiking, tracing_graph(spiking, {la["output"]: la["name"] for la in self.layers})
                )
            else:
                nodes = count_nodes(self.layers, self.timesteps, self.execution)
                content = with_graph(self._content, nodes)
                if kind == "synops" and self._file.counting is not None:
                    content = with_graph(content, self._file.counting)
            self._engines[kind] = make_engine(content, self._backend, **self._options)
        return self._engines[kind]

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
