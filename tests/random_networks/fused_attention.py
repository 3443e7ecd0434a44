"""onnxruntime's attention, and its rotary embeddings, on tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from random_networks.activations import activate
from random_networks.attributes import chosen
from random_networks.building import MICROSOFT, Building, Tensor
from random_networks.codes_of_tensors import coded
from random_networks.synapses import summed

#: Size of one head.
_SIZE = 4


def _tokens(b: Building, x: Tensor, width: int) -> Tensor:
    """A layer on each token, quantised."""
    weights = b.weights((x.shape[-1], width), (0,), x)
    return activate(b, summed(b, x, b.op("MatMul", x, weights), weights, (0,), None))


def _answer(b: Building, y: str, x: Tensor, width: int) -> Tensor:
    b.typed(y, [x.shape[0], width])
    return activate(b, b.value(y, like=x, top=4.0, levels=False, finite=False))


def _mask(b: Building, x: Tensor) -> str | None:
    """Which places a sample has, where there is one sample."""
    if b.batch != 1 or b.flip():
        return None
    return b.hold(b.random.integers(0, 2, (b.batch, x.shape[0])) | (np.arange(x.shape[0]) == 0), np.int32)


def attention(b: Building, x: Tensor) -> Tensor | None:
    """Attention: queries, keys and values are parts of one product."""
    given = chosen(b, "Attention")
    width = given["num_heads"] * _SIZE
    value = width // 2 if "qkv_hidden_sizes" in given else width
    if "qkv_hidden_sizes" in given:
        given["qkv_hidden_sizes"] = [width, width, value]
    weights = b.weights((x.shape[-1], 2 * width + value), (0,), x)
    added = b.random.normal(0, 1, (1, given["num_heads"], x.shape[0], x.shape[0])) if b.flip() else None
    read = (
        x,
        weights,
        b.bias((2 * width + value,)),
        _mask(b, x),
        None,
        None if added is None else b.hold(added),
    )
    return _answer(b, b.op("Attention", *read, domain=MICROSOFT, **given), x, value)


def q_attention(b: Building, x: Tensor) -> Tensor | None:
    """QAttention: the same of codes."""
    if b.opset < 10:
        return None
    given, code = chosen(b, "QAttention"), coded(b, x, np.uint8)
    width = given["num_heads"] * _SIZE
    weights = b.hold(b.random.integers(-60, 61, (x.shape[-1], 3 * width)), np.int8)
    read = (
        code.name,
        weights,
        b.bias((3 * width,)),
        code.parameters[0],
        0.02,
        _mask(b, x),
        code.parameters[1],
    )
    return _answer(b, b.op("QAttention", *read, domain=MICROSOFT, **given), x, width)


def several_heads(b: Building, x: Tensor) -> Tensor | None:
    """MultiHeadAttention: queries, keys and values are tensors of their own."""
    given = chosen(b, "MultiHeadAttention")
    width = given["num_heads"] * _SIZE
    parts: list[Any] = [_tokens(b, x, width) for _ in range(3)]
    bias = b.bias((3 * width,)) if b.flip() else None
    return _answer(
        b, b.op("MultiHeadAttention", *parts, bias, _mask(b, x), domain=MICROSOFT, **given), x, width
    )


def rotated(b: Building, x: Tensor) -> Tensor | None:
    """RotaryEmbedding of places that are given one by one."""
    given, width = chosen(b, "RotaryEmbedding"), 16
    heads, part = int(given.get("num_heads", 2)), width // 2
    if "rotary_embedding_dim" in given:
        part, given["rotary_embedding_dim"] = 4, 4
        given["num_heads"] = heads
    places = np.tile(np.arange(x.shape[0]), (b.batch if isinstance(b.batch, int) else 1, 1))
    if isinstance(b.batch, str):
        places = np.zeros(1)
    angle = np.arange(x.shape[0] + 1)[:, None] / 7.0 ** np.arange(part // 2)
    z = _tokens(b, x, width)
    read = (z, b.hold(places, np.int64), b.hold(np.cos(angle)), b.hold(np.sin(angle)))
    return _answer(b, b.op("RotaryEmbedding", *read, domain=MICROSOFT, **given), z, width)
