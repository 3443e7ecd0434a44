"""A network that runs as a pipeline, one time step a call (METHOD 8: the streaming execution)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError
from onnx2snn.runtime.batches import Inputs, by_name
from onnx2snn.runtime.engine_inputs import EngineInput
from onnx2snn.runtime.pipeline import Pipeline, State
from onnx2snn.runtime.result import Result

Array: TypeAlias = NDArray[Any]


class Stream:
    """Samples on their way through a network.

    A new input enters every T steps, at the first step of a phase; its answer leaves ``latency`` steps later. Layers work
    at the same time, each on another sample. A phase without an input leaves its place empty, and the neurons that it
    passes stay silent.

        stream = session.stream()
        while frames:
            answer = stream.step({"image": frame} if stream.ready else None, tag=number)

    A ``tag``, anything at all, travels with its sample: that of the sample that left last is ``stream.tag``.

    Args:
        pipeline: What executes the network.
        batch: Samples in each place of the pipeline.
        result: Makes a :class:`Result` of a pipeline's answers, and inputs of their sizes; None hands them out as they are,
            counts included.

    Attributes:
        spikes: Of the last time step, by layer, (batch, ...) uint8; empty before the network's sizes are known, which is
            at once, or with the first input where the network leaves a size open.
        result: Of the sample that left last; None before the first.
        tag: What it was tagged with.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        batch: int,
        result: Callable[[dict[str, Array], dict[str, Array]], Result] | None = None,
    ) -> None:
        fixed = {spec.shape[0] for spec in pipeline.inputs.values() if spec.shape} - {None}
        if batch < 1 or fixed - {batch}:
            remedy = f"give {fixed.pop()}, which the model fixes" if fixed else "give at least 1"
            raise InputError("a stream cannot hold this many samples in a place", found=batch, remedy=remedy)
        self.batch = batch
        self._pipeline = pipeline
        self._result = result
        self.reset()

    @property
    def timesteps(self) -> int:
        """T: steps of a phase."""
        return self._pipeline.timesteps

    @property
    def latency(self) -> int:
        """Time steps from the start of the step at which an input enters to the end of the one that answers."""
        return (self._pipeline.depth + 1) * self.timesteps

    @property
    def ready(self) -> bool:
        """Whether the next step is the first of a phase, and may bring an input."""
        return self._time % self.timesteps == 0

    @property
    def pending(self) -> int:
        """Places of the pipeline that hold samples."""
        return int(self._state["filled"].sum())

    @property
    def _time(self) -> int:
        return int(self._state["time"])

    def reset(self) -> None:
        """Empty the pipeline, and start at time 0."""
        self._state = self._pipeline.at_rest(self.batch)
        self._inputs: dict[str, Array] = {}
        self.spikes: dict[str, NDArray[np.uint8]] = {}
        self.result: Result | None = None
        self.tag: Any = None
        self._tags: deque[Any] = deque()
        shapes = self._sizes()
        if shapes is not None:
            specs = self._pipeline.inputs
            self._inputs = {name: np.zeros(shape, specs[name].dtype) for name, shape in shapes.items()}
            self._rest()

    def step(self, inputs: Inputs | None = None, *, tag: Any = None) -> dict[str, Array] | None:
        """Advance by one time step.

        Args:
            inputs: By input name, (batch, ...) as in the source model, or the only input's array alone; None where no sample
                enters.
            tag: Of the sample that enters.

        Returns:
            What the network answers to the sample whose last step this was, by output name, (batch, ...); else None.

        Raises:
            InputError: an input does not fit the model, or comes within a phase; nothing has changed then.
        """
        if inputs is not None:
            self._enter(inputs)
            self._tags.append(tag)
        elif not self.pending:
            self._rest()
            self._state["time"] = np.array(self._time + 1, np.int64)
            return None
        enters = inputs is not None
        self._state, self.spikes, answers = self._pipeline.step(self._state, self._inputs, enters=enters)
        if answers is not None:
            self.tag = self._tags.popleft()
        if answers is None or self._result is None:
            return answers
        self.result = self._result(answers, self._inputs)
        return dict(self.result.outputs)

    def run(self, samples: Iterable[Inputs | None]) -> Iterator[dict[str, Array]]:
        """Feed one sample a phase, and yield the answers in order.

        Args:
            samples: By input name, (batch, ...), as :meth:`step` takes them; None leaves a place empty.

        Raises:
            InputError: as :meth:`step`.
        """
        for sample in samples:
            while not self.ready:
                yield from self._answers(None)
            yield from self._answers(sample)
        while self.pending:
            yield from self._answers(None)

    def _answers(self, sample: Inputs | None) -> Iterator[dict[str, Array]]:
        answer = self.step(sample)
        if answer is not None:
            yield answer

    @property
    def state(self) -> State:
        """All that the pipeline remembers, as a copy: arrays by name, ready for ``numpy.savez``.

        ``time``, ``filled`` (which stages hold a sample), ``input/<name>``, ``integrating/<node>`` and
        ``generating/<layer>`` (the two membrane potentials), ``delay/<tensor>`` (spikes, or analog values, on their way), and
        what is counted. Assigned to a stream of the same network and batch, it goes on where the other stood; tags are no arrays,
        and stay behind.
        """
        held = {f"input/{name}": value for name, value in self._inputs.items()} | self._state
        return {name: value.copy() for name, value in held.items()}

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        held = {name: np.asarray(value) for name, value in state.items()}
        inputs = {
            name: held.pop(f"input/{name}") for name in self._pipeline.inputs if f"input/{name}" in held
        }
        expected = self._pipeline.at_rest(self.batch)
        _same_names(expected, held)
        if self._sizes() or inputs or np.any(held["filled"]):
            _same_names(self._pipeline.inputs, inputs)
            inputs = {n: self._checked(n, spec, inputs[n]) for n, spec in self._pipeline.inputs.items()}
        for name, value in expected.items():
            self._fits(name, held[name], value)
        self._state = {name: value.copy() for name, value in held.items()}
        self._inputs = {name: value.copy() for name, value in inputs.items()}
        self.spikes, self.result, self.tag = {}, None, None
        self._tags = deque([None] * self.pending)
        if inputs:
            self._rest()

    def _fits(self, name: str, found: Array, expected: Array) -> None:
        """Refuse a state of another network, batch or size."""
        declared = self._pipeline.states[name].shape
        sizes = [
            size if size is not None else held for size, held in zip(declared, found.shape, strict=False)
        ]
        known = self._sizes() is None or found.shape == expected.shape
        if (
            found.dtype != expected.dtype
            or list(found.shape) != sizes
            or len(sizes) != len(declared)
            or not known
        ):
            raise InputError(
                f"'{name}' of this state does not fit the stream",
                found=f"{found.dtype} {found.shape}",
                remedy=f"give {expected.dtype} {expected.shape}",
            )

    def _sizes(self) -> dict[str, tuple[int, ...]] | None:
        """Shapes of the inputs, where the network leaves no size open."""
        shapes = {
            name: (self.batch, *(size for size in spec.shape[1:] if size is not None))
            for name, spec in self._pipeline.inputs.items()
        }
        known = all(len(shapes[name]) == len(spec.shape) for name, spec in self._pipeline.inputs.items())
        return shapes if known else None

    def _rest(self) -> None:
        """No neuron fires."""
        trains = {name[11:]: value for name, value in self._state.items() if name.startswith("generating/")}
        if self._inputs:
            self.spikes = {name: np.zeros(value.shape, np.uint8) for name, value in trains.items()}

    def _enter(self, inputs: Inputs) -> None:
        if not self.ready:
            steps = -self._time % self.timesteps
            raise InputError(
                "an input enters at the first step of a phase",
                found=f"step {self._time % self.timesteps} of {self.timesteps}",
                remedy=f"step without an input {steps} times more",
            )
        specs = self._pipeline.inputs
        inputs = by_name(specs, inputs)
        if set(inputs) != set(specs):
            found = ", ".join(inputs) or "nothing"
            raise InputError(
                "the inputs are not those of the model", found=found, remedy=f"give {', '.join(specs)}"
            )
        checked = {name: self._checked(name, spec, inputs[name]) for name, spec in specs.items()}
        if {name: value.shape for name, value in self._inputs.items()} != {
            name: value.shape for name, value in checked.items()
        }:
            if self.pending:
                remedy = "reset the stream, or step it until it is empty"
                raise InputError("the input has another size than those on their way", remedy=remedy)
            self._state = self._pipeline.at_rest(self.batch) | {"time": self._state["time"]}
        self._inputs = {name: value.copy() for name, value in checked.items()}

    def _checked(self, name: str, spec: EngineInput, value: Any) -> Array:
        array = spec.checked(name, value)
        if len(array) != self.batch:
            remedy = f"give {self.batch}, or make a stream of another batch"
            raise InputError(
                f"input '{name}' holds another number of samples than the stream's places",
                found=len(array),
                remedy=remedy,
            )
        return array


def _same_names(expected: Iterable[str], found: Iterable[str]) -> None:
    expected, found = set(expected), set(found)
    for name in sorted(found ^ expected):
        problem = "lacks" if name in expected else "holds"
        raise InputError(
            f"this state {problem} '{name}'", remedy="give the state of a stream of the same network"
        )
