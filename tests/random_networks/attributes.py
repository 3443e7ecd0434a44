"""The values that attributes of operators on codes, and of onnxruntime's own operators, are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from random_networks.building import Building

#: An attribute that is not written, so that its default counts.
LEFT_OUT = "left out"

_FLAG = (0, 1, LEFT_OUT)
_WINDOW: Mapping[str, Sequence[Any]] = {
    "auto_pad": (LEFT_OUT, "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
    "dilations": (LEFT_OUT, "one", "two"),
    "group": (LEFT_OUT, "one", "channels"),
    "kernel_shape": (LEFT_OUT, "given"),
    "pads": (LEFT_OUT, "even", "uneven"),
    "strides": (LEFT_OUT, "one", "two"),
}
_POOL: Mapping[str, Sequence[Any]] = {
    "auto_pad": (LEFT_OUT, "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
    "ceil_mode": _FLAG,
    "kernel_shape": ("given",),
    "pads": (LEFT_OUT, "even", "uneven"),
    "strides": (LEFT_OUT, "one", "two"),
}
#: Of FusedConv: an activation and its numbers, in the order in which onnxruntime writes them.
ACTIVATIONS: Mapping[str, Sequence[float]] = {
    "Relu": (),
    "Clip": (0.0, 1.5),
    "LeakyRelu": (0.25,),
    "Tanh": (),
    "Sigmoid": (),
    "HardSigmoid": (0.25, 0.5),
}
_ACTIVATION: Mapping[str, Sequence[Any]] = {
    "activation": (LEFT_OUT, *ACTIVATIONS),
    "activation_params": (LEFT_OUT, "given"),
}
_HEADS: Mapping[str, Sequence[Any]] = {"num_heads": (1, 2), "scale": (LEFT_OUT, 0.5)}
_MASKED: Mapping[str, Sequence[Any]] = {
    **_HEADS,
    "mask_filter_value": (LEFT_OUT, -500.0),
    "unidirectional": _FLAG,
}
_TURNED: Mapping[str, Sequence[Any]] = {
    "alpha": (LEFT_OUT, 0.5, 2.0),
    **dict.fromkeys(("transA", "transB", "transBatchA", "transBatchB"), _FLAG),
}

#: By operator. Words stand for numbers that depend on the tensor: whoever draws an operator says which.
VALUES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "Attention": {**_MASKED, "qkv_hidden_sizes": (LEFT_OUT, "narrow values")},
    "ConvInteger": _WINDOW,
    "EmbedLayerNormalization": {"epsilon": (LEFT_OUT, 1e-3)},
    "FusedConv": {**_WINDOW, **_ACTIVATION},
    "FusedGemm": {
        "activation": ("Relu", "LeakyRelu", "HardSigmoid", "Tanh"),
        "alpha": (LEFT_OUT, 0.5, 2.0),
        "beta": (LEFT_OUT, 0.5),
        "transA": _FLAG,
        "transB": _FLAG,
    },
    "FusedMatMul": _TURNED,
    "GatherBlockQuantized": {
        "bits": (LEFT_OUT, 4, 8),
        "block_size": (LEFT_OUT, 16, 32),
        "gather_axis": (LEFT_OUT, 0),
        "quantize_axis": (1, -1),
    },
    "MatMulNBits": {
        "accuracy_level": (LEFT_OUT, 0, 1, 4),
        "bits": (LEFT_OUT, 2, 4, 8),
        "block_size": (16, 32),
        "K": ("given",),
        "N": ("given",),
        "weight_prepacked": (LEFT_OUT, 0),
    },
    "MultiHeadAttention": _MASKED,
    "NhwcMaxPool": {**_POOL, "dilations": (LEFT_OUT, "one")},
    "QAttention": _MASKED,
    "QGemm": {"alpha": (LEFT_OUT, 0.5, 2.0), "transA": _FLAG, "transB": _FLAG},
    "QLinearAveragePool": {**_POOL, "channels_last": _FLAG, "count_include_pad": _FLAG},
    "QLinearConcat": {"axis": (1, -1)},
    "QLinearConv": {**_WINDOW, "channels_last": _FLAG},
    "QLinearGlobalAveragePool": {"channels_last": _FLAG},
    "QLinearLeakyRelu": {"alpha": (LEFT_OUT, 0.25, 0.5)},
    "QLinearSoftmax": {"axis": (LEFT_OUT, 1, 2, -1), "opset": (11, 13)},
    "QuickGelu": {"alpha": (LEFT_OUT, 1.0, 1.5)},
    "RotaryEmbedding": {
        "interleaved": _FLAG,
        "is_packed_batching": (LEFT_OUT, 0),
        "num_heads": (LEFT_OUT, 2),
        "rotary_embedding_dim": (LEFT_OUT, "half"),
        "scale": (LEFT_OUT, 1.0),
    },
    "ScaledSiLU": {"alpha": (LEFT_OUT, 1.5)},
    "SimplifiedLayerNormalization": {
        "axis": (LEFT_OUT, -1, 1),
        "epsilon": (LEFT_OUT, 1e-3),
        "stash_type": (LEFT_OUT, 1),
    },
    "SkipLayerNormalization": {"epsilon": (LEFT_OUT, 1e-3)},
    "SkipSimplifiedLayerNormalization": {"epsilon": (LEFT_OUT, 1e-3)},
    "TransposeMatMul": {k: v for k, v in _TURNED.items() if "Batch" not in k},
}


def chosen(b: Building, operator: str, *names: str) -> dict[str, Any]:
    """One value for each attribute (or for those named) of ``operator``, words and all; those left out are not there."""
    table = VALUES[operator]
    drawn = {name: b.any_of(table[name]) for name in names or table}
    return {name: value for name, value in drawn.items() if value != LEFT_OUT}
