"""Functions and roundings between quantisers, where ties are frequent and codes have many bits: certified, equal to the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

#: What lies behind a first dense layer c; z is its zero point, s a scale of 16 bits.
BODIES = {
    "a leaky function in front of 16 bits": """a = LeakyRelu<alpha=0.1>(c)  q = QuantizeLinear(a, s, z)
      r = DequantizeLinear(q, s, z)""",
    "a leaky function between 16 bits": """q = QuantizeLinear(c, s, z)  d = DequantizeLinear(q, s, z)
      a = LeakyRelu<alpha=0.1>(d)  q2 = QuantizeLinear(a, s, z)  e = DequantizeLinear(q2, s, z)
      q3 = QuantizeLinear(e, s3, z)  r = DequantizeLinear(q3, s3, z)""",
}
#: Roundings of products of two activations, whose ties are as many as their steps.
PRODUCTS = {
    "a product rounded to half even": "p = Mul(d, e)  k = Round(p)",
    "a product cut off": "p = Mul(d, e)  k = Floor(p)",
    "a product in tenths": "p = Mul(d, e)  t = Mul(p, tenth)  o = Round(t)  k = Mul(o, tenth)",
}


def network(body: str, kind: type, *, general: bool) -> onnx.ModelProto:
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray[Any, Any]:
        values = random.normal(size=shape) * 0.4 if general else random.integers(-8, 9, shape) / 16
        return values.astype(np.float32)

    text = f"""<ir_version: 10, opset_import: ["" : 21]> g (float[N,8] x) => (float[N,3] y) {{
      c = MatMul(x, w)
      {body}
      y = MatMul(r, v)
    }}"""
    model = onnx.parser.parse_model(text)
    step = 0.00026 if kind is np.int16 else 0.25
    held = {
        "w": weights(8, 8),
        "u": weights(8, 8),
        "v": weights(8, 3),
        "z": kind(0),
        "tenth": np.float32(0.1),
    }
    held |= {"s": np.float32(step), "s3": np.float32(step * 1.3)}
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(a), n) for n, a in held.items() if n in read
    )
    return model


def answers(model: onnx.ModelProto, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(SpikingSession(model.SerializeToString(), execution="fused").run({"x": x}).outputs["y"])


@pytest.mark.parametrize("name", BODIES)
def test_functions_between_16_bits_are_neurons(name: str) -> None:
    source = network(BODIES[name], np.int16, general=True)
    conversion = onnx2snn.convert(source)
    assert conversion.non_spiking == ()
    x = np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32)
    assert onnx2snn.verify(source, conversion.model, {"x": x}).lossless
    # 8 entries a step of the last quantiser apart, at most, where one of the layers is at a tie.
    np.testing.assert_allclose(answers(conversion.model, x), run_reference(source, {"x": x})["y"], atol=0.005)


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("general", [False, True])
def test_roundings_of_products_at_their_ties(name: str, general: bool) -> None:
    """Both operands are multiples of a quarter: every eighth product is a tie."""
    operands = """q = QuantizeLinear(c, s, z)  d = DequantizeLinear(q, s, z)
      f = MatMul(x, u)  g = QuantizeLinear(f, s, z)  e = DequantizeLinear(g, s, z)"""
    behind = "h = QuantizeLinear(k, s3, z)  r = DequantizeLinear(h, s3, z)"
    source = network(f"{operands}  {PRODUCTS[name]}  {behind}", np.int8, general=general)
    conversion = onnx2snn.convert(source)
    assert conversion.non_spiking == ()
    x = (np.random.default_rng(2).integers(-16, 17, (300, 8)) / 8).astype(np.float32)
    certificate = onnx2snn.verify(source, conversion.model, {"x": x})
    assert certificate.lossless
    if not general:
        np.testing.assert_allclose(
            answers(conversion.model, x), run_reference(source, {"x": x})["y"], atol=1e-5
        )


@pytest.mark.parametrize("seed", range(6))
def test_biases_of_large_codes(seed: int) -> None:
    """int32 biases, dequantised, are whole numbers of a step that no float32 is; rounded, they stay within the bound."""
    random = np.random.default_rng(seed)
    text = """<ir_version: 10, opset_import: ["" : 21]> g (float[N,8] x) => (float[N,8] y) {
      xq = QuantizeLinear(x, sx, z)  xd = DequantizeLinear(xq, sx, z)
      wd = DequantizeLinear(wq, sw)  bd = DequantizeLinear(bq, sb)
      c = Gemm(xd, wd, bd)  q = QuantizeLinear(c, sy, z)  d = DequantizeLinear(q, sy, z)
      e = Gemm(d, wd, bd)  q2 = QuantizeLinear(e, sy, z)  y = DequantizeLinear(q2, sy, z)
    }"""
    model = onnx.parser.parse_model(text)
    sx, sw = np.float32(random.uniform(0.01, 0.05)), np.float32(random.uniform(0.001, 0.02))
    held = {
        "sx": sx,
        "sw": sw,
        "sb": np.float32(sx * sw),
        "sy": np.float32(random.uniform(0.5, 2) * sx),
        "z": np.int8(3),
    }
    held |= {
        "wq": random.integers(-127, 128, (8, 8)).astype(np.int8),
        "bq": random.integers(-60000, 60000, 8).astype(np.int32),
    }
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in held.items())
    x = random.normal(0, 2, (100, 8)).astype(np.float32)
    conversion = onnx2snn.convert(model)
    assert conversion.non_spiking == ()
    assert onnx2snn.verify(model, conversion.model, {"x": x}).lossless
