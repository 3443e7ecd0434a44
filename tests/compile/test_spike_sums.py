"""Sums of spikes are those of the ones in each level's binary code, times what each neuron counts for."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx2snn.compile.draft import Draft
from onnx2snn.compile.one_node import session_of
from onnx2snn.compile.spike_sums import SpikeSums
from onnx2snn.model.weights import split_model
from onnx2snn.runtime.target import Target


def written(sums: SpikeSums, *, quick: bool, counts: bool = False) -> onnx.ModelProto:
    shape = ["N", *sums.sizes[1:]]
    ends = (
        [helper.make_tensor_value_info("k", 1, shape)],
        [helper.make_tensor_value_info("s", TensorProto.DOUBLE, None)],
    )
    model = helper.make_model(
        helper.make_graph([], "sums", *ends), opset_imports=[helper.make_opsetid("", 17)]
    )
    draft = Draft(split_model(model), Target(elements=quick))
    at = draft.at("s")
    made = sums.of_counts(at, "k") if counts else sums.of_levels(at, "k", quick=quick)
    column = at.constant([1], np.int64)
    at.end("Concat", [at.add("Unsqueeze", [one, column]) for one in made], axis=1)
    return draft.finished().whole()


COLUMNS = {
    "all alike": lambda sizes: np.ones((1, *(1,) * len(sizes))),
    "by place": lambda sizes: np.random.default_rng(0).integers(0, 9, (2, 1, 1, *sizes[2:])),
    "by channel": lambda sizes: np.random.default_rng(1).integers(
        0, 9, (2, 1, sizes[1], *(1,) * len(sizes[2:]))
    ),
    "by both": lambda sizes: np.random.default_rng(2).integers(0, 9, (3, 1, *sizes[1:])),
    "by row": lambda sizes: np.random.default_rng(3).integers(0, 9, (1, sizes[0], *(1,) * len(sizes[1:]))),
}


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 8, 11, 17])
@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("sizes", [(1, 12, 3, 5), (1, 7), (2, 6, 4)])
def test_sums_of_levels(timesteps: int, kind: str, sizes: tuple[int, ...]) -> None:
    columns = COLUMNS[kind](sizes).astype(np.float64)
    sums = SpikeSums(sizes, columns, timesteps)
    levels = np.random.default_rng(timesteps).integers(0, 2**timesteps, (3 * sizes[0], *sizes[1:]))
    ones = np.zeros_like(levels)
    for bit in range(timesteps):
        ones += levels >> bit & 1
    whole = np.broadcast_to(columns, (len(columns), *sizes)).reshape(len(columns), -1)
    expected = ones.reshape(3, -1) @ whole.T
    for quick in (True, False):
        found = session_of(written(sums, quick=quick)).run(None, {"k": levels.astype(np.float32)})[0]
        np.testing.assert_array_equal(found, expected)
    counted = session_of(written(sums, quick=False, counts=True)).run(None, {"k": ones.astype(np.float32)})[0]
    np.testing.assert_array_equal(counted, expected)


def borders(channels: int) -> np.ndarray:
    """As of a convolution: in each channel, places near a border count for less."""
    near = np.array([2, 3, 3, 3, 3, 3, 2])
    more = np.random.default_rng(0).integers(0, 5, (2, 1, channels, 1, 1))
    return near[:, None] * near + more * (near == 3)


@pytest.mark.parametrize("timesteps", [1, 4, 17])
def test_places_of_one_kind_are_summed_together(timesteps: int) -> None:
    sums = SpikeSums((1, 6, 7, 7), borders(6).astype(np.float64), timesteps)
    levels = np.random.default_rng(1).integers(0, 2**timesteps, (3, 6, 7, 7))
    ones = sum(levels >> bit & 1 for bit in range(timesteps))
    expected = np.einsum("ncyx,jcyx->nj", ones, sums.columns[:, 0])
    for quick in (True, False):
        model = written(sums, quick=quick)
        found = session_of(model).run(None, {"k": levels.astype(np.float32)})[0]
        np.testing.assert_array_equal(found, expected)
    assert max(np.prod(t.dims) for t in model.graph.initializer) < levels[0].size


@pytest.mark.parametrize("timesteps", [4, 8])
def test_channels_last(timesteps: int) -> None:
    sizes = (1, 6, 4, 5)
    columns = COLUMNS["by channel"](sizes).astype(np.float64)
    counts = np.random.default_rng(0).integers(0, timesteps + 1, (2, *sizes[1:]))
    sums = SpikeSums(sizes, columns, timesteps)
    model = written(sums.channels_last(), quick=False, counts=True)
    found = session_of(model).run(None, {"k": np.moveaxis(counts, 1, -1).astype(np.float32)})[0]
    whole = np.broadcast_to(columns, (2, *sizes)).reshape(2, -1)
    np.testing.assert_array_equal(found, counts.reshape(2, -1) @ whole.T)


def test_sums_that_float32_would_not_hold() -> None:
    """Of 2²³ spikes in each of three columns of a row, and one."""
    sums = SpikeSums((1, 1 << 20), np.ones((1, 1, 1)), 17)
    levels = np.full((1, 1 << 20), 2**17 - 1, np.float32)
    levels[0, 0] = 1
    found = session_of(written(sums, quick=True)).run(None, {"k": levels})[0]
    assert found.item() == 17 * ((1 << 20) - 1) + 1
