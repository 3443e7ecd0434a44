"""One operator between neurons: on values, on M, on the ends of intervals; how it rounds, what its results are multiples of.

The rules of the running error analysis (METHOD 10) that an operator's record holds are functions of such a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx

from onnx2snn.operators.signals import (
    ANY,
    Array,
    Precision,
    Signal,
    Wide,
    least,
    small_codes,
    widened,
    widened_values,
)
from onnx2snn.operators.table import Steps, of

#: Roundings of a function of one value, which runtimes compute within a few ulp.
FUNCTION = 8
#: What a node writes, in order, of what it reads by name.
Run: TypeAlias = Callable[[Mapping[str, Array]], list[Array]]


class Computed(Protocol):
    """An operator that can be run.

    Attributes:
        node: It.
        attributes: Its attributes by name.
        jumps: Whether a value a little larger may be answered by a whole step more.
    """

    node: onnx.NodeProto
    attributes: Mapping[str, Any]
    jumps: bool

    @property
    def kernel(self) -> Run:
        """In float64."""
        ...

    @property
    def narrow(self) -> Run:
        """As the network itself computes it."""
        ...

    @property
    def absolute(self) -> Run:
        """On M: its factors are absolute values."""
        ...


class Step:
    """One operator, and what it reads.

    Args:
        operator: It.
        read: By name.
        precision: Of both networks; None where no bounds are wanted.
    """

    def __init__(self, operator: Computed, read: Mapping[str, Signal], precision: Precision | None) -> None:
        self.operator, self.node, self.attributes = operator, operator.node, operator.attributes
        self.read, self.precision = read, precision
        self.inputs = [read[name] if name else None for name in self.node.input]
        self.fixed = of(self.node).sizes or all(signal.fixed for signal in read.values())
        values = self._values = of(self.node).values
        #: What it computes on, by name: what is neither constant nor says what is done.
        self.signals = {
            name: s
            for i, (name, s) in enumerate(zip(self.node.input, self.inputs, strict=True))
            if s is not None and not s.fixed and (values is None or i in values)
        }
        self._parameters = {
            n for i, n in enumerate(self.node.input) if values is not None and i not in values
        }
        kernel = operator.narrow if self.fixed else operator.kernel
        self.answers = kernel(
            {n: s.value if self.fixed else widened_values(s.value) for n, s in read.items()}
        )
        if not self.fixed:
            self.answers = [widened_values(answer) for answer in self.answers]

    @property
    def in_front(self) -> float:
        """Where this is a jump: the power of two of which all that it reads is a multiple; ANY otherwise."""
        if self.fixed or not self.operator.jumps:
            return ANY
        return min((least(s.rounding.quantum) for s in self.signals.values() if not s.whole), default=ANY)

    def shape(self, position: int) -> tuple[int, ...]:
        """Of an input."""
        return self.signal(position).value.shape

    def signal(self, position: int) -> Signal:
        """An input that is there."""
        signal = self.inputs[position] if position < len(self.inputs) else None
        if signal is None:
            raise AssertionError(f"{self.node.op_type} has no input {position}")
        return signal

    def constants(self) -> list[Array]:
        """Float constants that it reads."""
        return [s.value for s in self.read.values() if s.fixed and s.value.dtype.kind == "f"]

    def roundings(self) -> int:
        """Roundings between an input and the output, at most."""
        rule = of(self.node).roundings
        if rule is None:
            return FUNCTION
        return rule(self) if callable(rule) else rule

    def quantum(self) -> Steps:
        """The power of two of which the output is a multiple, or one for each channel; 0 where there is none."""
        rule = of(self.node).quantum
        read = [s for i, s in enumerate(self.inputs) if self._values is None or i in self._values]
        return 0.0 if rule is None else rule(self, [s.rounding.quantum for s in read if s is not None])

    def on_sizes(self, *, reach: bool, changed: Mapping[str, Array] | None = None) -> list[Wide]:
        """What it makes of M, and of |w|.

        Args:
            reach: Whether reaches are part of M.
            changed: Other values for some inputs.
        """
        sizes = {n: self._size(n, s, reach) for n, s in self.read.items()} | dict(changed or {})
        return [_unbounded(_positive(v)) for v in self.operator.absolute(sizes)]

    def size(self, position: int, *, reach: bool) -> Wide:
        """M of an input."""
        return self._size(self.node.input[position], self.signal(position), reach)

    def _size(self, name: str, signal: Signal, reach: bool) -> Array:
        if name in self._parameters:
            return widened_values(signal.value)
        return signal.size + signal.reach if reach and signal.reach is not None else signal.size

    def radius(self, signal: Signal, *, rounding: bool = True, reach: bool = True) -> Wide | None:
        """How far either network may be from an input; None where it is not."""
        if self.precision is None:
            return None
        rounded = self.precision.rounded(signal) if rounding else None
        if not reach or signal.reach is None:
            return rounded
        return signal.reach if rounded is None else rounded + signal.reach

    def radii(self, *, reach: bool = True) -> dict[str, Wide]:
        """Of all that it computes on, where they are not zero."""
        found = {name: self.radius(s, reach=reach) for name, s in self.signals.items()}
        return {name: r for name, r in found.items() if r is not None and r.any()}

    def moved(self, ways: Mapping[str, Array]) -> list[Array]:
        """Its answers where inputs are moved."""
        values = {
            n: _moved(s.value, ways[n]) if n in ways else widened_values(s.value)
            for n, s in self.read.items()
        }
        return [widened(answer) for answer in self.operator.kernel(values)]

    def deviations(self, radii: Mapping[str, Wide], *, least: float = -math.inf) -> list[Wide]:
        """By output, how far it is from the answers at both ends; infinite where there is none."""
        signs = (-1.0, 1.0)
        ends = [
            self.moved({n: np.maximum(sign * r, least - self.read[n].value) for n, r in radii.items()})
            for sign in signs
        ]
        return [_farther(widened(y), low, high) for y, low, high in zip(self.answers, *ends, strict=True)]


def _positive(values: Array) -> Wide:
    """Absolute values, in place where that may be."""
    wide = widened(values)
    return np.abs(wide, out=wide) if wide.flags.writeable and wide.base is None else np.abs(wide)


def _unbounded(sizes: Wide) -> Wide:
    """Nothing of what has no bound may be anything."""
    return np.where(np.isnan(sizes), np.inf, sizes) if np.isnan(sizes).any() else sizes


def _moved(value: Array, way: Array) -> Array:
    if small_codes(value):
        codes = widened(np.arange(256, dtype=np.uint8).view(value.dtype))
        codes = codes[np.isfinite(codes)]
        return np.clip(widened(value) + way, codes.min(), codes.max()).astype(value.dtype)
    if value.dtype.kind not in "iu":
        return np.asarray(widened(value) + way)
    limits = np.iinfo(value.dtype)
    return np.clip(np.rint(widened(value) + way), limits.min, limits.max).astype(value.dtype)


def _farther(y: Wide, low: Wide, high: Wide) -> Wide:
    if low.shape != y.shape or high.shape != y.shape:
        return np.full(y.shape, np.inf)
    with np.errstate(invalid="ignore"):
        apart = np.maximum(np.abs(low - y), np.abs(high - y))
    apart = np.where((low == y) & (high == y), 0.0, apart)
    return np.where(np.isnan(apart) & ~np.isnan(y), np.inf, np.nan_to_num(apart, nan=0.0, posinf=np.inf))
