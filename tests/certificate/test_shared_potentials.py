"""Levels of neurons that share a potential, where the source's operators took the other side of a threshold."""

from __future__ import annotations

import numpy as np

from onnx2snn.activations import Table
from onnx2snn.certificate.reading import ReadActivation
from onnx2snn.certificate.shared_potentials import settled


def test_the_neuron_nearest_to_a_threshold_takes_what_is_missing() -> None:
    one, none = np.ones(()), np.zeros(2)
    rising, falling = (
        Table(np.array(edges), none > 0, none, one, 0 * one, scale * one, 0 * one)
        for edges, scale in (([-1.0, 2.0], 1.0), ([-3.0, 0.0], -1.0))
    )
    parts = [ReadActivation(name, table, 1) for name, table in (("k", rising), ("k'", falling))]
    z = np.array([[1.9999, -3.0001, 0.0, 1.0]], np.float32)
    levels = [table.level(z).astype(np.float32) for table in (rising, falling)]
    wanted = [
        [2, 0, 1, 1],
        [2, 1, 1, 2],
    ]  # the third has passed its threshold no more, the fourth is as it was
    total = np.array([[0, -1, 0, -1]]) + falling.ceilings
    settled(z, parts, levels, total)
    np.testing.assert_array_equal(np.concatenate(levels), wanted)
