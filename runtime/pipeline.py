"""A network as a pipeline: the graph of one time step, from states to states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.runtime.backends import Engine
from onnx2snn.runtime.batches import together
from onnx2snn.runtime.engine_inputs import EngineInput, fixed_batch, in_order
from onnx2snn.runtime.layer_records import compiled_facts

Array: TypeAlias = NDArray[Any]
#: States of a stream by name.
State: TypeAlias = dict[str, Array]

#: Places that the samples of one run are spread over: many keep the pipeline full, few keep calls cheap.
_PLACES = 16


class Pipeline:
    """Executes single time steps; it holds no state of its own, so that many streams can share it.

    Args:
        engine: The network of the execution ``step``.
        timesteps: T.

    Attributes:
        depth: Layers of neurons on the longest path.
        stages: By layer, in which phase its neurons fire for a sample, the phase of its input being 0.
        inputs: Of the network, by name.
        states: By name.
        axes: As of an engine.
    """

    def __init__(self, engine: Engine, timesteps: int) -> None:
        self._engine = engine
        self.timesteps = timesteps
        try:
            facts = compiled_facts(engine.metadata) or {}
            self.depth = int(facts["depth"])
            self.stages: dict[str, int] = facts.get("stages", {})
            self.states = {name: engine.inputs[name] for name in facts["states"]}
            self._check(engine)
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidModelError(
                "this is no network of one time step",
                found=str(error),
                remedy="compile it again: onnx2snn compile snn.onnx step.onnx --execution step",
            ) from error
        self.inputs: dict[str, EngineInput] = {
            name: spec for name, spec in engine.inputs.items() if name not in self.states and name != "enters"
        }
        self.axes = engine.axes

    def _check(self, engine: Engine) -> None:
        """Refuse metadata that does not describe this graph: what drives it would wait for answers that never come.

        Raises:
            ValueError: it does not; says where.
        """
        if self.states["filled"].shape != (self.depth + 1,) or self.states["time"].shape:
            raise ValueError(f"its stages are not those of depth {self.depth}")
        if not {"answered", *(f"next/{name}" for name in self.states)} <= set(engine.outputs):
            raise ValueError("it does not answer all its states")
        fires = {name[6:] for name in engine.outputs if name.startswith("train/")}
        if any(self.stages.get(name, -1) not in range(self.depth + 1) for name in fires):
            raise ValueError("it does not say in which phase its layers fire")

    @property
    def outputs(self) -> list[str]:
        """What it answers, counts included."""
        further = ("answered", "train/", "next/")
        return [name for name in self._engine.outputs if not name.startswith(further)]

    def warm_up(self) -> None:
        """As of an engine."""
        self._engine.warm_up()

    def at_rest(self, batch: int) -> State:
        """The states of an empty pipeline; sizes that the network leaves open are one, until the first step."""
        return {
            name: np.zeros([self._size(axis, batch) for axis in self._engine.axes[name]], spec.dtype)
            for name, spec in self.states.items()
        }

    @staticmethod
    def _size(axis: int | str, batch: int) -> int:
        if isinstance(axis, int):
            return axis
        return batch if axis == "N" else 1

    def step(
        self, state: State, inputs: Mapping[str, Array], *, enters: bool
    ) -> tuple[State, dict[str, Array], dict[str, Array] | None]:
        """Advance by one time step.

        Args:
            state: Before.
            inputs: Of the phase, by input name.
            enters: Whether they bring a sample.

        Returns:
            The state behind it; the spikes of the step by layer, (N, ...) uint8; what the network answers to the sample that
            leaves, None where none does.
        """
        found = self._engine.run({**inputs, **state, "enters": np.array(enters)})
        after = {name: found[f"next/{name}"] for name in self.states}
        spikes = {n[6:]: value.view(np.uint8) for n, value in found.items() if n.startswith("train/")}
        answers = in_order({name: found[name] for name in self.outputs}) if found["answered"] else None
        return after, spikes, answers


class StreamingEngine:
    """A pipeline behind the interface of an engine: a batch in, its answers out.

    Args:
        pipeline: What executes the network.
        alike: Outputs that are the same for all samples.
        levels: Outputs ``levels/<layer>``, added up from trains, are wanted too.
        axis_of: The axis of samples, of outputs where that is known.
        mixed: Operators that were kept may mix samples: they enter together.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        alike: frozenset[str],
        *,
        levels: bool = False,
        axis_of: Mapping[str, int] = MappingProxyType({}),
        mixed: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self._mixed = mixed
        self._axis_of = axis_of
        self._alike = alike
        self._levels = levels and not any(name.startswith("levels/") for name in pipeline.outputs)
        self.inputs = pipeline.inputs
        self.axes = pipeline.axes
        self.outputs = pipeline.outputs
        self.metadata: dict[str, str] = {}

    def warm_up(self) -> None:
        """As of its pipeline."""
        self.pipeline.warm_up()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name.

        Raises:
            InputError: an output neither grows with the samples nor is the same for all of them.
        """
        samples = len(next(iter(inputs.values())))
        fixed = fixed_batch(self.inputs)
        places = 1 if self._mixed else _PLACES
        whole = self._run(inputs, samples, fixed or -(-samples // places))
        if whole is None and not fixed:  # what all samples make, of all samples
            whole = self._run(inputs, samples, samples)
        if whole is None:
            remedy = f"give {fixed} at a time"
            raise InputError("its outputs do not grow with the samples", found=samples, remedy=remedy)
        return whole

    def _run(self, inputs: Mapping[str, Array], samples: int, size: int) -> dict[str, Array] | None:
        """Of ``size`` samples at each place; None where the answers of several places cannot be put together."""
        places = [
            {name: _filled_up(value[start : start + size], size) for name, value in inputs.items()}
            for start in range(0, samples, size)
        ]
        answers = self._answers(places, size)
        alike = self._alike | {name for name in self.outputs if name.startswith("sizes/")}
        return together(
            answers,
            [size] * len(answers),
            samples,
            self,
            reached=set(answers[0]) - alike,
            axis_of=self._axis_of,
        )

    def _answers(self, places: Sequence[Mapping[str, Array]], size: int) -> list[dict[str, Array]]:
        from onnx2snn.runtime.stream import Stream  # noqa: PLC0415 - which drives pipelines

        stream, steps, depth = Stream(self.pipeline, batch=size), self.pipeline.timesteps, self.pipeline.depth
        if not self._levels:
            return list(stream.run(places))
        answers, phases = [], []
        for phase in range(len(places) + depth):
            entering = places[phase] if phase < len(places) else None
            level: dict[str, Array] = {}
            for step in range(steps):
                answer = stream.step(None if step else entering)
                answers += [] if answer is None else [answer]
                for name, spikes in stream.spikes.items():
                    level[name] = 2 * level.get(name, np.float32(0)) + spikes
            phases.append(level)
        for place, answer in enumerate(answers):
            for name, stage in self.pipeline.stages.items():
                answer[f"levels/{name}"] = phases[place + stage][name]
        return answers


def _filled_up(value: Array, size: int) -> Array:
    """``value`` with its last sample repeated, up to ``size`` samples."""
    missing = size - len(value)
    return np.concatenate([value, np.repeat(value[-1:], missing, axis=0)]) if missing else value
