"""Grids of values, a channel each."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.activations.grids import Grid


@pytest.mark.parametrize("channel", [None, 0, 2])
def test_a_grid_holds_its_own_values(channel: int | None) -> None:
    grid = Grid(np.array([0.5, 0.3, 2.0]), np.array([0.0, 0.1, -1.0]))
    values = (np.arange(-4, 5)[:, None] * grid.scale + grid.shift).astype(np.float32)
    if channel is not None:
        values[3, channel] += 0.25 * grid.scale[channel]
    assert grid.holds(values) == (channel is None)


@pytest.mark.parametrize("ratio", [10.0, 10.0007])
def test_a_grid_of_two_units_is_read_where_float32_cannot_tell_it_from_their_values(ratio: float) -> None:
    """A ratio near a whole number is none."""
    unit = np.float32(0.17977905)
    climbed = np.concatenate([np.arange(64) * unit, 63 * unit + np.arange(1, 64) * np.float32(ratio * unit)])
    assert (Grid.read(climbed[:, None].astype(np.float32), few=False) is not None) == (ratio == 10)


def test_a_sum_of_two_units_is_a_neuron_of_each() -> None:
    source = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        agraph (float[N, 3] x) => (float[N, 3] y)
        <float u = {0.17977905}, float v = {1.7979126}, float low = {0}, float high = {63}, float half = {0.5},
         float other = {63.5}, float[3, 3] w = {1, -1, 0.5, 2, 1, -1, 0.5, 0.25, 1}>
        {
            z = MatMul(x, w)
            a = Add(z, other)
            b = Floor(a)
            c = Clip(b, low, high)
            d = Mul(c, u)
            e = Add(z, half)
            f = Floor(e)
            g = Clip(f, low, high)
            h = Mul(g, v)
            s = Add(d, h)
            y = MatMul(s, w)
        }""")
    x = np.random.default_rng(0).normal(0, 20, (40, 3)).astype(np.float32)
    certificate = onnx2snn.verify(source, onnx2snn.convert(source), {"x": x})
    assert certificate.lossless
    assert certificate.max_abs_error < 1e-4
