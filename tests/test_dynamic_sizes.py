"""Height and width that are open: sizes that the network computes from its tensors follow the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.dialect.functions import VERSION
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.layer_records import read_table

HEAD = """
  c = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(x, w0)
  q = QuantizeLinear(c, s, z)
  d = DequantizeLinear(q, s, z)
  xs = Shape(x)
  ds = Shape(d)
"""
BEHIND = """
  c2 = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(u, w2)
  q2 = QuantizeLinear(c2, s, z)
  d2 = DequantizeLinear(q2, s, z)
  p = ReduceMean<keepdims=0>(d2, space)
  y = MatMul(p, w3)
"""
BODIES = {
    "resized to the size of the input": """
  half = AveragePool<kernel_shape=[2,2], strides=[2,2]>(d)
  front = Slice(ds, i0, i2, i0)
  back = Slice(xs, i2, i4, i0)
  sizes = Concat<axis=0>(front, back)
  u = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(half, , , sizes)
""",
    "resized by factors that are computed": """
  half = AveragePool<kernel_shape=[2,2], strides=[2,2]>(d)
  hs = Shape(half)
  to = Cast<to=1>(ds)
  of = Cast<to=1>(hs)
  factors = Div(to, of)
  u = Resize<mode="linear">(half, , factors)
""",
    "expanded to the size of a hidden tensor": """
  m = MaxPool<kernel_shape=[1,1], strides=[9,9]>(d)
  m1 = Slice(m, zeros, ones, space)
  u = Expand(m1, ds)
""",
    "cropped to computed bounds": """
  back = Slice(ds, i2, i4, i0)
  bound = Sub(back, i1)
  u = Slice(d, ones, bound, space)
""",
    "padded by computed amounts": """
  back = Slice(ds, i2, i4, i0)
  two = Add(ones, ones)
  odd = Mod(back, two)
  pads = Concat<axis=0>(zeros, zeros, zeros, odd)
  u = Pad(d, pads)
""",
    "channels shuffled": """
  n = Slice(ds, i0, i1, i0)
  back = Slice(ds, i2, i4, i0)
  apart = Concat<axis=0>(n, i2, i2, back)
  g = Reshape(d, apart)
  t = Transpose<perm=[0,2,1,3,4]>(g)
  together = Concat<axis=0>(n, i4, back)
  u = Reshape(t, together)
""",
    "joined with zeros of its own size": """
  zeros_like = ConstantOfShape<value = float[1] {0.5}>(xs)
  plane = Slice(zeros_like, i0, i2, i1)
  v = Conv<kernel_shape=[1,1]>(plane, w1)
  u = Add(d, v)
""",
}  # fmt: skip


def network(body: str) -> onnx.ModelProto:
    """A convolution, ``body`` on its quantised answer, and a convolution behind; two channels of open sizes."""
    random = np.random.default_rng(0)

    def dyadic(*shape: int) -> np.ndarray:
        return (random.integers(-8, 9, shape) / 16).astype(np.float32)

    text = f"g (float[batch,2,h,w] x) => (float[batch,3] y) {{{HEAD}{body}{BEHIND}}}"
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> {text}')
    arrays = {
        "w0": dyadic(4, 2, 3, 3),
        "w1": dyadic(4, 2, 1, 1),
        "w2": dyadic(4, 4, 3, 3),
        "w3": dyadic(4, 3),
    }
    arrays |= {"s": np.float32(0.25), "z": np.uint8(0), "space": np.array([2, 3]), "zeros": np.array([0, 0])}
    arrays |= {f"i{n}": np.array([n]) for n in (0, 1, 2, 4)} | {"ones": np.array([1, 1])}
    read = {name for node in model.graph.node for name in node.input}
    for name in sorted(read & set(arrays)):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(arrays[name]), name))
    onnx.checker.check_model(model)
    return model


def pictures(height: int, width: int, count: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {"x": (random.integers(-16, 17, (count, 2, height, width)) / 8).astype(np.float32)}


@pytest.mark.parametrize("name", BODIES)
def test_computed_sizes_follow_the_data(name: str, tmp_path: Path) -> None:
    source = network(BODIES[name])
    conversion = onnx2snn.convert(source, hybrid=name.startswith("joined"))
    assert not conversion.non_spiking or name.startswith("joined")
    conversion.save(tmp_path / "snn.onnx")
    for data in (pictures(6, 10), pictures(8, 4, count=2)):
        expected = run_reference(source, data)["y"]
        counts = []
        for execution in ("spiking", "fused", "streaming"):
            result = SpikingSession(tmp_path / "snn.onnx", execution=execution).run(data)
            np.testing.assert_allclose(result.outputs["y"], expected, rtol=1e-5, atol=1e-5)
            counts.append(([*map(list, result.spikes.values())], [*map(list, result.synops.values())]))
        assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("name", BODIES)
def test_networks_of_open_sizes_are_certified(name: str) -> None:
    source = network(BODIES[name])
    conversion = onnx2snn.convert(source, hybrid=name.startswith("joined"))
    certificate = onnx2snn.verify(source, conversion.model, pictures(6, 10))
    assert certificate.lossless
    assert sum(layer.levels_compared for layer in certificate.layers) > 0


def upscaler(height: str, width: str) -> onnx.ModelProto:
    """Every operator with weights whose multiply-accumulates depend on the size, and one whose do not."""
    model = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 21]> g (float[N,2,{height},{width}] x) => (float[N,3] y) {{
          c = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(x, w0) q = QuantizeLinear(c, s, z) d = DequantizeLinear(q, s, z)
          c2 = ConvTranspose<strides=[2,2], kernel_shape=[2,2]>(d, w1)
          q2 = QuantizeLinear(c2, s, z) d2 = DequantizeLinear(q2, s, z)
          p = ReduceMean<keepdims=0>(d2, space) y = MatMul(p, w3)
        }}"""
    )
    random = np.random.default_rng(0)
    shapes = {"w0": (4, 2, 3, 3), "w1": (4, 4, 2, 2), "w3": (4, 3)}
    held = {n: (random.integers(-8, 9, shape) / 16).astype(np.float32) for n, shape in shapes.items()}
    held |= {"s": np.array(0.25, np.float32), "z": np.array(0, np.uint8), "space": np.array([2, 3])}
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in held.items())
    return model


@pytest.mark.parametrize("execution", ["spiking", "fused", "int8", "streaming"])
def test_counts_rates_and_energy_are_those_of_the_data_s_sizes(execution: str) -> None:
    opened = onnx2snn.convert(upscaler("H", "W")).model.SerializeToString()
    session = SpikingSession(opened, execution=execution)
    for height, width in ((6, 8), (5, 3)):
        x = np.random.default_rng(1).integers(-8, 9, (3, 2, height, width)).astype(np.float32) / 8
        fixed = onnx2snn.convert(upscaler(str(height), str(width)))
        expected = SpikingSession(fixed.model.SerializeToString(), execution=execution).run({"x": x})
        found = session.run({"x": x})
        assert found.neurons == expected.neurons == {layer.name: layer.neurons for layer in fixed.layers}
        assert list(found.neurons.values()) == [4 * height * width, 16 * height * width]
        for name in ("ann", "snn", "analog"):
            np.testing.assert_array_equal(getattr(found.energy, name), getattr(expected.energy, name))
        assert found.energy.ann_layers.keys() == expected.energy.ann_layers.keys()
        for name, spent in expected.energy.ann_layers.items():
            np.testing.assert_array_equal(found.energy.ann_layers[name], spent)


def memories(rates: dict[str, Any]) -> list[float | None]:
    return [
        rates["energy"][width]["memory"][kind] for width in ("float32", "int8") for kind in ("snn", "ann")
    ]


def test_rates_of_a_data_set_are_by_the_neurons_that_there_were(tmp_path: Path) -> None:
    x = np.random.default_rng(1).integers(-8, 9, (3, 2, 6, 8)).astype(np.float32) / 8
    rates = []
    for height, width in (("H", "W"), ("6", "8")):
        path = tmp_path / f"{height}.onnx"
        onnx2snn.convert(upscaler(height, width)).save(path)
        rates.append(onnx2snn.evaluate(path, {"x": x}).to_dict())
    opened, fixed = (found["neurobench"].pop("footprint") for found in rates)
    assert opened > fixed  # constants that biases are computed from, while the network runs
    assert rates[0] == rates[1]
    assert None not in (rates[0]["neurobench"]["synaptic_operations"]["dense"], *memories(rates[0]))
    streamed = SpikingSession(tmp_path / "H.onnx").stream(batch=3)
    list(streamed.run([{"x": x}]))
    assert streamed.result is not None
    assert streamed.result.energy.ann[0] == rates[1]["energy"]["ann"]["mean"]


@pytest.mark.parametrize("change", [{"of": ["none"]}, {"layer": "none"}, {"factor": -1}, {"tensor": 3}])
def test_a_damaged_list_of_open_sizes_is_refused(change: dict[str, object]) -> None:
    table = read_layer_table(onnx2snn.convert(upscaler("H", "W"), check=False).model)
    read_table(json.dumps(table), VERSION)
    table["open_macs"][0] |= change
    with pytest.raises(ValueError, match="open_macs"):
        read_table(json.dumps(table), VERSION)
