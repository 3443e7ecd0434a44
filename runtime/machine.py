"""A pipeline and the engines that execute it; it holds no state of its own, so that many streams can share it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.engine import Engine, InputSpec, make_engine
from onnx2snn.runtime.pipeline import Line, Pipeline
from onnx2snn.runtime.step_graphs import STEP, tap

Array: TypeAlias = NDArray[Any]
#: States of a stream by name.
State: TypeAlias = dict[str, Array]


class Machine:
    """Executes a pipeline, from states to states.

    Args:
        pipeline: What to execute.
        timesteps: T.
        backend: As of :class:`onnx2snn.runtime.SpikingSession`.
        options: Of the backend.
    """

    def __init__(
        self, pipeline: Pipeline, *, timesteps: int, backend: str, options: Mapping[str, Any]
    ) -> None:
        self.pipeline = pipeline
        self.timesteps = timesteps
        self._options = {"backend": backend, **options}
        self._turn: Engine = make_engine(pipeline.turn, **self._options)
        self._step = None if pipeline.step is None else make_engine(pipeline.step, **self._options)
        self.inputs: dict[str, InputSpec] = {name: self._turn.inputs[name] for name in pipeline.inputs}
        self._taps = {
            tap(line.tensor, n): (line.tensor, n) for line in pipeline.lines.values() for n in line.taps
        }
        self._rest: dict[tuple[tuple[str, tuple[int, ...]], ...], State] = {}
        self._lock = threading.Lock()

    def at_rest(self, inputs: Mapping[str, Array]) -> State:
        """The states of an empty pipeline whose inputs have the sizes of ``inputs``; not to be written to."""
        key = tuple((name, inputs[name].shape) for name in self.inputs)
        with self._lock:
            if key not in self._rest:
                self._rest[key] = self._measured(inputs)
            return self._rest[key]

    def _measured(self, inputs: Mapping[str, Array]) -> State:
        """Zeros of the sizes that the network's own tensors have, for one time step."""
        silent = {name: np.zeros_like(value) for name, value in inputs.items()}
        found = {**silent, **make_engine(self.pipeline.sizes, once=True, **self._options).run(silent)}
        state = {f"input/{name}": value for name, value in silent.items()}
        for name, train in self.pipeline.integrating.items():
            state[f"integrating/{name}"] = np.zeros_like(found[train])
        for name, (train, _) in self.pipeline.generating.items():
            state[f"generating/{name}"] = np.zeros_like(
                found[train]
            )  # no neuron fires at zero: its level is 0
        for line in self.pipeline.lines.values():
            held = found[line.tensor]
            shape = (max(line.taps) * self._rate(line), *held.shape)
            state[f"delay/{line.tensor}"] = np.zeros(shape, np.bool_ if line.spikes else held.dtype)
        return state

    def step(self, state: State, time: int) -> dict[str, Array]:
        """Advance ``state`` by one time step.

        Returns:
            The spikes of the time step, by neuron, (N, ...) zeros and ones.
        """
        if self._step is None:
            return {}
        feeds = {name: self._given(name, state, time) for name in self._step.inputs}
        found = self._step.run(feeds)
        for name in self.pipeline.integrating:
            state[f"integrating/{name}"] = found[f"integrated/{name}"]
        for name in self.pipeline.generating:
            state[f"generating/{name}"] = found[f"generated/{name}"]
        self._record(state, found, time, every_step=True)
        return {name: found[train] for name, (train, _) in self.pipeline.generating.items()}

    def turn(self, state: State, time: int, filled: NDArray[np.bool_]) -> dict[str, Array]:
        """End the phase of which ``time`` is the last step: what has been integrated is going to be generated.

        Args:
            state: Changed in place.
            time: In time steps.
            filled: Which stages hold a sample, (depth + 1,): the neurons of empty ones stay silent.

        Returns:
            The network's outputs, which belong to the sample of the last stage.
        """
        rest = self.at_rest({name: state[f"input/{name}"] for name in self.inputs})
        found = self._turn.run({name: self._given(name, state, time) for name in self._turn.inputs})
        answers = {
            name: self._late(state, name, phases, time).copy() if phases else found[name]
            for name, phases in self.pipeline.outputs.items()
        }
        for name in self.pipeline.integrating:
            state[f"integrating/{name}"] = rest[f"integrating/{name}"]
        for name, (train, stage) in self.pipeline.generating.items():
            state[f"generating/{name}"] = found[train] if filled[stage - 1] else rest[f"generating/{name}"]
        held = {name: state[f"input/{name}"] for name in self.inputs}
        self._record(state, {**held, **found}, time, every_step=False)
        return answers

    def _given(self, name: str, state: State, time: int) -> Array:
        """An input of a graph: a state, an input of the network, or what a tensor was some phases before."""
        if name == STEP:
            return np.array(time % self.timesteps, np.int64)
        if name in self.inputs:
            return state[f"input/{name}"]
        if name in self._taps:
            return self._late(state, *self._taps[name], time)
        return state[name]

    def _late(self, state: State, tensor: str, phases: int, time: int) -> Array:
        """What a tensor was ``phases`` phases before."""
        line, held = self.pipeline.lines[tensor], state[f"delay/{tensor}"]
        value: Array = held[(self._position(line, time) - phases * self._rate(line)) % len(held)]
        return value.astype(np.float32) if line.spikes else value

    def _record(self, state: State, found: Mapping[str, Array], time: int, *, every_step: bool) -> None:
        """Delay lines are rings: what is oldest has been read, and gives way."""
        for tensor, line in self.pipeline.lines.items():
            if line.every_step is every_step:
                held = state[f"delay/{tensor}"]
                held[self._position(line, time) % len(held)] = found[tensor]

    def _position(self, line: Line, time: int) -> int:
        return time if line.every_step else time // self.timesteps

    def _rate(self, line: Line) -> int:
        return self.timesteps if line.every_step else 1
