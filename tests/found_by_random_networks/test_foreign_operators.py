"""Networks with onnxruntime's own operators, found by random networks; in operators of ONNX, as small as they shrank to."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.runtime import SpikingSession

RANDOM = np.random.default_rng(3)


def weights(*shape: int) -> np.ndarray:
    return (RANDOM.integers(-8, 9, shape) / 8).astype(np.float32)


CONSTANTS = {
    "w": weights(2, 2, 1), "u": weights(2, 2, 1), "v": weights(2, 2, 1), "s": np.float32(0.25), "z": np.uint8(0),
    "axes": np.array([1, 2]), "gain": weights(2, 6) + np.float32(0.0625), "three": np.float32(3),
    "half": np.float32(0.5), "epsilon": np.float32(1e-3), "zero": np.float32(0), "most": np.float32(2),
}  # fmt: skip


def network(body: str, size: int | str) -> onnx.ModelProto:
    """Neurons a and b of x, ``body`` from them to r, a readout of r."""
    text = f"""<ir_version: 8, opset_import: ["" : 18]> g (float[N,2,{size}] x) => (float[N,2,{size}] y) {{
      c = Conv(x, w)  c1 = QuantizeLinear(c, s, z)  a = DequantizeLinear(c1, s, z)
      d = Conv(x, u)  d1 = QuantizeLinear(d, s, z)  b = DequantizeLinear(d1, s, z)
      {body}
      y = Conv(r, v)
    }}"""
    model = onnx.parser.parse_model(text)
    read = {name for node in model.graph.node for name in node.input}
    held = [numpy_helper.from_array(np.asarray(v), n) for n, v in CONSTANTS.items() if n in read]
    model.graph.initializer.extend(held)
    return model


DATA = (np.random.default_rng(5).integers(-16, 17, (3, 2, 6)) / 4).astype(np.float32)


def test_a_held_mean_beside_a_train_of_open_size_is_counted() -> None:
    """What counts spikes went on behind the held potential, to sizes that spikes never reach."""
    gated = """g = GlobalAveragePool(b)  h = Mul(a, g)  t = Add(b, h)
      t1 = QuantizeLinear(t, s, z)  r = DequantizeLinear(t1, s, z)"""
    counted = []
    for size in (6, "L"):
        source = network(gated, size)
        model = onnx2snn.convert(source).model
        assert onnx2snn.verify(source, model, {"x": DATA}).lossless
        result = SpikingSession(model.SerializeToString()).run({"x": DATA})
        counted.append({name: values.tolist() for name, values in result.synops.items()})
    assert counted[0] == counted[1]
    assert all(sum(values) for values in counted[0].values())


@pytest.mark.parametrize("term", ["half", "gain"])
def test_a_term_behind_a_quotient_by_one_number_a_sample(term: str) -> None:
    """The divisor, times a term, was declared in the shape of the quotient: against ONNX's rules. Factors have both signs."""
    divided = f"""p = Mul(a, a)  m = ReduceMean<keepdims=1>(p, axes)  e = Add(m, epsilon)  d2 = Sqrt(e)  q = Div(a, d2)
      k = Add(q, {term})  l = Mul(k, gain)  n = Mul(l, three)  o = Round(n)  o1 = Max(o, zero)  r = Min(o1, most)"""
    source = network(divided, 6)
    conversion = onnx2snn.convert(source)
    onnx.checker.check_model(conversion.model, full_check=True)
    assert onnx2snn.verify(source, conversion.model, {"x": DATA}).lossless
