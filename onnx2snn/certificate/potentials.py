"""What both networks make of the same levels, in exact arithmetic, and how far float32 may be from that."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.batch_findings import Mask
from onnx2snn.dialect.subnetworks import POTENTIAL
from onnx2snn.errors import InvalidModelError
from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.float64.in_parts import in_parts
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of
from onnx2snn.operators.parts import Span
from onnx2snn.operators.signals import (
    Array,
    Precision,
    Ranking,
    RoundingCount,
    Signal,
    Wide,
    least,
    quantum,
    widened,
)
from onnx2snn.operators.table import Steps
from onnx2snn.operators.tensor_sizes import sizes_of

#: Numbers of the largest tensor between levels that are held at a time.
BLOCK = 1 << 22


@dataclass(frozen=True)
class Potentials:
    """What both networks make of the same levels.

    Attributes:
        source: z (N, ...), of the source.
        spiking: v (N, ...), of the spiking network, its bias (and with it δ) included.
        magnitude: Σ|w|·|x| of the source (N, ...).
        rounding: Of z.
        spiking_quantum: Of v; 0 where there is none.
        reach: What jumps at ties may add to either (N, ...); None where no tie is near.
        ranking: What z and v are places of, if they are.
        measured: Whether an operator without a bound lies before: then the reach is measured.
    """

    source: Wide
    spiking: Wide
    magnitude: Wide
    rounding: RoundingCount
    spiking_quantum: Steps
    reach: Wide | None = None
    ranking: Ranking | None = None
    measured: bool = False

    def part(self, at: Any) -> Potentials:
        """Those at an index; of a layer's, which are no places."""
        return replace(
            self,
            source=self.source[at],
            spiking=self.spiking[at],
            magnitude=self.magnitude[at],
            reach=None if self.reach is None else self.reach[at],
            rounding=replace(self.rounding, quantum=_steps_at(self.rounding.quantum, at)),
            spiking_quantum=_steps_at(self.spiking_quantum, at),
        )

    def at(self, rows: NDArray[np.int64]) -> Potentials:
        """Those of some samples; of what all samples make, all of it."""
        if len(self.source) == 1:
            return self
        return replace(self.part(rows), ranking=None if self.ranking is None else self.ranking.at(rows))


def _steps_at(steps: Steps, at: Any) -> Steps:
    """Those of the channels at an index of a tensor; of a batch of any size there is one for all samples."""
    if np.size(steps) == 1 or not isinstance(at, tuple):
        return steps
    held = np.asarray(steps)
    return held[tuple(one if size > 1 else slice(None) for one, size in zip(at, held.shape, strict=False))]


def together_again(parts: Sequence[Potentials]) -> Potentials:
    """Those of further samples behind each other."""
    if len(parts) == 1:
        return parts[0]
    rankings = [p.ranking for p in parts if p.ranking is not None]
    reaches = [np.zeros(p.source.shape) if p.reach is None else p.reach for p in parts]
    return replace(
        parts[0],
        source=np.concatenate([p.source for p in parts]),
        spiking=np.concatenate([p.spiking for p in parts]),
        magnitude=np.concatenate([p.magnitude for p in parts]),
        rounding=replace(
            parts[0].rounding, quantum=functools.reduce(np.minimum, [p.rounding.quantum for p in parts])
        ),
        spiking_quantum=functools.reduce(np.minimum, [p.spiking_quantum for p in parts]),
        reach=np.concatenate(reaches) if any(p.reach is not None for p in parts) else None,
        ranking=Ranking.joined(rankings) if len(rankings) == len(parts) else None,
        measured=any(p.measured for p in parts),
    )


def beside_each_other(parts: Sequence[tuple[Span | None, Potentials]]) -> Potentials:
    """All of what parts along an axis are of."""
    (span, first), rest = parts[0], [potentials for _, potentials in parts[1:]]
    if span is None:
        return first
    axis, every = span.axis, [first, *rest]

    def joined(one: str) -> Wide:
        return np.concatenate([getattr(p, one) for p in every], axis=axis)

    reaches = [np.zeros(p.source.shape) if p.reach is None else p.reach for p in every]
    return replace(
        first,
        source=joined("source"),
        spiking=joined("spiking"),
        magnitude=joined("magnitude"),
        rounding=replace(first.rounding, quantum=_common([p.rounding.quantum for p in every])),
        spiking_quantum=_common([p.spiking_quantum for p in every]),
        reach=np.concatenate(reaches, axis=axis) if any(p.reach is not None for p in every) else None,
    )


def _common(steps: Sequence[Steps]) -> Steps:
    """Of all parts: by channel, where each of them has all channels."""
    alike = len({np.shape(one) for one in steps}) == 1
    return functools.reduce(np.minimum, steps if alike else [least(one) for one in steps])


class Path:
    """The operators of both networks between one tensor and the levels before it.

    Where one sample of what they make is large, some of it is computed at a time, from some of those levels.

    Args:
        models: What the source, and the spiking network, compute of levels and network inputs: the tensor.
        example: One sample: network inputs, and ``level/<layer>`` (1, ...): for the sizes.
        precision: Of both networks.
        by_samples: Whether the tensor has rows of each sample.
        axes: Along which the tensor may be computed in parts.
    """

    def __init__(
        self,
        models: tuple[SplitModel, SplitModel],
        example: Mapping[str, Array],
        *,
        precision: Precision,
        by_samples: bool = True,
        axes: Sequence[int] = (),
    ) -> None:
        self._source, self._spiking = (RunningError(model) for model in models)
        self._precision = precision
        self.reads = tuple(dict.fromkeys([*self._source.inputs, *self._spiking.inputs]))
        #: Whether nothing but affine operators lies on it.
        self.linear = all(of(node).linear is not None for node in models[0].structure.graph.node)
        given = {name: example[name] for name in self.reads}
        shapes = {name: value.shape for name, value in given.items()}
        self._apart = by_samples
        self._parts = in_parts(models, shapes, axes if self._apart else (), BLOCK)
        #: What the example makes, until it is asked for, or something else is.
        self._known: tuple[Mapping[str, Array], Potentials] | None = None
        one = next(potentials for _, potentials in self.parts(given)) if self._parts else None
        if one is None or one.measured or one.ranking is not None:  # these are of all there is
            self._parts, one = [], self._evaluated(given)
            self._known, shape = (given, one), one.source.shape
        else:
            shape = sizes_of(models[0], shapes)[POTENTIAL]
        #: Whether both networks make a tensor of one shape.
        self.same_shape = one.source.shape == one.spiking.shape
        #: Elements of one sample of the tensor, and the length of its sums, at most.
        self.size, self.fan_in = math.prod(shape) // max(len(one.source), 1), one.rounding.terms
        #: Numbers of the largest tensor, of one sample.
        self.largest = BLOCK + 1 if self._parts else max(self._source.largest, self._spiking.largest, 1)
        self._rows = max(1, BLOCK // self.largest)

    def blocks(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Those of ``rows`` that are computed at a time: of what all samples make, all of them."""
        return [rows[i : i + self._rows] for i in range(0, len(rows), self._rows)] if self._apart else [rows]

    def __call__(self, inputs: Mapping[str, Array]) -> Potentials:
        """Both potentials for network inputs and ``level/<layer>``, (N, ...)."""
        if self._parts:
            return beside_each_other(list(self.parts(inputs)))
        read = {name: inputs[name] for name in self.reads}
        known, self._known = self._known, None
        if known is not None and all(np.array_equal(values, read[name]) for name, values in known[0].items()):
            return known[1]
        return self._evaluated(read)

    def parts(
        self, inputs: Mapping[str, Array], wanted: Mask | None = None
    ) -> Iterator[tuple[Span | None, Potentials]]:
        """As when called, some of both potentials at a time, and which; None for all.

        Args:
            inputs: Network inputs and ``level/<layer>``, (N, ...).
            wanted: Which neurons are asked for (N, ...): parts with none of them are left out.
        """
        if not self._parts:
            yield None, self(inputs)
            return
        for (one, source), (other, spiking) in self._parts:
            if wanted is None or wanted[one.span.at].any():
                yield one.span, self._computed((source, one.of(inputs)), (spiking, other.of(inputs)))

    def _evaluated(self, read: Mapping[str, Array]) -> Potentials:
        return self._computed((self._source, read), (self._spiking, read))

    def _computed(
        self, ours: tuple[RunningError, Mapping[str, Array]], theirs: tuple[RunningError, Mapping[str, Array]]
    ) -> Potentials:
        """What the source and the spiking network, each beside what it reads, make of it."""
        network = theirs[0]
        try:
            spiking = _bounded(*theirs, None)
        except Exception as error:  # whatever an operator that was changed may raise
            # Where the source fails as well, levels are of no sample, and its own error says so.
            _bounded(*ours, self._precision)
            raise broken(error) from error
        both = Precision(self._precision.timesteps, self._precision.unit, network.in_front)
        source = _bounded(*ours, both)
        return Potentials(
            widened(source.value),
            widened(spiking.value),
            source.size,
            source.rounding,
            spiking.rounding.quantum,
            source.reach,
            source.ranking,
            source.measured,
        )


def broken(error: Exception) -> InvalidModelError:
    """What to say of a spiking network that a runtime cannot compute."""
    return InvalidModelError(
        "this spiking network cannot be computed",
        found=(str(error).strip() or type(error).__name__).splitlines()[0],
        remedy="convert the source again",
    )


def _quantum_of(values: Array) -> float:
    """Of an input: 1 of few-bit integers; 0 (none) of others, which may be places."""
    if values.dtype.kind == "f":
        return quantum(values)
    return 1.0 if values.dtype.kind in "iu" and values.dtype.itemsize <= 2 else 0.0


def _bounded(network: RunningError, inputs: Mapping[str, Array], precision: Precision | None) -> Signal:
    """The network's answer (N, ...); sample by sample where it holds a batch of one (it squeezes that axis, say)."""
    levels = {n: v.astype(np.float64, copy=False) for n, v in inputs.items() if n.startswith("level/")}
    read = {**inputs, **levels}
    quanta = {n: 1.0 if n in levels else _quantum_of(v) for n, v in read.items()}
    rows = len(next(iter(read.values()), ()))
    try:
        return network(read, quanta, precision)
    except Exception:
        if rows < 2:
            raise
    parts, in_front = [], []
    for row in range(rows):
        parts.append(network({n: v[row : row + 1] for n, v in read.items()}, quanta, precision))
        in_front.append(network.in_front)
    network.in_front = min(in_front)
    return _joined(parts)


def _joined(parts: Sequence[Signal]) -> Signal:
    """One signal of those of each sample."""

    def whole(values: Iterable[Array]) -> Array:
        return np.concatenate([v[None] if parts[0].value.ndim == 0 else v for v in values])

    reaches = [np.zeros(p.value.shape) if p.reach is None else p.reach for p in parts]
    return replace(
        parts[0],
        value=whole(p.value for p in parts),
        magnitude=whole(p.size for p in parts),
        reach=whole(reaches) if any(p.reach is not None for p in parts) else None,
        ranking=None,
        measured=any(p.measured for p in parts),
    )
