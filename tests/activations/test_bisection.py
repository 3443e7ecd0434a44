"""Steps are kept as long as there is room."""

from __future__ import annotations

import numpy as np

from onnx2snn.activations.bisection import KeptSteps, Steps


def steps(count: int) -> Steps:
    held = [np.zeros((count, 1), kind) for kind in (np.float64, np.bool_, np.float64, np.int64)]
    return Steps(*held, np.zeros(1, np.int64))


def test_what_is_kept_is_not_looked_for_again() -> None:
    asked: list[str] = []

    def find(key: str, count: int = 4) -> Steps:
        return kept.get(key, lambda: asked.append(key) or steps(count))

    kept = KeptSteps(most=3 * steps(4).size)
    first = find("a")
    assert find("a") is first
    assert asked == ["a"]
    find("b")
    find("c")
    find("a")
    find("d")  # in place of b, the one that was not asked for
    find("a")
    find("c")
    assert asked == ["a", "b", "c", "d"]
    find("b")
    assert asked[-1] == "b"


def test_what_has_no_room_is_found_all_the_same() -> None:
    kept = KeptSteps(most=10)
    assert kept.get("a", lambda: steps(4)).edges.shape == (4, 1)
    assert kept.get("a", lambda: steps(5)).edges.shape == (5, 1)
