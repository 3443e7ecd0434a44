"""Activations, with the biases that are added in front of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnx2snn.operators.spelled.microsoft.definition import Definition, Operands


def _gelu(o: Operands) -> None:
    """x·(1 + erf(x/√2))/2."""
    o.apply("Gelu", o.sum(0, 1), output=0)


def _fast_gelu(o: Operands) -> None:
    """x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2."""
    o.apply("Gelu", o.sum(0, 1), output=0, approximate="tanh")


def _swish(alpha: float) -> Definition:
    """x·σ(αx)."""

    def write(o: Operands) -> None:
        x = o.must(0)
        factor = np.float32(o.number("alpha", alpha))
        inner = x if factor == 1 else o.apply("Mul", x, factor)
        o.apply("Mul", x, o.apply("Sigmoid", inner), output=0)

    return write


def _scaled_swish(o: Operands) -> None:
    """z·σ(z), z = αx."""
    scale = o.read(1)
    z = o.apply("Mul", o.must(0), np.float32(o.number("alpha", 1)) if scale is None else scale)
    o.apply("Mul", z, o.apply("Sigmoid", z), output=0)


def _gated_add(o: Operands) -> None:
    """The sum of x and y·gate."""
    if o.only(0, 1, 2):
        o.apply("Add", o.must(0), o.apply("Mul", o.must(1), o.must(2)), output=0)


DEFINITIONS: Mapping[str, Definition] = {
    "BiasGelu": _gelu,
    "FastGelu": _fast_gelu,
    "GatedAdd": _gated_add,
    "Gelu": _gelu,
    "QuickGelu": _swish(1.702),
    "ScaledSiLU": _scaled_swish,
}
