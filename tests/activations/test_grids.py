"""Grids of values, a channel each."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.activations.grids import Grid


@pytest.mark.parametrize("channel", [None, 0, 2])
def test_a_grid_holds_its_own_values(channel: int | None) -> None:
    grid = Grid(np.array([0.5, 0.3, 2.0]), np.array([0.0, 0.1, -1.0]))
    values = (np.arange(-4, 5)[:, None] * grid.scale + grid.shift).astype(np.float32)
    if channel is not None:
        values[3, channel] += 0.25 * grid.scale[channel]
    assert grid.holds(values) == (channel is None)
