"""SpikingSession: run a converted network, count what it spends, look at its spikes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.runtime.backends import Engine
from onnx2snn.runtime.batches import (
    Inputs,
    answers_of_parts,
    by_sample,
    checked_samples,
    parts_of,
    samples_at_a_time,
)
from onnx2snn.runtime.choices import check_count, check_options
from onnx2snn.runtime.energy import FLOAT32, EnergyTable
from onnx2snn.runtime.engine_inputs import EngineInput, fixed_batch
from onnx2snn.runtime.engines import Engines
from onnx2snn.runtime.open_sizes import open_tensors, with_sizes
from onnx2snn.runtime.pipeline import Pipeline, StreamingEngine
from onnx2snn.runtime.providers import Provider, target_of
from onnx2snn.runtime.result import Result, result_of
from onnx2snn.runtime.session_file import Model, open_source
from onnx2snn.runtime.stream import Stream
from onnx2snn.runtime.trace import Trace, trace_of
from onnx2snn.units import steps_in_words, steps_to_answer, things

Array: TypeAlias = NDArray[Any]
Count = Literal["synops", "spikes", "nothing"]
Prepared = Literal["synops", "spikes", "nothing", "levels"]

#: What a compiled file calls them.
_WRITTEN = {"streaming": "step"}


class SpikingSession:
    """A converted network, ready to run; safe to use from several threads, and from asyncio by ``asyncio.to_thread``.

        with SpikingSession("fast.onnx") as session:
            session.warm_up()
            result = session.run({"image": x})

    Closed, or left as a context, it lets go of the network. It may be pickled: what is sent is the path (or the bytes) of its
    model, and its options.

    Args:
        model: What onnx2snn wrote or made: a path, bytes, an ``onnx.ModelProto``, a conversion. A converted network is compiled
            in memory where the onnx package is there, and run as it is otherwise; a compiled one runs everywhere.
        execution: ``spiking``: trains of 0 and 1, T steps folded into the batch. ``fused``: integer levels in one pass,
            with the same spikes. ``int8``: the same in 8-bit integers, wherever kernels of these pass the neurons'
            thresholds; float32 elsewhere. (A rate code has no shorter way than ``spiking``.)
            ``streaming``: a pipeline, one time step after the other, a new input every T steps (METHOD 8); :meth:`stream`
            drives it step by step. None: what the file was compiled for, else ``spiking``.
        backend: ``onnxruntime``. ``events`` (``pip install 'onnx2snn[events]'``): synapses add up the weights of active
            neurons alone; where many are active, dense kernels take over. Its first run compiles loops, for a second or two.
            ``numpy``: the reference evaluator of the onnx package.
        threads: Threads of one run; None leaves it to the backend. Events are followed by one.
        providers: Execution providers of onnxruntime, by name or as (name, options). CUDA multiplies float32 exactly here
            (option ``use_tf32`` off), where the options do not say otherwise.
        session_options: An ``onnxruntime.SessionOptions`` of your own, used as it is.
        chunk: Samples at a time: memory stays bounded for batches of any size. None: 64, or on CPUs fewer, as many as have
            trains that stay in its caches.
        table: Energy per operation: ``FLOAT32``, ``INT8``, or an :class:`onnx2snn.runtime.EnergyTable` of your own.
        count: What :meth:`run` counts where it is not told otherwise; what is prepared at once. ``levels``: nothing, and
            :meth:`levels` is prepared instead. None: all that the file can count.
        save_memory: Keep 8-bit convolutions of the smallest maps as they are, where a larger matrix would be faster.

    Raises:
        InvalidModelError: no spiking network, a damaged file, or a newer dialect.
        InputError: an option that there is not, or that needs the onnx package.
    """

    def __init__(
        self,
        model: Model,
        *,
        execution: str | None = None,
        backend: str = "onnxruntime",
        threads: int | None = None,
        providers: Sequence[Provider] | None = None,
        session_options: Any = None,
        chunk: int | None = None,
        table: EnergyTable = FLOAT32,
        count: Prepared | None = None,
        save_memory: bool = False,
    ) -> None:
        self._made_of = {name: value for name, value in locals().items() if name != "self"}
        if isinstance(model, (str, os.PathLike)):  # whoever unpickles it may work in another folder
            self._made_of["model"] = os.path.abspath(model)  # noqa: PTH100 - links stay what they are
        check_options(execution, count, chunk)
        target = target_of(backend, providers, save_memory=save_memory)
        self._source = open_source(model, target, whole=target.plain or session_options is not None)
        table_ = self._source.table
        self.coding = str(table_.get("coding", "binary"))
        wanted = execution or {"step": "streaming"}.get(self._source.execution, self._source.execution)
        self.execution = "spiking" if self.coding == "rate" and wanted in ("fused", "int8") else wanted
        self.layers: tuple[dict[str, Any], ...] = tuple(table_["layers"])
        self.outputs: tuple[str, ...] = tuple(table_["outputs"])
        self._axis_of: dict[str, int] = table_.get("sample_axes", {})
        self.timesteps = int(table_["timesteps"])
        self.steps = steps_to_answer(self.timesteps, table_.get("depth"), self.coding)
        self._energy = table
        folded = self.timesteps if self.execution == "spiking" else 1
        self._chunk = chunk or samples_at_a_time(self.layers, folded, cached=target.contributed)
        self._first = count or self._source.counts
        self._count = "nothing" if self._first == "levels" else self._first
        options = {"threads": threads, "providers": providers, "session_options": session_options}
        self._engines = Engines(self._source, backend, options)
        self._check_promises(self._engine(self._first).outputs)

    def __repr__(self) -> str:
        words = f"{self.execution}, {things(len(self.layers), 'layer')}, {steps_in_words(self.timesteps, self.steps)}"
        return f"SpikingSession({words}{', closed' if self._engines.closed else ''})"

    def __enter__(self) -> SpikingSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the network, and of the memory that it holds; what runs in other threads runs to its end."""
        self._engines.close()

    def __getstate__(self) -> dict[str, Any]:
        """What the session was made of.

        Raises:
            InputError: ``session_options`` of onnxruntime cannot be sent.
        """
        if self._made_of["session_options"] is not None:
            remedy = "make a session where it is used, or give threads and providers instead"
            raise InputError("a session with session_options of its own cannot be pickled", remedy=remedy)
        return self._made_of

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = state["model"]
        self.__init__(model, **{name: value for name, value in state.items() if name != "model"})  # type: ignore[misc]

    @property
    def inputs(self) -> dict[str, EngineInput]:
        """What the network reads: shape (None for any size) and dtype, by name."""
        return dict(self._engine(self._first).inputs)

    @property
    def counts(self) -> Count:
        """The most that it can count."""
        return self._source.counts

    def run(self, inputs: Inputs, *, count: Count | None = None) -> Result:
        """Present a batch and return what the network answers and what it spent.

        Args:
            inputs: By input name, shape (N, ...) as in the source model; of a model's only input the array alone. Arrays of
                another type, or nested lists, are converted where their values are kept (floats may be rounded).
            count: ``synops``: spikes and synaptic operations; ``spikes``: spikes alone, which is faster; ``nothing``:
                answers alone, which is fastest (energy is NaN then). None: what the session was made for.

        Raises:
            InputError: a name, shape or dtype differs; it says which was expected and which was found.
        """
        check_count(count)
        engine = self._engine(self._count if count is None else count)
        checked, samples = checked_samples(engine.inputs, inputs)
        answers = self._in_parts(engine, checked, samples, self._axis_of)
        for name in answers:
            if name.startswith(("spikes/", "synops/")):
                answers[name] = by_sample(answers[name], samples)
        return self._result(answers, checked)

    def warm_up(self, inputs: Inputs | None = None) -> None:
        """Run once, so that the first sample does not wait for memory that a first run asks for.

        Of the backend ``events`` small loops are compiled together, for some seconds: small networks run in half the time.

        Args:
            inputs: As of :meth:`run`; None: one sample of zeros.

        Raises:
            InputError: the network leaves sizes open, and there are no inputs to tell them.
        """
        if inputs is None:
            rows = fixed_batch(self.inputs) or 1
            if any(None in spec.shape[1:] for spec in self.inputs.values()):
                raise InputError("this network leaves sizes open", remedy="give inputs of the sizes to come")
            inputs = {
                name: np.zeros((rows, *(size or 1 for size in spec.shape[1:])), spec.dtype)
                for name, spec in self.inputs.items()
            }
        self._engine(self._count).warm_up()
        self.run(inputs)

    def levels(self, inputs: Inputs) -> dict[str, Array]:
        """The level k that each neuron's spikes carry, by layer, (N, ...) float32; outputs by their own names.

        Args:
            inputs: As of :meth:`run`.

        Raises:
            InputError: as :meth:`run`.
        """
        engine = self._engine("levels")
        checked, samples = checked_samples(engine.inputs, inputs)
        answers = self._in_parts(engine, checked, samples, self._axis_of)
        levels = {layer["name"]: answers[f"levels/{layer['name']}"] for layer in self.layers}
        return levels | {name: answers[name] for name in self.outputs}

    def trace(self, inputs: Inputs) -> Trace:
        """Every spike and membrane potential of the spiking execution, step by step.

        Args:
            inputs: As of :meth:`run`.

        Raises:
            InputError: as :meth:`run`.
        """
        engine = self._engine("nothing", "trace")
        checked, samples = checked_samples(engine.inputs, inputs)
        parts = parts_of(checked, samples, fixed_batch(engine.inputs), self._chunk)
        given = sum(len(next(iter(part.values()))) for part in parts)
        return trace_of([engine.run(part) for part in parts], self._source.table, samples, given)

    def stream(self, *, batch: int = 1, count: Count | None = None) -> Stream:
        """A pipeline of its own, to be driven one time step a call; whatever the session's execution.

        Args:
            batch: Samples that enter together.
            count: As in :meth:`run`, for ``Stream.result``. None: all that the file can count.

        Raises:
            InputError: the model fixes another batch.
        """
        check_count(count)
        every: Count = self._source.counts if self._source.compile is None else "synops"
        return Stream(self._pipeline(count or every), batch=batch, result=self._result)

    def stream_run(self, samples: Iterable[Inputs | None], *, batch: int = 1) -> Iterator[dict[str, Array]]:
        """The answers to a stream of samples, in order: {output name: array (batch, ...)}, each once it leaves.

        Args:
            samples: One a phase, as :meth:`Stream.step` takes it, (batch, ...); None leaves a phase empty.
            batch: Samples that enter together.

        Raises:
            InputError: as :meth:`run`.
        """
        return self.stream(batch=batch, count="nothing").run(samples)

    def _check_promises(self, answered: Collection[str]) -> None:
        """That the network answers what its layer table and its metadata name."""
        counted = {f"spikes/{layer['name']}" for layer in self.layers} if self._count != "nothing" else set()
        promised = {"its layer table names outputs": self.outputs, "its metadata promises counts": counted}
        for said, names in promised.items():
            if missing := set(names) - set(answered):
                remedy = "give the file that onnx2snn wrote"
                raise InvalidModelError(f"{said} that it has not", found=", ".join(missing), remedy=remedy)

    def _result(self, answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> Result:
        samples, table = len(next(iter(inputs.values()))), self._source.table
        if "sizes/0" in answers:
            table = with_sizes(table, open_tensors(table), answers)
        return result_of(answers, samples, table, self._energy)

    def _engine(self, count: str, execution: str = "") -> Engine:
        """The network of an execution, with what it counts; made when it is first asked for."""
        execution = execution or self.execution
        if execution == "streaming":
            facts: dict[str, Any] = {"levels": count == "levels", "axis_of": self._axis_of}
            mixed = bool(self._source.table["non_spiking"])
            return StreamingEngine(self._pipeline(count), self._source.alike, **facts, mixed=mixed)
        return self._engines.engine(_WRITTEN.get(execution, execution), count)

    def _pipeline(self, count: str) -> Pipeline:
        """The network as a pipeline, likewise."""
        return Pipeline(self._engine(count, "step"), self.timesteps)

    @cached_property
    def of_samples(self) -> frozenset[str]:
        """Outputs, and layers, that depend on the samples; the others are the same for all of them, and are there once."""
        return frozenset({*self.outputs, *(layer["name"] for layer in self.layers)} - self._source.alike)

    def _in_parts(
        self, engine: Engine, inputs: dict[str, Array], samples: int, axis_of: Mapping[str, int]
    ) -> dict[str, Array]:
        """The answers to all parts, put together."""
        own = set(self.of_samples) | {f"levels/{name}" for name in self.of_samples}
        return answers_of_parts(engine, inputs, samples, chunk=self._chunk, own=own, axis_of=axis_of)
