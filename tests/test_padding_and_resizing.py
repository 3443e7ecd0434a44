"""Pad that crops, and Resize that fills or places its samples in an old way: converted, and equal to the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.errors import ConversionError
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

CROP_AND_RESIZE = (
    'Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value={}>'
)
BODIES = {
    "cropped by a negative pad": (21, "u = Pad(d, crop)"),
    "cropped along named axes": (21, "u = Pad(d, crop2, , space)"),
    "reflected and cropped": (21, 'u = Pad<mode="reflect">(d, crop)'),
    "cropped and filled": (21, "u = Pad(d, crop, half)"),
    "filled outside of the picture": (21, f"u = {CROP_AND_RESIZE.format(1.0)}(d, region, factors)"),
    "filled below zero": (21, f"u = {CROP_AND_RESIZE.format(-0.5)}(d, region, factors)"),
    "nearest as TensorFlow floors": (
        11,
        'u = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor">(d, none, uneven)',
    ),
    "nearest as TensorFlow rounds": (
        11,
        'u = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn">(d, none, uneven)',
    ),
}


def network(opset: int, body: str) -> onnx.ModelProto:
    random = np.random.default_rng(0)

    def dyadic(*shape: int) -> np.ndarray:
        return (random.integers(-8, 9, shape) / 16).astype(np.float32)

    per_sample = (
        "p = ReduceSum<keepdims=0, axes=[2,3]>(d2)" if opset < 13 else "p = ReduceSum<keepdims=0>(d2, space)"
    )
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]> g (float[N,2,6,10] x) => (float[N,3] y) {{
      c = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(x, w0)
      q = QuantizeLinear(c, s, z)
      d = DequantizeLinear(q, s, z)
      {body}
      c2 = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(u, w2)
      q2 = QuantizeLinear(c2, s, z)
      d2 = DequantizeLinear(q2, s, z)
      {per_sample}
      y = MatMul(p, w3)
    }}"""
    model = onnx.parser.parse_model(text)
    arrays = {"w0": dyadic(4, 2, 3, 3), "w2": dyadic(4, 4, 3, 3), "w3": dyadic(4, 3), "s": np.float32(0.25)}
    arrays |= {
        "z": np.uint8(0),
        "space": np.array([2, 3]),
        "half": np.float32(0.5),
        "none": np.zeros(0, np.float32),
    }
    arrays |= {"crop": np.array([0, 0, -1, 2, 0, 0, 2, -1]), "crop2": np.array([-1, 2, 2, -1])}
    arrays |= {"region": np.array([0, 0, 0.1, 0.2, 1, 1, 0.9, 1.2], np.float32)}
    arrays |= {
        "factors": np.array([1, 1, 2, 2], np.float32),
        "uneven": np.array([1, 1, 2.3, 0.75], np.float32),
    }
    read = {name for node in model.graph.node for name in node.input}
    for name in sorted(read & set(arrays)):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(arrays[name]), name))
    return model


@pytest.mark.parametrize("name", BODIES)
def test_it_is_converted_and_certified(name: str, tmp_path: Path) -> None:
    source = network(*BODIES[name])
    data = {"x": (np.random.default_rng(1).integers(-16, 17, (5, 2, 6, 10)) / 8).astype(np.float32)}
    conversion = onnx2snn.convert(source)
    conversion.save(tmp_path / "snn.onnx")
    expected = run_reference(source, data)["y"]
    for execution, backend in (("spiking", "onnxruntime"), ("fused", "onnxruntime"), ("spiking", "numpy")):
        found = SpikingSession(tmp_path / "snn.onnx", execution=execution, backend=backend).run(data)
        np.testing.assert_allclose(found.outputs["y"], expected, rtol=1e-5, atol=1e-5)
    assert onnx2snn.verify(source, conversion.model, data).lossless


def test_what_has_no_form_in_later_operator_sets_is_refused_by_name() -> None:
    body = 'u = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="ceil">(d, none, uneven)'
    with pytest.raises(ConversionError, match="tf_half_pixel_for_nn") as caught:
        onnx2snn.convert(network(11, body))
    assert caught.value.node == "u"
    assert onnx2snn.convert(network(11, body.replace("tf_half_pixel_for_nn", "half_pixel"))).layers
