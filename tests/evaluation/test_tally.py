"""Partial results: any order of merging gives the same bits."""

from __future__ import annotations

import json
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnx2snn.errors import InputError
from onnx2snn.evaluation.state import Progress
from onnx2snn.evaluation.tally import Moments, Tally

FLOATS = arrays.arrays(np.float64, st.integers(1, 6), elements=st.floats(-1e12, 1e12))


@given(parts=st.lists(FLOATS, min_size=1, max_size=6), order=st.randoms())
def test_the_order_of_merging_does_not_matter(parts: list[np.ndarray], order: object) -> None:
    moments = [Moments.of(part) for part in parts]
    shuffled = list(moments)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert reduce(add, moments, Moments()) == reduce(add, shuffled) == Moments.of(np.concatenate(parts))


@given(values=FLOATS)
def test_mean_and_spread_are_numpys(values: np.ndarray) -> None:
    moments = Moments.of(values)
    scale = max(float(np.max(np.abs(values))), 1e-300)
    assert moments.mean == pytest.approx(np.mean(values), abs=1e-12 * scale)
    assert moments.std == pytest.approx(np.std(values), abs=1e-7 * scale)
    assert (moments.low, moments.high) == (values.min(), values.max())


@given(values=FLOATS, counts=st.lists(st.integers(0, 2**62), min_size=1, max_size=5))
def test_a_state_file_keeps_every_bit(values: np.ndarray, counts: list[int]) -> None:
    tally = Tally(5, 5, 3, {"energy/snn": Moments.of(values), "spikes": Moments.of(np.array(counts))})
    assert Tally.from_state(json.loads(json.dumps(tally.to_state()))) == tally


def progress(**task: str) -> Progress[Tally]:
    return Progress({"model": "m", "data": "d"} | task, batch=10, total=45, tally=Tally())


def test_pending_ranges_leave_out_what_is_done() -> None:
    state = progress()
    assert list(state.pending()) == [(0, 45)]
    for start in (10, 40):
        state.add(start, Tally(10))
        state.add(start, Tally(10))
    assert state.tally.samples == 20
    assert list(state.pending()) == [(0, 10), (20, 40)]


def test_a_run_takes_over_where_another_stopped(tmp_path: Path) -> None:
    first = progress()
    first.add(20, Tally(10, 10, 9, {"spikes": Moments.of(np.arange(10))}))
    first.save(tmp_path / "state.json")
    second = progress()
    second.load(tmp_path / "state.json")
    assert (second.done, second.tally) == (first.done, first.tally)
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_the_state_of_another_evaluation_is_refused(tmp_path: Path) -> None:
    progress().save(tmp_path / "state.json")
    with pytest.raises(InputError, match="another model"):
        progress(model="other").load(tmp_path / "state.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": 1, "done": [], "tally": {}}', "null"])
def test_a_damaged_state_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match="not a state file"):
        progress().load(tmp_path / "state.json")
