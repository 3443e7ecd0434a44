"""What onnxruntime fuses in an optimised file is its parts again."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import origin
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.normalise.expand_fused_operators import expand_fused_operators

X, Z, FLAT = samples(2, 5, 8, seed=4), samples(2, 5, 8, seed=5), samples(2, 60, seed=6)
EIGHT = [samples(8, seed=seed) for seed in range(3)]
WHERE = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
IDS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], np.int32)
PLACES = np.array([[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]], np.int64)
TURNS = [samples(10, 2, seed=7), samples(10, 2, seed=8)]
QKV, QKV_BIAS = samples(8, 24, seed=9), samples(24, seed=10)
RANDOM = np.random.default_rng(11)
HELD = {"num_heads": 2}


def codes(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, 120, shape).astype(kind)


def packed(bits: int, *more: Any) -> list[Any]:
    return [FLAT, codes(3, 2, 4 * bits) * 2 + 1, samples(3, 2, seed=bits), *more]


#: Operator, what it reads (None: left out), which of these are constants, its outputs, its attributes.
CASES: dict[str, tuple[str, list[Any], tuple[int, ...], list[str], dict[str, Any]]] = {
    "gelu": ("Gelu", [X], (), ["y"], {}),
    "fast gelu": ("FastGelu", [X], (), ["y"], {}),
    "fast gelu of a sum": ("FastGelu", [X, EIGHT[0]], (1,), ["y"], {}),
    "gelu of a sum": ("BiasGelu", [X, EIGHT[0]], (1,), ["y"], {}),
    "swish": ("QuickGelu", [X], (), ["y"], {}),
    "swish of alpha": ("QuickGelu", [X], (), ["y"], {"alpha": 1.0}),
    "swish behind a scale": ("ScaledSiLU", [X], (), ["y"], {"alpha": 1.5}),
    "gated sum": ("GatedAdd", [X, Z, samples(2, 5, 1)], (), ["y"], {}),
    "sum and norm": ("SkipLayerNormalization", [X, Z, *EIGHT], (2, 3, 4), ["y"], {}),
    "sum and norm, and the sum": (
        "SkipLayerNormalization", [X, Z, EIGHT[0]], (2,), ["y", "", "", "s"], {"epsilon": 1e-3},
    ),
    "sum and root mean square": (
        "SkipSimplifiedLayerNormalization", [X, Z, *EIGHT[:2]], (2, 3), ["y", "", "", "s"], {},
    ),
    "root mean square": ("SimplifiedLayerNormalization", [X, EIGHT[0]], (1,), ["y"], {}),
    "root mean square over two axes": (
        "SimplifiedLayerNormalization", [X, samples(5, 8)], (1,), ["y"], {"axis": 1, "epsilon": 1e-3},
    ),
    "embeddings": (
        "EmbedLayerNormalization",
        [IDS, WHERE, samples(10, 8), samples(6, 8), samples(2, 8), *EIGHT[:2]], (2, 3, 4, 5, 6), ["y", "", "s"], {},
    ),
    "embeddings at places": (
        "EmbedLayerNormalization",
        [IDS, None, samples(10, 8), samples(7, 8), None, *EIGHT[:2], None, PLACES.astype(np.int32)], (2, 3, 5, 6),
        ["y", ""], {},
    ),
    "embeddings, and how many": (
        "EmbedLayerNormalization",
        [IDS, None, samples(10, 8), samples(7, 8), None, *EIGHT[:2], WHERE], (2, 3, 5, 6), ["y", "counts"], {},
    ),
    "rotation": ("RotaryEmbedding", [X, PLACES, *TURNS], (2, 3), ["y"], {}),
    "rotation of pairs side by side, from a place on": (
        "RotaryEmbedding", [X, np.array([3]), *TURNS], (1, 2, 3), ["y"], {"interleaved": 1},
    ),
    "rotation of a part": (
        "RotaryEmbedding", [samples(2, 5, 16), PLACES, *TURNS], (2, 3), ["y"],
        {"num_heads": 2, "rotary_embedding_dim": 4, "interleaved": 1},
    ),
    "rotation of heads apart": ("RotaryEmbedding", [samples(2, 3, 5, 4), PLACES, *TURNS], (2, 3), ["y"], {}),
    "attention": ("Attention", [X, QKV, QKV_BIAS], (1, 2), ["y"], HELD),
    "attention to what came before": (
        "Attention", [X, QKV, QKV_BIAS, WHERE], (1, 2), ["y"], {"unidirectional": 1, "mask_filter_value": -500.0, **HELD},
    ),
    "attention to the first places": (
        "Attention", [X, QKV, QKV_BIAS, np.array([4, 2], np.int32)], (1, 2), ["y"], HELD,
    ),
    "attention with a bias": (
        "Attention", [X, QKV, None, None, None, samples(1, 2, 5, 5)], (1,), ["y"], {"scale": 0.3, **HELD},
    ),
    "attention of narrow values": (
        "Attention", [X, samples(8, 20), samples(20), RANDOM.integers(0, 2, (2, 5, 5)).astype(np.int32)], (1, 2), ["y"],
        {"qkv_hidden_sizes": [8, 8, 4], **HELD},
    ),
    "attention to others": ("MultiHeadAttention", [X, samples(2, 7, 8), samples(2, 7, 4)], (), ["y"], HELD),
    "attention to others, with everything": (
        "MultiHeadAttention",
        [X, samples(2, 7, 8), samples(2, 7, 4), samples(20), np.ones((2, 7), np.int32), samples(2, 2, 5, 7)], (3,), ["y"],
        HELD,
    ),
    "attention to heads apart": (
        "MultiHeadAttention", [X, samples(2, 2, 7, 4), samples(2, 2, 7, 4)], (), ["y"], HELD,
    ),
    "attention of codes": (
        "QAttention",
        [codes(2, 5, 8), codes(8, 24, kind=np.int8), QKV_BIAS, np.float32(0.01), np.float32(0.02), WHERE, np.uint8(3)],
        (1, 2, 3, 4, 6), ["y"], HELD,
    ),
    "attention of codes by columns": (
        "QAttention",
        [codes(2, 5, 8), codes(8, 24, kind=np.int8), QKV_BIAS, np.float32(0.01), np.abs(QKV[0]) / 50, None, np.uint8(3),
         codes(24, kind=np.int8)],
        (1, 2, 3, 4, 6, 7), ["y"], {"unidirectional": 1, **HELD},
    ),
    "four bits": ("MatMulNBits", packed(4), (1, 2), ["y"], {"bits": 4}),
    "two bits and packed zero points": ("MatMulNBits", packed(2, codes(3, 1)), (1, 2, 3), ["y"], {"bits": 2}),
    "four bits, fractional zero points and a bias": (
        "MatMulNBits", packed(4, samples(3, 2), None, samples(3)), (1, 2, 3, 5), ["y"], {"bits": 4, "accuracy_level": 1},
    ),
    "eight bits and zero points": ("MatMulNBits", packed(8, codes(3, 2)), (1, 2, 3), ["y"], {"bits": 8}),
    "rows of four bits": (
        "GatherBlockQuantized", [codes(10, 24) * 2 + 1, IDS, samples(10, 2)], (0, 2), ["y"],
        {"bits": 4, "block_size": 32, "quantize_axis": 1},
    ),
    "rows of eight bits and zero points": (
        "GatherBlockQuantized", [codes(10, 48), IDS, samples(10, 2), codes(10, 2)], (0, 2, 3), ["y"],
        {"bits": 8, "block_size": 32, "quantize_axis": -1},
    ),
    "product of codes by the range of x": (
        "DynamicQuantizeMatMul", [X, codes(8, 3), np.float32([0.01, 0.02, 0.03]), np.uint8(57), samples(3)], (1, 2, 3, 4),
        ["y"], {},
    ),
    "product with a transpose": ("TransposeMatMul", [X, Z], (), ["y"], {"transB": 1, "alpha": 0.5}),
}  # fmt: skip


def fused_model(
    operator: str, read: list[Any], constant: tuple[int, ...], outputs: list[str], attributes: dict[str, Any]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """One operator of com.microsoft, and samples for what is not constant."""
    values = {f"in{i}": np.asarray(v) for i, v in enumerate(read) if v is not None}
    held = {f"in{i}": values[f"in{i}"] for i in constant}
    given = {name: v for name, v in values.items() if name not in held}
    if operator == "MatMulNBits":
        attributes = {"K": 60, "N": 3, "block_size": 32, **attributes}
    names = [f"in{i}" if v is not None else "" for i, v in enumerate(read)]
    domain = "" if operator == "SimplifiedLayerNormalization" else MICROSOFT
    fused = node(operator, names, outputs, "theirs", domain=domain, **attributes)
    wanted = [name for name in outputs if name]
    types = {name: onnx.helper.np_dtype_to_tensor_dtype(v.dtype) for name, v in given.items()}
    shapes = {name: list(v.shape) for name, v in given.items()}
    model = make_model(
        [fused],
        held,
        shapes,
        dict.fromkeys(wanted, None),
        opset=21,
        domains=[MICROSOFT],
        types=types,
        ir_version=10,
    )
    del model.graph.output[:]
    model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, wanted))
    for info, value in zip(model.graph.output, run_reference(model, given).values(), strict=True):
        info.CopyFrom(
            onnx.helper.make_tensor_value_info(
                info.name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
        )
    return model, given


@pytest.mark.parametrize("name", CASES)
def test_what_onnxruntime_answers(name: str) -> None:
    source, given = fused_model(*CASES[name])
    graph = apply_checked(source, given, expand_fused_operators, tolerance=1e-6)
    assert not [n.op for n in graph.nodes if n.domain]
    assert {names for n in graph.nodes for names in origin(n)} == {"theirs"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("four bits", {"accuracy_level": 4}),
    ],
)
def test_what_no_definition_covers_stays(name: str, change: dict[str, Any]) -> None:
    operator, read, constant, outputs, attributes = CASES[name]
    source, given = fused_model(operator, read, constant, outputs, {**attributes, **change})
    graph = apply_checked(source, given, expand_fused_operators)
    assert operators(graph) == [operator]


@pytest.mark.parametrize("level", [0, 4])
def test_packed_weights_are_synapses(level: int) -> None:
    """At the level at which its kernel may round what it reads, it is refused by its name."""
    quantiser = [node("Floor", ["h"], ["f"]), node("Clip", ["f", "zero", "top"], ["a"])]
    attributes = {"K": 32, "N": 6, "bits": 4, "block_size": 32, "accuracy_level": level}
    packed_product = node("MatMulNBits", ["a", "b", "s"], ["p"], "packed", domain=MICROSOFT, **attributes)
    behind = [
        node("Floor", ["p"], ["g"]),
        node("Clip", ["g", "zero", "top"], ["c"]),
        node("MatMul", ["c", "v"], ["y"]),
    ]
    nodes = [node("MatMul", ["x", "w"], ["h"]), *quantiser, packed_product, *behind]
    constants = {
        "w": samples(8, 32), "v": samples(6, 2), "zero": np.float32(0), "top": np.float32(3),
        "b": codes(6, 1, 16), "s": np.abs(samples(6, 1)) / 8,
    }  # fmt: skip
    source = make_model(nodes, constants, {"x": ["N", 8]}, {"y": ["N", 2]}, domains=[MICROSOFT])
    if level:
        with pytest.raises(ConversionError, match=r"'packed' \(MatMulNBits\): this form"):
            onnx2snn.convert(source)
        return
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 2
    assert onnx2snn.verify(source, conversion.model, {"x": samples(20, 8)}).lossless
