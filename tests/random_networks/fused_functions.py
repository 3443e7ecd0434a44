"""onnxruntime's activations and layer normalisations, with what is added in front of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from random_networks.activations import activate
from random_networks.attributes import chosen
from random_networks.blocks import ready, same
from random_networks.building import MICROSOFT, Building, Tensor
from random_networks.versions import over_axes


def fused_function(b: Building, x: Tensor) -> Tensor | None:
    """A function of synapses, or of activations, perhaps with a bias in front."""
    z = same(b, ready(b, x), x.channels) if b.flip() else x
    operator = b.any_of(["Gelu", "FastGelu", "BiasGelu", "QuickGelu", "ScaledSiLU"])
    given = chosen(b, operator) if operator in ("QuickGelu", "ScaledSiLU") else {}
    biased = operator == "BiasGelu" or (operator == "FastGelu" and b.flip())
    bias = b.bias((z.shape[-1],)) if biased else None
    y = b.declare(b.op(operator, z, bias, domain=MICROSOFT, **given), z)
    return activate(b, b.value(y, like=z, top=min(z.top, 8.0) + 1, levels=False, finite=False, bent=True))


def gated_sum(b: Building, x: Tensor) -> Tensor | None:
    """GatedAdd of two layers, by a gate of one number a token."""
    y = activate(b, same(b, ready(b, x), x.channels))
    gate = b.op("GlobalAveragePool", activate(b, same(b, x, x.shape[0])))
    z = b.declare(b.op("GatedAdd", x, y, gate, domain=MICROSOFT), x)
    return activate(b, b.value(z, like=x, top=x.top + y.top, levels=False, finite=False))


def fused_norm(b: Building, x: Tensor) -> Tensor | None:
    """A normalisation of tokens, of a sum or of one tensor; its sum may be read too."""
    operator = b.any_of(
        ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization"]
    )
    given, size = chosen(b, operator), x.shape[-1]
    if operator == "SimplifiedLayerNormalization":
        scale = b.factors(x.shape if given.get("axis") == 1 else (size,))
        return _normalised(b, x, operator, [x, scale], "", given)
    other = activate(b, same(b, ready(b, x), x.channels))
    scale, shift = b.factors((size,)), b.bias((size,)) if b.flip() else None
    bias = b.bias((size,)) if b.flip() else None
    shifts = [shift] if operator == "SkipLayerNormalization" else []
    return _normalised(b, x, operator, [x, other, scale, *shifts, bias], MICROSOFT, given)


def _normalised(
    b: Building, x: Tensor, operator: str, read: list[Any], domain: str, given: dict[str, Any]
) -> Tensor:
    several = bool(domain) and b.flip()
    outputs = b.op(operator, *read, outputs=4 if several else 1, domain=domain, **given)
    y = b.declare(outputs[0] if several else outputs, x)
    z = activate(b, b.value(y, like=x, top=4.0, levels=False, finite=False))
    if not several:
        return z
    summed = b.value(b.declare(outputs[3], x), like=x, top=2 * x.top, levels=False, finite=False)
    return b.value(b.op("Add", z, activate(b, summed)), like=z, top=z.top + summed.top, levels=False)


def embedded(b: Building, x: Tensor) -> Tensor | None:
    """EmbedLayerNormalization of constant words, added to the tokens."""
    given, (places, size) = chosen(b, "EmbedLayerNormalization"), x.shape
    above = b.op("Cast", b.op("Greater", x, 0.0), to=TensorProto.FLOAT)
    words = b.op("Cast", over_axes(b, "ReduceMax", above, [2], keepdims=0), to=TensorProto.INT32)
    tables = [b.random.normal(0, 1, (count, size)).astype(np.float32) for count in (3, places, 2)]
    segments = b.flip()
    read = (
        words,
        words if segments else None,
        *tables[:2],
        tables[2] if segments else None,
        b.factors((size,)),
        b.bias((size,)),
    )
    y = b.op("EmbedLayerNormalization", *read, domain=MICROSOFT, outputs=2, **given)[0]
    b.declare(y, x)
    return activate(b, b.value(y, like=x, top=4.0, levels=False, finite=False))
