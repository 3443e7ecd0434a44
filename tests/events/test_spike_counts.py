"""Spikes that are counted in one reading of a layer's levels."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from onnx2snn.compile.spike_sums import SpikeSums
from onnx2snn.events.channels_last import last
from onnx2snn.events.programs import loop
from onnx2snn.events.spike_counts import counted


def columns_of(kind: str, sizes: tuple[int, ...]) -> np.ndarray:
    """Along which axes neurons differ: those named, of rows, channels and places."""
    axes = [
        size if name in kind else 1 for name, size in zip(("rows", "channels", "places"), sizes, strict=False)
    ]
    axes += [size if "places" in kind else 1 for size in sizes[3:]]
    return np.random.default_rng(len(kind)).integers(0, 99, (2, *axes)).astype(np.float64)


@pytest.mark.parametrize("timesteps", [1, 4, 8, 20])
@pytest.mark.parametrize(
    "kind", ["none", "rows", "channels", "places", "channels places", "rows channels places"]
)
@pytest.mark.parametrize("sizes", [(1, 12, 3, 5), (1, 7), (2, 6, 4), (5,)])
def test_sums_of_levels(timesteps: int, kind: str, sizes: tuple[int, ...]) -> None:
    columns = columns_of(kind, sizes)
    levels = np.random.default_rng(timesteps).integers(0, 2**timesteps, (3 * sizes[0], *sizes[1:]))
    ones = sum(levels >> bit & 1 for bit in range(timesteps))
    expected = np.einsum(
        "ni,ji->jn", ones.reshape(3, -1), np.broadcast_to(columns, (2, *sizes)).reshape(2, -1)
    )
    step = loop(("k",), ("spikes", "synops"), counted(SpikeSums(sizes, columns, timesteps)), None)
    np.testing.assert_array_equal(step.run(last(levels.astype(np.float32))), expected)


def test_one_column() -> None:
    sums = SpikeSums((1, 3), np.ones((1, 1, 1)), 2)
    (found,) = loop(("k",), ("spikes",), counted(sums), None).run(
        np.array([[3, 0, 2], [0, 0, 0]], np.float32)
    )
    np.testing.assert_array_equal(found, [3, 0])
