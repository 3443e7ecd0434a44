"""Potentials of both networks in (nearly) exact arithmetic, and how far float32 may be from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.cuts import POTENTIAL, CutNetwork
from onnx2snn.certificate.magnitudes import has_rules, magnitude_model
from onnx2snn.certificate.rounding import Analysis, Rounding, quantum
from onnx2snn.certificate.ties import Ties
from onnx2snn.errors import InvalidModelError
from onnx2snn.float64 import Float64Network
from onnx2snn.graph.core import Array
from onnx2snn.model.reference import make_runner
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of

Wide = NDArray[np.float64]


@dataclass(frozen=True)
class Potentials:
    """What both networks make of the same levels.

    Attributes:
        source: z (N, ...), of the source.
        spiking: v (N, ...), of the spiking network, its bias (and with it δ) included.
        magnitude: Σ|w|·|x| of the source (N, ...); None where an operator has no bound.
        rounding: Of z.
        spiking_quantum: Of v; 0 where there is none.
        ties: What jumps at ties may add to either (N, ...); None where nothing jumps.
    """

    source: Wide
    spiking: Wide
    magnitude: Wide | None
    rounding: Rounding
    spiking_quantum: float
    ties: Wide | None = None


class _Float32Network:
    """A cut with operators that have no bound: what onnxruntime makes of it in float32 is as good as anything."""

    def __init__(self, model: SplitModel) -> None:
        self._runner = make_runner(model)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As :meth:`Float64Network.run`."""
        return self._runner(
            {n: v.astype(np.float32) if v.dtype == np.float64 else v for n, v in inputs.items()}
        )


def _loaded(
    model: SplitModel, example: Mapping[str, Array]
) -> tuple[Float64Network | _Float32Network, dict[str, tuple[int, ...]]]:
    """A cut, and the shapes of its tensors (of its output alone, where it is computed in float32)."""
    if has_rules(model.structure.graph):
        wide = Float64Network(model)
        return wide, wide.shapes(example)
    narrow = _Float32Network(model)
    return narrow, {POTENTIAL: narrow.run(example)[POTENTIAL].shape}


def broken(error: Exception) -> InvalidModelError:
    """What to say of a spiking network that a runtime cannot compute."""
    return InvalidModelError(
        "this spiking network cannot be computed",
        found=(str(error).strip() or type(error).__name__).splitlines()[0],
        remedy="convert the source again",
    )


def _quantum(values: Array) -> float:
    """Of an input: 1 of few-bit integers; 0 (none) of others, which may be places."""
    if values.dtype.kind == "f":
        return quantum(values)
    return 1.0 if values.dtype.kind in "iu" and values.dtype.itemsize <= 2 else 0.0


_Run = Callable[[Mapping[str, Array]], dict[str, Array]]


def _answer(run: _Run, read: Mapping[str, Array]) -> Wide:
    """POTENTIAL (N, ...); sample by sample where the network holds a batch of one (it squeezes that axis, say)."""
    rows = len(next(iter(read.values()), ()))
    try:
        return run(read)[POTENTIAL].astype(np.float64)
    except Exception:
        if rows < 2:
            raise
    parts = [_answer(run, {n: v[row : row + 1] for n, v in read.items()}) for row in range(rows)]
    return np.stack(parts) if parts[0].ndim == 0 else np.concatenate(parts)


class Path:
    """The operators of both networks between one tensor and the levels before it.

    Args:
        source: The source, cut.
        spiking: The spiking network, cut at the same layers.
        tensors: The tensor, in each.
        example: One sample: network inputs, and ``level/<layer>`` (1, ...): for the sizes.
        timesteps: T.
    """

    def __init__(
        self,
        source: CutNetwork,
        spiking: CutNetwork,
        tensors: tuple[str, str],
        example: Mapping[str, Array],
        *,
        timesteps: int,
    ) -> None:
        self._models = source.before(tensors[0]), spiking.before(tensors[1])
        self._source, own = _loaded(self._models[0], example)
        try:
            self._spiking, theirs = _loaded(self._models[1], example)
        except Exception as error:  # whatever an operator that was changed may raise
            raise broken(error) from error
        self._shapes = own, theirs
        self._magnitude = self._bound()
        self._ties = self._jumps(timesteps)
        self.reads = tuple(
            dict.fromkeys(value.name for model in self._models for value in model.structure.graph.input)
        )
        self._rounding: dict[tuple[float, ...], tuple[Rounding, float, dict[str, float]]] = {}

    def _bound(self) -> Float64Network | None:
        if not isinstance(self._source, Float64Network) or not isinstance(self._spiking, Float64Network):
            return None
        bound = magnitude_model(self._models[0], self._shapes[0])
        return None if bound is None else Float64Network(bound, absolute=True)

    def _jumps(self, timesteps: int) -> Ties | None:
        if self._magnitude is None or not isinstance(self._source, Float64Network):
            return None
        return Ties.of(self._models[0], self._source, self._shapes[0], timesteps=timesteps)

    @property
    def fan_in(self) -> int:
        """Length of its sums, at most."""
        return self._analysis(tuple(0.0 for _ in self.reads))[0].terms

    @property
    def size(self) -> int:
        """Elements of one sample of the tensor."""
        return int(np.prod(self._shapes[0][POTENTIAL][1:]))

    @property
    def linear(self) -> bool:
        """Whether nothing but affine operators lies on it."""
        return all(of(node).linear is not None for node in self._models[0].structure.graph.node)

    @property
    def same_shape(self) -> bool:
        """Whether both networks make a tensor of one shape."""
        return self._shapes[0][POTENTIAL] == self._shapes[1][POTENTIAL]

    def __call__(self, inputs: Mapping[str, Array]) -> Potentials:
        """Both potentials for network inputs and ``level/<layer>``, (N, ...)."""
        read = {name: inputs[name] for name in self.reads}
        held = tuple(1.0 if n.startswith("level/") else _quantum(v) for n, v in read.items())
        rounding, spiking_quantum, in_front = self._analysis(held)
        return Potentials(
            _answer(self._source.run, read),
            _answer(self._spiking.run, read),
            None if self._magnitude is None else _answer(self._magnitude.run, read),
            rounding,
            spiking_quantum,
            None if self._ties is None else _answer(partial(self._ties.run, quanta=in_front), read),
        )

    def _analysis(self, held: tuple[float, ...]) -> tuple[Rounding, float, dict[str, float]]:
        """Of the source's potential, the spiking network's quantum, and quanta in front of jumps, of both networks."""
        if held not in self._rounding:
            quanta = dict(zip(self.reads, held, strict=True))
            own, theirs = (Analysis(m, s, quanta) for m, s in zip(self._models, self._shapes, strict=True))
            least = min(theirs.in_front.values(), default=0.0)
            in_front = {name: min(q, least) for name, q in own.in_front.items()}
            self._rounding[held] = own.result, theirs.result.quantum, in_front
        return self._rounding[held]
