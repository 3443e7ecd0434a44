"""Operators that work entry by entry, together in one loop over the entries: a neuron reads its potential once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import onnx
from numba import njit
from numpy.typing import NDArray

from onnx2snn.events.programs import Spelled, defined
from onnx2snn.operators import of

Array: TypeAlias = NDArray[Any]

#: Types whose arithmetic is the same in the loop and in ONNX.
TYPES: dict[int, np.dtype[Any]] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.DOUBLE: np.dtype(np.float64),
    onnx.TensorProto.BOOL: np.dtype(np.bool_),
}
#: One of the loops: operands with a value for each entry, those of one value, constants by channel (C,), scalars, and results.
Loop: TypeAlias = Callable[..., None]


def has_formula(node: onnx.NodeProto) -> bool:
    """Whether ``node`` can stand in a loop, its operands being of the right types and sizes."""
    formula = of(node).formula
    operands = formula.count("{") if formula else 0
    return operands == len(node.input) > 0 and all(node.input) and len(node.output) == 1


def as_operand(values: Array, rank: int) -> Array | None:
    """A constant for results (N, C, ...) of this rank: a scalar, or one value for each channel (C,); None of another one."""
    if values.size == 1:
        return values.reshape(())
    sizes = (1,) * (rank - values.ndim) + values.shape
    axis = 1 if rank > 2 else rank - 1
    alone = all(size == 1 for place, size in enumerate(sizes) if place != axis)
    return values.reshape(-1) if len(sizes) == rank > 1 and alone else None


@dataclass
class Group:
    """Operators whose results are all of one size.

    Attributes:
        nodes: In topological order.
        constants: By name, as :func:`as_operand` makes them.
        singles: Tensors of one number, for all entries.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    singles: set[str] = field(default_factory=set)

    def spelled(
        self, wanted: Sequence[str], types: Callable[[str], np.dtype[Any]]
    ) -> tuple[tuple[str, ...], Spelled]:
        """What it reads, and the loop that computes ``wanted`` results where all of that is of one size."""
        read = dict.fromkeys(name for node in self.nodes for name in node.input)
        made = {node.output[0] for node in self.nodes}
        given = [name for name in read if name not in made and name not in self.constants]
        fields = [name for name in given if name not in self.singles]
        singles = [name for name in given if name in self.singles]
        channels = [name for name in read if name in self.constants and self.constants[name].ndim]
        scalars = [name for name in read if name in self.constants and not self.constants[name].ndim]
        place = "[r, c]" if channels else "[r]"
        names = {n: f"b{i}{place}" for i, n in enumerate(fields)} | {
            n: f"u{i}" for i, n in enumerate(singles)
        }
        names |= {n: f"k{i}[c]" for i, n in enumerate(channels)} | {n: f"s{i}" for i, n in enumerate(scalars)}
        names |= {node.output[0]: f"v{number}" for number, node in enumerate(self.nodes)}
        lines = [
            f"{names[node.output[0]]} = np.{types(node.output[0]).type.__name__}({_entry(node, names)})"
            for node in self.nodes
        ]
        lines += [f"p{i}{place} = {names[name]}" for i, name in enumerate(wanted)]
        arguments = [
            f"{key}{i}"
            for key, held in zip("atkso", (fields, singles, channels, scalars, wanted), strict=True)
            for i, _ in enumerate(held)
        ]
        constants = [*(self.constants[n] for n in channels), *(self.constants[n][()] for n in scalars)]
        function = _loop(tuple(arguments), tuple(lines), bool(channels))
        same = [f"{{r{i}}}.shape == {{r0}}.shape" for i in range(1, len(fields))]
        same += [f"{{r0}}.shape[-1] == {self.constants[name].size}" for name in channels]
        text = [f"ok = {' and '.join(['ok', *dict.fromkeys(same)])}"]
        for i, name in enumerate(wanted):
            text.append(f"{{w{i}}} = np.empty({{r0}}.shape, np.{types(name).type.__name__})")
        call = [f"{{r{i}}}" for i in range(len(given))]
        call += [f"{{k{i + 1}}}" for i in range(len(constants))] + [f"{{w{i}}}" for i in range(len(wanted))]
        text.append(f"if ok: {{k0}}({', '.join(call)})")
        return (*fields, *singles), Spelled("\n".join(text), (function, *constants))


def _entry(node: onnx.NodeProto, names: Mapping[str, str]) -> str:
    """An entry of what ``node`` writes, from the ``names`` of those of what it reads."""
    return of(node).formula.format(*(names[name] for name in node.input))


@lru_cache(maxsize=256)
def _loop(given: tuple[str, ...], lines: tuple[str, ...], channels: bool) -> Loop:
    """Compiled when it is first called; neurons of one kind share it."""
    size = "-1, k0.size" if channels else "-1"
    laid = [f"{'b' if n[0] == 'a' else 'p'}{n[1:]} = {n}.reshape({size})" for n in given if n[0] in "ao"]
    laid += [f"u{n[1:]} = {n}.reshape(-1)[0]" for n in given if n[0] == "t"]
    loops = ["for r in range(b0.shape[0]):", *([" for c in range(k0.size):"] if channels else [])]
    body = [*laid, *loops, *("  " + line for line in lines)]
    loop: Loop = njit(nogil=True, error_model="numpy")(defined(given, body, {}))
    return loop
