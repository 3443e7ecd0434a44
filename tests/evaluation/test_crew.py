"""Three ways to have work done: the same results, whoever works and whoever dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from onnx2snn.errors import InputError, Onnx2SnnError
from onnx2snn.evaluation.crew import here, in_processes, on_ray

ITEMS = list(range(23))
SQUARES = [item * item for item in ITEMS]


def square(item: int) -> int:
    return item * item


def die_once(folder: Path, item: int) -> int:
    """The first worker that meets item 7 is killed, as by a machine that runs out of memory."""
    mark = folder / "died"
    if item == 7 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(item)


def always_die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def refuse(item: int) -> int:
    raise InputError("holds NaN", found=f"sample {item}", remedy="remove it")


def streamed(seen: list[int]) -> Iterator[int]:
    for item in ITEMS:
        seen.append(item)
        yield item


def test_here() -> None:
    assert list(here(square, ITEMS)) == SQUARES


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_do_every_item_once(workers: int) -> None:
    assert sorted(in_processes(square, ITEMS, workers=workers)) == SQUARES


def test_items_are_taken_as_they_are_needed() -> None:
    seen: list[int] = []
    results = in_processes(square, streamed(seen), workers=2)
    next(results)
    assert len(seen) <= 4
    results.close()  # type: ignore[attr-defined]


def test_items_of_a_process_that_dies_are_done_again(tmp_path: Path) -> None:
    assert sorted(set(in_processes(partial(die_once, tmp_path), ITEMS, workers=2))) == SQUARES
    assert (tmp_path / "died").exists()


def test_processes_that_keep_dying_are_given_up() -> None:
    with pytest.raises(Onnx2SnnError, match="died 4 times"):
        list(in_processes(always_die, ITEMS[:1], workers=1))


def test_an_error_keeps_what_it_says_on_its_way_out_of_a_process() -> None:
    with pytest.raises(InputError) as caught:
        list(in_processes(refuse, ITEMS[:1], workers=1))
    assert (caught.value.found, caught.value.remedy) == ("sample 0", "remove it")


@pytest.fixture
def cluster(ray_cluster: str) -> str:
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import the tests
    return ray_cluster


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")
class TestRay:
    """A local cluster of two nodes."""

    def test_a_worker_that_dies_changes_nothing(self, cluster: str, tmp_path: Path) -> None:
        assert sorted(on_ray(partial(die_once, tmp_path), ITEMS, address=cluster)) == SQUARES
        assert (tmp_path / "died").exists()

    def test_an_error_keeps_what_it_says(self, cluster: str) -> None:
        with pytest.raises(InputError) as caught:
            list(on_ray(refuse, ITEMS[:1], address=cluster))
        assert caught.value.remedy == "remove it"


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_answer_is_explained() -> None:
    ray = pytest.importorskip("ray", reason="needs Ray (extra cluster)")
    ray.shutdown()
    with pytest.raises(Onnx2SnnError, match="no Ray cluster answers"):
        list(on_ray(square, ITEMS, address="127.0.0.1:1"))


def test_ray_that_is_not_there_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Onnx2SnnError, match="needs Ray"):
        list(on_ray(square, ITEMS, address="auto"))
