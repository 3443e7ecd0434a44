"""Blocks of what is no clipped line: functions of one tensor, products of two, and quotients (METHOD 11 to 13)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from random_networks.activations import activate
from random_networks.blocks import ready, same
from random_networks.building import Building, Tensor
from random_networks.versions import clip

#: A function of one tensor, and the first opset that has it.
_FUNCTIONS: dict[str, tuple[int, dict[str, float]]] = {
    "Sigmoid": (6, {}), "Tanh": (6, {}), "Softplus": (1, {}), "Softsign": (1, {}), "Elu": (6, {"alpha": 0.75}),
    "Selu": (6, {}), "LeakyRelu": (6, {"alpha": 0.125}), "ThresholdedRelu": (10, {"alpha": 0.5}),
    "Celu": (12, {"alpha": 0.5}), "HardSwish": (14, {}), "Mish": (18, {}), "Gelu": (20, {}),
}  # fmt: skip


def table(b: Building, x: Tensor) -> Tensor:
    """A function of synapses, or of activations, that is quantised."""
    x = ready(b, x)
    z = same(b, x, x.channels) if b.flip() else x
    return activate(
        b, b.value(_curve(b, z), like=z, top=min(z.top, 8.0) + 1, levels=False, finite=False, bent=True)
    )


def _curve(b: Building, z: Tensor) -> str:
    known = [name for name, (opset, _) in _FUNCTIONS.items() if opset <= b.opset]
    way = b.pick([*known, "silu", "hard swish", "square", "gaussian", "gelu"])
    if way in known:
        return str(b.op(way, z, **_FUNCTIONS[way][1]))
    if way == "silu":
        gate = b.op("Sigmoid", z)
        return str(b.op("Mul", z, gate) if b.flip() else b.op("Mul", gate, z))
    if way == "hard swish":
        shown = b.op("Add", z, np.float32(3))
        return str(b.op("Mul", z, b.op("Mul", clip(b, shown, 0.0, 6.0), np.float32(1 / 6))))
    if way == "square":
        return str(b.op("Mul", z, z) if b.flip() else b.op("Abs", z))
    if way == "gaussian":
        return str(b.op("Exp", b.op("Neg", b.op("Mul", z, z))))
    half = b.op(
        "Mul",
        b.op("Add", b.op("Erf", b.op("Mul", z, np.float32(0.70710677))), np.float32(1)),
        np.float32(0.5),
    )
    return str(b.op("Mul", z, half))


def gated(b: Building, x: Tensor) -> Tensor | None:
    """One activation times another: of all places, or of their mean (squeeze and excitation)."""
    x = ready(b, x)
    values = activate(b, same(b, x, x.channels))
    if len(x.shape) == 3 and not b.exact and b.flip():
        squeezed = b.value(b.op("GlobalAveragePool", values), like=values, levels=False, finite=False)
        gate = activate(b, same(b, squeezed, x.channels))
    else:
        gate = activate(b, same(b, x, x.channels))
    if (
        gate.shape[1:] not in (values.shape[1:], (1,) * len(values.shape[1:]))
        or gate.channels != values.channels
    ):
        return None
    return _product(b, "Mul", *((values, gate) if b.flip() else (gate, values)))


def _product(b: Building, op: str, left: Tensor, right: Tensor, terms: int = 1) -> Tensor | None:
    """A product of two activations, quantised, or read by synapses as it is."""
    unit, top = left.unit * right.unit, left.top * right.top * terms
    if not b.fits(unit, 4 * top):
        return None
    z = b.value(b.op(op, left, right), like=left, unit=unit, top=top, levels=False, finite=False)
    return activate(b, z) if b.flip() or (b.exact and top / unit > 2.0**12) else z


def attention(b: Building, x: Tensor) -> Tensor | None:
    """Scores of tokens, weighed or not, and what they select."""
    if len(x.shape) != 2:
        return None
    x = ready(b, x)
    query, key, value = (activate(b, _projected(b, x)) for _ in range(3))
    turned = b.value(b.op("Transpose", key, perm=[0, 2, 1]), like=key)
    scores = _product(b, "MatMul", query, turned, x.shape[-1])
    if scores is None:
        return None
    if not b.exact:
        scores = b.value(
            b.op("Softmax", scores, axis=-1 if b.opset >= 13 else 2), like=scores, top=1.0, levels=False
        )
    return _product(b, "MatMul", activate(b, scores), value, x.shape[0])


def _projected(b: Building, x: Tensor) -> Tensor:
    weights = b.weights((x.shape[-1], x.shape[-1]), (0,), x)
    top = x.top * float(np.abs(weights).sum(axis=0).max())
    unit = x.unit * 0.125
    return b.value(
        b.op("MatMul", x, weights), like=x, unit=unit, top=max(top, unit), levels=False, finite=False
    )


def normalised(b: Building, x: Tensor) -> Tensor | None:
    """A sample divided by its own deviation, root mean square or sum, and quantised; its numbers are never dyadic."""
    if b.exact or len(x.shape) < 2:
        return None
    z = same(b, ready(b, x), x.channels) if b.flip() else x
    y = b.pick([_layer_norm, _root_mean_square, _instance_norm, _softmax])(b, z)
    return activate(b, b.value(y, like=z, top=4.0, levels=False, finite=False))


def _layer_norm(b: Building, z: Tensor) -> str:
    size = z.shape[-1]
    scale, shift = b.factors((size,)), b.bias((size,))
    if b.opset >= 17 and b.flip():
        return str(b.op("LayerNormalization", z, scale, shift, axis=-1))
    d = b.op("Sub", z, _mean(b, z.name))
    deviation = b.op("Sqrt", b.op("Add", _mean(b, b.op("Mul", d, d)), np.float32(1e-3)))
    return str(b.op("Add", b.op("Mul", b.op("Div", d, deviation), scale), shift))


def _mean(b: Building, x: str) -> str:
    if b.opset >= 18:
        return str(b.op("ReduceMean", x, b.hold([-1], np.int64)))
    return str(b.op("ReduceMean", x, axes=[-1] if b.opset >= 11 else [len(b.shape(x))]))


def _root_mean_square(b: Building, z: Tensor) -> str:
    root = b.op("Sqrt", b.op("Add", _mean(b, b.op("Mul", z, z)), np.float32(1e-3)))
    return str(b.op("Mul", b.op("Div", z, root), b.factors((z.shape[-1],))))


def _instance_norm(b: Building, z: Tensor) -> str:
    return str(
        b.op("InstanceNormalization", z, b.factors((z.channels,)), b.bias((z.channels,)), epsilon=1e-3)
    )


def _softmax(b: Building, z: Tensor) -> str:
    return str(b.op("Softmax", z, axis=-1 if b.opset >= 13 else len(z.shape)))


BEYOND: tuple[Callable[[Building, Tensor], Tensor | None], ...] = (table, gated, attention, normalised)
