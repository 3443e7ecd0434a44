"""What is called exact is equal for every input: not where the source itself takes either side of a threshold."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.parser import parse_model

import onnx2snn


def wiggling(read: str) -> onnx.ModelProto:
    """1 from 1 on, but for two numbers of float32 that are a little larger, of whole numbers x0 + x1·2⁻²⁰."""
    text = """
        <ir_version: 8, opset_import: ["" : 17]>
        agraph (float[N, 2] x) => (float[N, 2] y)
        <float from = {1.0}, float to = {1.0000019073486328}, float again = {1.0000038146972656}, float low = {0},
         float high = {7}, int64[1] axes = {1}, float[2, 2] w = {1, 0, 0, 0.00000095367431640625}, float[1, 2] v = {1, 1}>
        {
            a = Round(x)
            b = Clip(a, low, high)
            c = MatMul(b, w)
            z = ReduceSum<keepdims = 1>(c, axes)
            p = READ(z)
            d = GreaterOrEqual(p, from)
            e = GreaterOrEqual(p, to)
            f = GreaterOrEqual(p, again)
            g = Cast<to = 1>(d)
            h = Cast<to = 1>(e)
            i = Cast<to = 1>(f)
            j = Sub(g, h)
            k = Add(j, i)
            y = Mul(k, v)
        }"""
    return parse_model(text.replace("READ", read))


def test_a_table_that_the_source_decides_by_its_last_bits_is_not_called_exact() -> None:
    """Its potential is exact; levels differ within the two numbers, and are reported."""
    source = wiggling("Abs")  # what reads the potential rounds it, for all that is known
    converted = onnx2snn.convert(source)
    assert not any(layer.exact for layer in converted.layers)
    x = np.array([[0, 7], [1, 0], [1, 2], [1, 3], [1, 4], [2, 0]], np.float32)
    certificate = onnx2snn.verify(source, converted, {"x": x})
    assert not certificate.exact
    assert certificate.layers[0].unexplained == 0


def test_steps_at_constants_that_it_is_compared_with_are_no_matter_of_last_bits() -> None:
    source = wiggling("Identity")
    converted = onnx2snn.convert(source)
    assert all(layer.exact for layer in converted.layers)
    x = np.array([[0, 7], [1, 0], [1, 2], [1, 3], [1, 4], [2, 0]], np.float32)
    certificate = onnx2snn.verify(source, converted, {"x": x})
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
