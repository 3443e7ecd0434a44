"""The constants of a neuron, read entry by entry."""

from __future__ import annotations

import numpy as np

from onnx2snn.compile.thresholds import Thresholds


def test_thresholds_by_channel_and_a_ceiling_by_place() -> None:
    """Each entry has the level of its own comparisons; together they have the shape of a sample, whoever has fewest axes."""
    powers = np.float32([4, 2, 1]).reshape(3, 1, 1)
    steps = np.float32([1, 2]).reshape(1, 2, 1)
    ceiling = np.float32([[7, 5, 3], [14, 4, 2]])
    neuron = Thresholds(powers * steps, powers * steps, ceiling)
    potentials = np.float32([[9, 9, 1.5], [9, 9, 1]])
    assert neuron.flat.levels(potentials.reshape(-1)).tolist() == [7, 5, 1, 4, 2, 0]
    table = neuron.table
    assert table is not None
    assert table.shape == (6, 7)
