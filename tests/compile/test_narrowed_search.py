"""What a look-up leaves of a table's search finds the level of every potential, one step of float32 beside thresholds, too."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from helpers_graphs import node
from helpers_written import answered

from onnx2snn.activations.tables import reached
from onnx2snn.compile.narrowed_search import CountedThresholds, NarrowedSearch, narrowed_search
from onnx2snn.compile.thresholds import Thresholds

T = 8
WIDTH = 2**T - 1
DRAWS = np.random.default_rng(5)
STEPS = np.arange(1, WIDTH + 1, dtype=np.float64)


class Held:
    """The constants of a neuron."""

    def __init__(self, table: Any, rows: Any) -> None:
        self._values = {"thresholds": table, "rows": rows}

    def value(self, name: str) -> Any:
        """One of them."""
        return self._values.get(name)


def found(table: Any, rows: Any) -> NarrowedSearch | CountedThresholds | None:
    """The search of a neuron with ``table`` (rows, 2^T − 1)."""
    neuron = node("TableIF", ["v", "b", "thresholds", "rows"], ["s"], timesteps=T, domain="onnx2snn")
    return narrowed_search(cast("Any", Held(table.astype(np.float32).ravel(), rows)), neuron)


def levels(search: NarrowedSearch | CountedThresholds, v: Any) -> Any:
    """What is written, run."""
    return answered(lambda at: search.write(at, "v", "k"), v)


def beside(table: Any) -> Any:
    """The thresholds, what float32 has on both sides of them, and all between and beyond."""
    near = table[np.isfinite(table)].astype(np.float32)
    ends = np.float32([-np.inf, -3e38, -1, -0.0, 0, 1e-40, 1, 3e38])
    between = DRAWS.uniform(2 * near.min() - 1, 2 * near.max() + 1, 500).astype(np.float32)
    return np.concatenate([near, np.nextafter(near, -ends[-1]), np.nextafter(near, ends[-1]), ends, between])


TABLES = {
    "equal steps": STEPS * 0.37,
    "a bent curve": np.sqrt(STEPS) - 3,
    "a curve that comes to rest": -5.0 + 0.1 * STEPS + 3 * np.tanh((STEPS - 120) / 9),
    "several at one place": np.repeat(np.arange(51), 5) * 0.25,
    "two neighbours of float32": np.sort(
        np.append(STEPS[:-1] * 0.5, np.nextafter(np.float32(10), np.float32(11)))
    ),
    "some are reached always, some never": np.concatenate([[-np.inf] * 3, STEPS[3:-20], [np.inf] * 20]),
    "one alone": np.concatenate([[0.3], [np.inf] * (WIDTH - 1)]),
    "three": np.concatenate([[-2, -2, 0.3], [np.inf] * (WIDTH - 3)]),
    "far from zero": 4096.0 + STEPS * 0.125,
    "very small ones": STEPS * 1e-30,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_potential_finds_its_level(table: Any) -> None:
    search = found(table[None], np.zeros(1, np.int64))
    assert search is not None
    assert isinstance(search, CountedThresholds) or search.steps <= 4
    v = beside(table)
    np.testing.assert_array_equal(levels(search, v), reached(table.astype(np.float32), v))


def test_channels_have_rows_of_their_own() -> None:
    rows = np.stack([TABLES["equal steps"], TABLES["a bent curve"], TABLES["one alone"]])
    at = np.int64([2, 0, 0, 1]) * WIDTH
    search = found(rows, at.reshape(4, 1))
    assert search is not None
    v = np.stack([DRAWS.permutation(beside(rows))[:900] for _ in at])[None]
    expected = np.stack([reached(rows[i].astype(np.float32), v[0, c]) for c, i in enumerate(at // WIDTH)])
    np.testing.assert_array_equal(levels(search, v)[0], expected)


def test_no_number_reaches_nothing() -> None:
    search = found(TABLES["a bent curve"][None], np.zeros(1, np.int64))
    assert search is not None
    assert levels(search, np.float32([np.nan, np.inf, 20])).tolist() == [0, WIDTH, WIDTH]


@pytest.mark.parametrize(
    "table",
    [
        np.geomspace(1e-30, 1e30, WIDTH),  # all but some in the first bucket
        np.full(WIDTH, np.inf),
    ],
)
def test_where_buckets_do_not_help_the_neuron_searches_itself(table: Any) -> None:
    assert found(table[None], np.zeros(1, np.int64)) is None


def test_more_rows_than_a_memory_holds_are_searched() -> None:
    many = np.broadcast_to(TABLES["equal steps"], (1000, WIDTH)) + np.arange(1000)[:, None]
    assert found(many, np.arange(1000) * WIDTH) is None


@pytest.mark.parametrize("moved", [-0.5, -0.25, 0.0], ids=["to the nearest", "below it", "down"])
@pytest.mark.parametrize("theta", [1.0, 0.0110276, 3.3e4])
def test_a_neuron_that_subtracts_has_a_table(theta: float, moved: float) -> None:
    subtract = np.float32(theta) * 2.0 ** np.arange(T - 1, -1, -1, dtype=np.float32)
    compare = (subtract + np.float32(moved * theta)).astype(np.float32)
    neuron = Thresholds(compare[:, None], subtract[:, None], np.float32([200.6 * theta]))
    table = neuron.table
    assert table is not None
    assert np.isfinite(table).sum() in (200, 201)
    v = beside(table)
    np.testing.assert_array_equal(reached(table[0], v), neuron.levels(v[:, None])[:, 0])


def test_a_neuron_whose_subtractions_round_has_none_that_is_known() -> None:
    subtract = np.float32([8, 1, 0.1])[:, None]
    assert Thresholds(subtract, subtract, np.float32([20])).table is None
