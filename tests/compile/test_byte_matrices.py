"""Transformers in bytes: products of two signals, constants that differ by place, quotients, matrices behind reshapes."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.parser import parse_model

import onnx2snn
from onnx2snn.compile.byte_functions import ByteTensor, Function
from onnx2snn.compile.byte_store import ByteStore
from onnx2snn.compile.draft import Draft
from onnx2snn.compile.executions import write_execution
from onnx2snn.compile.network import read_network
from onnx2snn.compile.packed_levels import packed, unpacked
from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.target import Target

_HERE = Target(elements=True, contributed=True)
_HELD = """float s = {0.05}, float t = {0.00390625}, float h = {0.5}, float e = {0.00001}, uint8 z = {120}, uint8 o = {0},
    float p = {0.6}, float i = {1.4142135}, float n = {1}, int8 w_z = {0}, float w_s = {0.00371}, int64[1] last = {-1},
    int64[2] flat = {-1, 16}, int64[3] back = {-1, 12, 16}"""
_LOAD = "w = DequantizeLinear(w_q, w_s, w_z)"
_GELU = "g1 = Div(g, i) g2 = Erf(g1) g3 = Add(g2, n) g4 = Mul(g, g3) g5 = Mul(g4, h)"


def quantised(name: str, written: str, scale: str = "s", zero: str = "z") -> str:
    """A quantiser and its counterpart."""
    return f" {written}_q = QuantizeLinear({name}, {scale}, {zero}) {written} = DequantizeLinear({written}_q, {scale}, {zero}) "


NETWORKS = {
    "two signals": quantised("x", "a")
    + "b = Transpose<perm = [0, 2, 1]>(a) c = MatMul(a, b)"
    + quantised("c", "y", "p"),
    "a bias behind a quantiser": quantised("x", "a")
    + _LOAD
    + " c = MatMul(a, w)"
    + quantised("c", "d")
    + "g = Add(d, bias)"
    + quantised("g", "k")
    + _GELU.replace("(g,", "(k,")
    + quantised("g5", "l")
    + "m = MatMul(l, w)"
    + quantised("m", "y"),
    "softmax": quantised("x", "a")
    + _LOAD
    + " c = MatMul(a, w)"
    + quantised("c", "d")
    + "f = Softmax<axis = -1>(d)"
    + quantised("f", "j", "t", "o")
    + "b = Transpose<perm = [0, 2, 1]>(j) m = MatMul(b, d)"
    + quantised("m", "y", "p"),
    "layer norm": quantised("x", "a")
    + _LOAD
    + " c = MatMul(a, w)"
    + quantised("c", "d")
    + "f = LayerNormalization<axis = -1>(d, gain, bias)"
    + quantised("f", "g")
    + "m = MatMul(g, w)"
    + quantised("m", "y"),
    "a matrix of two axes": quantised("x", "a")
    + _LOAD
    + " f = Reshape(a, flat) c = Gemm(f, w, bias) d = Reshape(c, back)"
    + quantised("d", "y"),
}
KERNELS = {
    "two signals": {"QLinearMatMul": 1},
    "a bias behind a quantiser": {"QLinearConv": 2, "GatherElements": 1},
    "softmax": {"QLinearConv": 1, "QLinearMatMul": 1, "QuantizeLinear": 1},
    "layer norm": {"QLinearConv": 2, "LayerNormalization": 1, "QuantizeLinear": 1},
    "a matrix of two axes": {"QLinearConv": 1},
}


def made(name: str) -> onnx.ModelProto:
    text = f"agraph (float[N, 12, 16] x) => (float[N, A, B] y) <{_HELD}>"
    body = NETWORKS[name].replace(", bias)", ", wide)") if "Gemm" in NETWORKS[name] else NETWORKS[name]
    model = parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text} {{ {body} }}')
    random = np.random.default_rng(1)
    constants: dict[str, Any] = {
        "w_q": random.integers(-127, 128, (16, 16)).astype(np.int8),
        "bias": random.normal(0, 0.5, 16).astype(np.float32),
        "gain": random.uniform(0.5, 1.5, 16).astype(np.float32),
        "wide": (random.integers(-900, 900, 16) * 0.05 * 0.00371).astype(np.float32),
    }
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(v, k) for k, v in constants.items() if k in body
    )
    return model


@pytest.mark.parametrize("name", [*NETWORKS])
def test_answers_and_levels_are_those_of_the_source(name: str) -> None:
    """In a session and in a compiled file, whose metadata say where levels are."""
    source = made(name)
    converted = onnx2snn.convert(source).model
    x = np.random.default_rng(2).normal(0, 2, (4, 12, 16)).astype(np.float32)
    assert onnx2snn.verify(source, converted, {"x": x}, execution="int8").lossless
    counted = SpikingSession(converted, execution="int8", count="spikes").run({"x": x})
    spiking = SpikingSession(converted, execution="spiking", count="spikes").run({"x": x})
    assert set(counted.outputs) == set(spiking.outputs)
    compiled = onnx2snn.compile(converted, execution="int8")
    assert onnx2snn.verify(source, compiled, {"x": x}).lossless


@pytest.mark.parametrize("name", [*NETWORKS])
def test_kernels_are_those_of_bytes(name: str) -> None:
    written = write_execution(read_network(onnx2snn.convert(made(name)).model), "int8", target=_HERE)
    operators = Counter(node.op_type for node in written.structure.graph.node)
    assert not operators.keys() & {"MatMul", "Gemm", "GreaterOrEqual", "Floor"}
    for operator, count in KERNELS[name].items():
        assert operators[operator] == count


def test_levels_of_rows_lie_in_the_metadata() -> None:
    compiled = onnx2snn.compile(onnx2snn.convert(made("a bias behind a quantiser")).model, execution="int8")
    facts = json.loads({e.key: e.value for e in compiled.model.metadata_props}["onnx2snn.compiled"])
    by_row = [train for train in facts["trains"].values() if isinstance(train, dict) and "rows" in train]
    assert by_row
    levels, rows = (unpacked(by_row[0][key]) for key in ("levels", "rows"))
    assert levels.shape[1] == 256
    assert rows.shape == (1, 16)
    assert rows.max() < len(levels)


@pytest.mark.parametrize(
    "damage", [{"data": "%"}, {"data": "AAAA"}, {"shape": [3, 5]}, {"shape": [1 << 40, 1 << 40]}]
)
def test_damaged_levels_are_refused(damage: dict[str, Any]) -> None:
    held = packed(np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(unpacked(held), np.arange(6).reshape(2, 3))
    with pytest.raises(InvalidModelError, match="damaged"):
        unpacked(held | damage)


def test_channels_whose_steps_are_no_bytes_together_begin_at_their_lowest() -> None:
    """Levels of a GELU begin at 16 in one channel, at 15 in another: together 257 of them."""
    draft = Draft(read_network(onnx2snn.convert(made("two signals")).model).split, _HERE)
    values = np.stack([np.arange(256) - 16, np.arange(256) - 15]).astype(np.float32)
    rows = np.array([[0, 1, 1, 0]])
    base = ByteTensor("a", False, (3, 4))
    found = ByteStore(draft).alike("b", Function((base,), values, rows=rows))
    assert found is not None
    np.testing.assert_array_equal(found.offsets, [[-16, -15, -15, -16]])
    np.testing.assert_array_equal(found.values, np.arange(256))
