"""Samples in parts: how answers to parts of a batch are put together again, and which of them belong to no sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnx2snn.errors import InputError
from onnx2snn.runtime.backends import Engine
from onnx2snn.runtime.engine_inputs import EngineInput, fixed_batch, in_order

Array: TypeAlias = NDArray[Any]
#: By input name, or what the only input reads.
Inputs: TypeAlias = Mapping[str, ArrayLike] | ArrayLike
#: Operator, what it reads, what it writes.
Step: TypeAlias = tuple[str, Iterable[str], Iterable[str]]

#: Samples that are answered together, at most, and bytes of their largest train.
_TOGETHER, _CACHED = 64, 1 << 23
#: They read sizes, and no values.
_SIZES = ("Shape", "Size")


def of_samples(steps: Iterable[Step], inputs: Iterable[str]) -> set[str]:
    """Names of the tensors that the values of ``inputs`` reach; all others are the same for every sample.

    Args:
        steps: Operators in topological order.
        inputs: Names of the network's inputs.
    """
    reached = set(inputs)
    for operator, read, written in steps:
        if operator not in _SIZES and not reached.isdisjoint(read):
            reached.update(written)
    return reached


def checked_samples(specs: Mapping[str, EngineInput], inputs: Inputs) -> tuple[dict[str, Array], int]:
    """Inputs as a network wants them, and how many samples they hold.

    Raises:
        InputError: a name, shape or dtype differs, or inputs hold different numbers of samples, or none, or have no axis of such.
    """
    inputs = by_name(specs, inputs)
    if set(inputs) != set(specs):
        remedy = f"give {', '.join(specs)}"
        raise InputError(
            "the inputs are not those of the model", found=", ".join(inputs) or "nothing", remedy=remedy
        )
    checked = {name: spec.checked(name, inputs[name]) for name, spec in specs.items()}
    alike = next((name for name, value in checked.items() if value.ndim == 0), None)
    if alike is not None:
        remedy = "make it a constant of the source, and convert that again"
        raise InputError(f"input '{alike}' is one number for all samples", remedy=remedy)
    counts = {name: len(value) for name, value in checked.items()}
    if len(set(counts.values())) != 1:
        raise InputError(
            "the inputs hold different numbers of samples",
            found=", ".join(f"{name}: {count}" for name, count in counts.items()),
            remedy="give as many samples of each input",
        )
    samples = next(iter(counts.values()))
    if samples == 0:
        raise InputError("there are no samples", remedy="give at least one sample")
    return checked, samples


def by_name(specs: Mapping[str, EngineInput], inputs: Inputs) -> Mapping[str, ArrayLike]:
    """Inputs by name; a lone array is that of the only one."""
    if isinstance(inputs, Mapping):
        return inputs
    if len(specs) > 1:
        remedy = f"give them by name: {', '.join(specs)}"
        raise InputError(f"this model has {len(specs)} inputs, and got one array", remedy=remedy)
    return dict.fromkeys(specs, inputs)


def samples_at_a_time(layers: Iterable[Mapping[str, Any]], steps: int, *, cached: bool) -> int:
    """How many samples are answered together, where nobody says.

    Args:
        layers: The network's.
        steps: Time steps that stand in a batch beside the samples.
        cached: It runs where what does not fit into caches takes longer.
    """
    largest = max((layer["neurons"] or 0 for layer in layers), default=0)
    if not cached or not largest:
        return _TOGETHER
    return max(1, min(_TOGETHER, _CACHED // (largest * steps * 4)))


def parts_of(
    inputs: Mapping[str, Array], samples: int, fixed: int | None, chunk: int
) -> list[dict[str, Array]]:
    """Chunks; of exactly the declared batch where the model fixes one, the last filled up with its last sample."""
    size = fixed or min(chunk, samples)
    parts = []
    for start in range(0, samples, size):
        part = {name: value[start : start + size] for name, value in inputs.items()}
        missing = size - len(next(iter(part.values())))
        if fixed and missing:
            part = {n: np.concatenate([v, np.repeat(v[-1:], missing, axis=0)]) for n, v in part.items()}
        parts.append(part)
    return parts


def turned(
    axes: Mapping[str, Sequence[int | str]], inputs: Iterable[str], outputs: Iterable[str]
) -> dict[str, int]:
    """The axis of samples in outputs that have it elsewhere than first, as they declare it by the name that inputs give it.

    Where parts hold as many samples each, shapes alone do not tell it: (8, 1, 5) may be eight rows of one sample.

    >>> turned({"x": ("N", 3), "scores": (8, "N", 5), "y": ("N", 2)}, ["x"], ["scores", "y"])
    {'scores': 1}
    """
    samples = {axes[name][0] for name in inputs if axes.get(name)} - {""}
    found = {}
    for name in outputs:
        there = [a for a, size in enumerate(axes.get(name, ())) if isinstance(size, str) and size in samples]
        if len(there) == 1 and there[0] > 0:
            found[name] = there[0]
    return found


def of_all(
    axes: Mapping[str, Sequence[int | str]], inputs: Iterable[str], outputs: Iterable[str]
) -> dict[str, tuple[int, ...]]:
    """Outputs that declare every size, and so none that grows with the samples, of a network whose inputs hold any number.

    >>> of_all({"x": ("N", 3), "y": ("N", 2), "mean": (2,)}, ["x"], ["y", "mean"])
    {'mean': (2,)}
    """
    if not all(axes.get(name) and isinstance(axes[name][0], str) for name in inputs):
        return {}
    declared = ((name, axes.get(name)) for name in outputs)
    return {
        name: tuple(size for size in sizes if isinstance(size, int))
        for name, sizes in declared
        if sizes is not None and all(isinstance(size, int) for size in sizes)
    }


def answers_of_parts(
    engine: Engine,
    inputs: Mapping[str, Array],
    samples: int,
    *,
    chunk: int,
    own: set[str],
    axis_of: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Array]:
    """The answer to all samples, from as many at a time as a chunk holds, or as the network takes.

    Args:
        engine: The network.
        inputs: As :func:`checked_samples` gives them.
        samples: How many they hold.
        chunk: Samples at a time.
        own: Outputs, by name, that samples decide; counts of spikes and SynOps are, too.
        axis_of: The axis of samples, of outputs where that is known.

    Raises:
        InputError: an output neither grows with the samples nor is the same for all of them.
    """
    fixed = fixed_batch(engine.inputs)
    parts = parts_of(inputs, samples, fixed, chunk)
    counts = [len(next(iter(part.values()))) for part in parts]
    answers = [engine.run(part) for part in parts]
    counted = {name for name in answers[0] if name.startswith(("spikes/", "synops/"))}
    whole = together(answers, counts, samples, engine, reached=counted | own, axis_of=axis_of)
    if whole is None and not fixed:
        whole = engine.run(dict(inputs))
    if whole is None:
        remedy = f"give {fixed} at a time"
        raise InputError("its outputs do not grow with the samples", found=samples, remedy=remedy)
    return in_order(whole)


class Declared(Protocol):
    """What says of what sizes the inputs and outputs of a network are."""

    @property
    def axes(self) -> Mapping[str, Sequence[int | str]]:
        """By name; empty text where nothing is known."""
        ...

    @property
    def inputs(self) -> Mapping[str, EngineInput]:
        """What it reads, by name."""
        ...

    @property
    def outputs(self) -> Sequence[str]:
        """What it answers."""
        ...


def together(
    parts: Sequence[Mapping[str, Array]],
    counts: Sequence[int],
    samples: int,
    network: Declared,
    *,
    reached: set[str],
    axis_of: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Array] | None:
    """As :func:`joined`, by what ``network`` declares, too; None also where an output is one of all samples of a part."""
    if len(parts) > 1:
        single = of_all(network.axes, network.inputs, network.outputs)
        if any(
            parts[0][name].shape == sizes for name, sizes in single.items() if name in reached & set(parts[0])
        ):
            return None
    known = {**axis_of, **turned(network.axes, network.inputs, network.outputs)}
    return joined(parts, counts, samples, reached, known)


def joined(
    parts: Sequence[Mapping[str, Array]],
    counts: Sequence[int],
    samples: int,
    reached: set[str],
    axis_of: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Array] | None:
    """The answer to all samples, from answers to parts of them; None where they cannot be put together.

    1. One part that holds these samples and no others: what the network answered, whatever its shape.
    2. What no sample decides (anchors, a grid) is there once.
    3. Rows that belong to samples, one or several each, follow each other, along axis 0 or (of scores that were turned) another;
       those of samples that only filled up a part go.

    Args:
        parts: By output.
        counts: Samples in each part, those that fill it up included.
        samples: Samples that were asked for: the first ones.
        reached: What samples decide.
        axis_of: The axis of samples, of outputs of which it is known (:func:`turned`); −1 where there is none.
    """
    if len(parts) == 1 and counts[0] == samples:
        return dict(parts[0])
    if any(axis_of.get(name, 0) < 0 for name in parts[0]):
        return None
    whole: dict[str, Array] = {}
    for name in parts[0]:
        values = [part[name] for part in parts]
        if name not in reached:
            whole[name] = values[0]
            continue
        axes = (
            (axis_of[name],) if axis_of.get(name, values[0].ndim) < values[0].ndim else range(values[0].ndim)
        )
        found = next(((a, each) for a in axes if (each := rows_of_each(values, counts, a))), None)
        if found is None:
            return None
        axis, each = found
        whole[name] = np.concatenate(values, axis)[(slice(None),) * axis + (slice(each * samples),)]
    return whole


def rows_of_each(values: Sequence[Array], counts: Sequence[int], axis: int = 0) -> int | None:
    """How many rows along ``axis`` belong to each sample, the same in all parts; None where no whole number does."""
    if any(value.ndim != values[0].ndim for value in values):
        return None
    sizes = [value.shape[axis] for value in values]
    others = {value.shape[:axis] + value.shape[axis + 1 :] for value in values}
    each = sizes[0] // counts[0]
    fits = all(size == each * count for size, count in zip(sizes, counts, strict=True))
    return each if fits and len(others) == 1 else None


def by_sample(values: Array, samples: int) -> Array:
    """Counts (rows,) as counts (samples,).

    1. Each sample's rows are added up.
    2. Rows that belong to no one sample (an operator that was kept takes some of the batch): all samples share what they count.
    """
    if len(values) % samples:
        return np.full(samples, values.sum() / samples)
    return values if len(values) == samples else values.reshape(samples, -1).sum(axis=1)
