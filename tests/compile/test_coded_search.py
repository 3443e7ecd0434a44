"""A code and one comparison find the level of every potential, one step of float32 beside thresholds, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_written import answered

from onnx2snn.activations.tables import reached
from onnx2snn.compile.coded_search import CodedSearch, coded_search

WIDTH = 511
DRAWS = np.random.default_rng(7)
GRID = np.arange(255) - 127.5
KEPT = np.sort(DRAWS.choice(255, 180, replace=False))


def table(*thresholds: Any) -> Any:
    """A row of thresholds, filled up."""
    row = np.full(WIDTH, np.inf, np.float32)
    held = np.concatenate([np.atleast_1d(t) for t in thresholds]).astype(np.float32)
    row[: len(held)] = np.sort(held)
    return row


TABLES = {
    "equal steps": table(GRID * 0.37),
    "a grid with some left out": table(GRID[KEPT] * 0.0123 + 4),
    "not quite on a grid": table(GRID[KEPT] * 2 + DRAWS.uniform(-0.3, 0.3, KEPT.size)),
    "several at one place": table(np.repeat(GRID[::3], 3)),
    "some are reached always": table([-np.inf] * 5, GRID[40:90] * 11),
    "one alone": table(0.3),
    "far from zero": table(4096 + GRID * 0.125),
    "very small ones": table(GRID * 1e-20),
}
ONE = np.zeros((1, 1), np.int64)


def levels(search: CodedSearch, v: Any, neuron: int = 0) -> Any:
    """What is written, run."""

    def write(at: Any) -> None:
        search.write_level(at, search.write(at, "v"), neuron, "v", "k")

    return answered(write, v)


def beside(*rows: Any) -> Any:
    """Thresholds, what float32 has on both sides of them, the borders of cells between them, and what lies beyond."""
    held = np.concatenate(rows)
    near = np.unique(held[np.isfinite(held)])
    borders = ((near[1:] + near[:-1]) / 2).astype(np.float32)
    some = np.concatenate([near, borders])
    ends = np.float32([-np.inf, -3e38, -1, -0.0, 0, 1e-40, 1, 3e38])
    between = DRAWS.uniform(2 * near.min() - 1, 2 * near.max() + 1, 500).astype(np.float32)
    return np.concatenate([some, np.nextafter(some, -ends[-1]), np.nextafter(some, ends[-1]), ends, between])[
        None
    ]


@pytest.mark.parametrize("row", TABLES.values(), ids=TABLES)
def test_every_potential_finds_its_level(row: Any) -> None:
    search = coded_search([(row[None], ONE)])
    assert search is not None
    v = beside(row)
    np.testing.assert_array_equal(levels(search, v), reached(row, v))


def test_neurons_that_read_one_potential_share_a_place() -> None:
    pair = TABLES["a grid with some left out"], table(np.setdiff1d(GRID, GRID[KEPT])[:9] * 0.0123 + 4)
    search = coded_search([(row[None], ONE) for row in pair])
    assert search is not None
    v = beside(*pair)
    for neuron, row in enumerate(pair):
        np.testing.assert_array_equal(levels(search, v, neuron), reached(row, v))


def test_channels_have_rows_and_cells_of_their_own() -> None:
    rows = np.stack([TABLES["equal steps"], TABLES["a grid with some left out"], TABLES["one alone"]])
    others = np.stack([table(GRID[:3] * 0.37), table(GRID[KEPT][-2:] * 0.0123 + 4), table(2.5)])
    at = np.int64([2, 0, 0, 1])
    search = coded_search([(rows, at.reshape(4, 1)), (others, at.reshape(4, 1))])
    assert search is not None
    assert len(search.thresholds) == 3 * 257  # channels that are alike have one row
    v = np.stack([DRAWS.permutation(beside(*rows)[0])[:900] for _ in at])[None]
    for neuron, held in enumerate((rows, others)):
        expected = np.stack([reached(held[i], v[0, c]) for c, i in enumerate(at)])
        np.testing.assert_array_equal(levels(search, v, neuron)[0], expected)


def test_rows_with_the_same_levels_hold_them_once() -> None:
    scales = np.float32([0.1, 0.37, 2.2, 900])
    for kept, look_ups in ((np.arange(255), 1), (KEPT, 2)):
        rows = np.stack([table(GRID[kept] * scale) for scale in scales])
        search = coded_search([(rows, np.arange(4).reshape(4, 1))])
        assert search is not None
        assert len(search.levels[0]) == 257
        v = np.stack([DRAWS.permutation(beside(row)[0])[:700] for row in rows])[None]
        expected = np.stack([reached(row, v[0, c]) for c, row in enumerate(rows)])
        np.testing.assert_array_equal(levels(search, v)[0], expected)
        operators: list[str] = []

        def write(at: Any, search: CodedSearch = search) -> None:
            search.write_level(at, search.write(at, "v"), 0, "v", "k")

        answered(write, v, operators)
        assert operators.count("GatherElements") == look_ups


def silu_steps(scale: float) -> Any:
    """Where x·σ(x) rises by a level, right of its minimum: nowhere alike."""
    x = np.linspace(-1.2784645, 30, 400_001)
    y = x / (1 + np.exp(-x))
    return table(np.interp(y[0] + scale * (np.arange(255) + 0.5), y, x))


CURVED = {
    "a square root": table(np.sqrt(np.arange(1, 256)) - 3),
    "SiLU": silu_steps(0.02),
    "SiLU of a few levels and a coarse one": silu_steps(0.11),
    "more than a byte has codes": table(np.arange(300)),
    "some are reached always": table([-np.inf] * 3, 0.1 * np.arange(200) ** 1.3),
}


@pytest.mark.parametrize("row", CURVED.values(), ids=CURVED)
def test_sixteen_bits_find_the_levels_of_curved_functions(row: Any) -> None:
    search = coded_search([(row[None], ONE)], wide=True)
    assert search is not None
    assert 256 < search.cells <= 4096
    v = beside(row)
    np.testing.assert_array_equal(levels(search, v), reached(row, v))
    always = float((row == -np.inf).sum())
    assert levels(search, np.full((1, 9), np.nan, np.float32)).tolist() == [[always] * 9]
    assert coded_search([(row[None], ONE)]) is None


def test_channels_may_need_cells_of_many_widths() -> None:
    rows = np.stack([CURVED["SiLU"], TABLES["one alone"], CURVED["a square root"], TABLES["equal steps"]])
    search = coded_search([(rows, np.arange(4).reshape(4, 1))], wide=True)
    assert search is not None
    v = np.stack([DRAWS.permutation(np.resize(beside(row)[0], 1500)) for row in rows])[None]
    expected = np.stack([reached(row, v[0, c]) for c, row in enumerate(rows)])
    np.testing.assert_array_equal(levels(search, v)[0], expected)


def test_no_number_reaches_no_threshold() -> None:
    search = coded_search([(TABLES["some are reached always"][None], ONE)])
    assert search is not None
    assert levels(search, np.full((1, 64), np.nan, np.float32)).tolist() == [[5.0] * 64]


@pytest.mark.parametrize(
    "row",
    [
        table(np.sqrt(np.arange(1, 256)) - 3),  # several in one cell
        table(np.arange(300)),  # more than a byte has codes
        table(np.append(GRID, np.nextafter(np.float32(0.5), np.float32(1)))),
        table(1e7 + np.arange(8)),  # float32 has no room between them
        table(np.inf),
        table(0.0, np.nextafter(np.float32(0), np.float32(1))),  # no width of a cell is a number of float32
    ],
)
def test_thresholds_without_cells_of_their_own_are_found_otherwise(row: Any) -> None:
    assert coded_search([(row[None], ONE)]) is None


@pytest.mark.parametrize(
    "row",
    [
        table(np.append(GRID, np.nextafter(np.float32(0.5), np.float32(1)))),
        table(1e7 + np.arange(8)),
        table(np.inf),
    ],
)
def test_no_code_tells_thresholds_apart_that_lie_side_by_side(row: Any) -> None:
    assert coded_search([(row[None], ONE)], wide=True) is None


def test_more_rows_than_a_memory_holds_are_found_otherwise() -> None:
    many = np.stack([table(GRID + n) for n in range(1100)])
    assert coded_search([(many, np.arange(1100).reshape(1100, 1))]) is None
