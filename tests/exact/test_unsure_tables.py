"""What is called exact is equal for every input: not where the source itself takes either side of a threshold."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.parser import parse_model

import onnx2snn


def wiggling() -> onnx.ModelProto:
    """1 from 1 on, but for two numbers of float32 that are a little larger, of whole numbers x0 + x1·2⁻²⁰."""
    return parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        agraph (float[N, 2] x) => (float[N, 2] y)
        <float from = {1.0}, float to = {1.0000019073486328}, float again = {1.0000038146972656}, float low = {0},
         float high = {7}, int64[1] axes = {1}, float[2, 2] w = {1, 0, 0, 0.00000095367431640625}, float[1, 2] v = {1, 1}>
        {
            a = Round(x)
            b = Clip(a, low, high)
            c = MatMul(b, w)
            z = ReduceSum<keepdims = 1>(c, axes)
            d = GreaterOrEqual(z, from)
            e = GreaterOrEqual(z, to)
            f = GreaterOrEqual(z, again)
            g = Cast<to = 1>(d)
            h = Cast<to = 1>(e)
            i = Cast<to = 1>(f)
            j = Sub(g, h)
            k = Add(j, i)
            y = Mul(k, v)
        }""")


def test_a_table_that_the_source_decides_by_its_last_bits_is_not_called_exact() -> None:
    """Its potential is exact; levels differ within the two numbers, and are reported."""
    source = wiggling()
    converted = onnx2snn.convert(source)
    assert [layer.exact for layer in converted.layers] == [False]
    x = np.array([[0, 7], [1, 0], [1, 2], [1, 3], [1, 4], [2, 0]], np.float32)
    certificate = onnx2snn.verify(source, converted, {"x": x})
    assert not certificate.exact
    assert certificate.layers[0].unexplained == 0
