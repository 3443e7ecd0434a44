"""Steps one by one, and compiled together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("numba")

from onnx2snn.events.programs import EventStep, Run, Spelled, loop, program, together


def doubled(read: str, written: str) -> EventStep:
    return loop((read,), (written,), Spelled("{w0} = {r0} * {k0}", (np.float32(2),)), None)


def few(read: str, written: str, otherwise: Run | None = None) -> EventStep:
    """Adds one, where there are few ones."""
    text = "ok = ok and np.count_nonzero({r0}) < 3\n{w0} = {r0} + {k0}"
    return loop((read,), (written,), Spelled(text, (np.ones(4, np.float32),)), otherwise)


def apart(read: str, written: str) -> EventStep:
    return EventStep((read,), (written,), lambda x: (x - 1,))


X = np.array([[1, 0, 0, 0], [0, 0, 0, 2]], np.float32)


def test_a_program_runs_its_steps_in_order() -> None:
    steps = [doubled("x", "a"), apart("a", "b"), few("b", "c", lambda x: (x + 1,))]
    found = program(steps, ["x"], ["c", "a"])(X)
    np.testing.assert_array_equal(found[0], 2 * X)
    np.testing.assert_array_equal(found[1], 2 * X)


def test_neighbours_are_compiled_together_up_to_what_is_no_loop() -> None:
    steps = [
        doubled("x", "a"),
        doubled("a", "b"),
        apart("b", "c"),
        doubled("c", "d"),
        few("d", "e", lambda x: (x + 1,)),
    ]
    joined = together(steps, ["e", "a"])
    assert [(step.reads, step.writes) for step in joined] == [
        (("x",), ("a", "b")),
        (("b",), ("c",)),
        (("c",), ("e",)),
    ]
    for one, other in zip(
        program(steps, ["x"], ["e", "a"])(X), program(joined, ["x"], ["e", "a"])(X), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_is_not_worth_it_is_computed_otherwise() -> None:
    """Alone, and among steps that are compiled together."""
    called: list[int] = []

    def otherwise(x: np.ndarray) -> Sequence[np.ndarray]:
        called.append(1)
        return (x + 1,)

    steps = [doubled("x", "a"), few("a", "b", otherwise), doubled("b", "c")]
    joined = program(together(steps, ["c"]), ["x"], ["c"])
    np.testing.assert_array_equal(joined(X)[0], 2 * (2 * X + 1))
    assert not called
    many = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(joined(many)[0], 2 * (2 * many + 1))
    assert called == [1]


def test_long_runs_are_cut() -> None:
    steps = [doubled(f"v{place}", f"v{place + 1}") for place in range(30)]
    joined = together(steps, ["v30"])
    assert [step.writes for step in joined] == [("v24",), ("v30",)]
