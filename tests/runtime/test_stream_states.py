"""What a stream holds between two steps: states that are saved, copied, emptied, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_streams import answers_of, converted, inputs_of

import onnx2snn
from onnx2snn.runtime import SpikingSession


@pytest.mark.parametrize("name", ["residual", "several", "stream_of_potentials", "of_any_size", "hybrid"])
def test_a_saved_state_goes_on_where_it_stopped(name: str, tmp_path: Path) -> None:
    content, network = converted(name)
    inputs = inputs_of(network, 4)
    samples = [{n: v[i : i + 1] for n, v in inputs.items()} for i in range(4)]
    session = SpikingSession(content, execution="streaming")
    expected = answers_of(session.stream(), list(samples))
    T = session.timesteps
    for stop in (0, 1, T, 2 * T + 1, 4 * T - 1, 4 * T):
        first = session.stream()
        found = []
        for time in range(stop):
            answer = first.step(samples[time // T] if time % T == 0 else None)
            found += [] if answer is None else [answer]
        np.savez(tmp_path / "state.npz", **first.state)
        second = SpikingSession(content, execution="streaming").stream()
        with np.load(tmp_path / "state.npz") as saved:
            second.state = dict(saved)
        assert set(second.state) == set(first.state)
        found += answers_of(second, samples[-(-stop // T) :])
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            for key, value in other.items():
                np.testing.assert_array_equal(one[key], value)


def test_a_state_is_a_copy() -> None:
    content, network = converted("residual")
    stream = SpikingSession(content, execution="streaming").stream()
    stream.step({n: v[:1] for n, v in inputs_of(network, 1).items()})
    before = stream.state
    for value in stream.state.values():
        value[...] = 0
    for _ in range(3 * stream.timesteps):
        stream.step()
    kept = SpikingSession(content, execution="streaming").stream()
    kept.state = before
    for _ in range(2):
        kept.step()
    again = SpikingSession(content, execution="streaming").stream()
    again.state = before
    assert not any(np.any(value) for key, value in again.state.items() if key.startswith("generating"))
    assert int(again.state["time"]) == 1


def test_reset_empties_the_pipeline() -> None:
    content, network = converted("residual")
    samples = [{n: v[i : i + 1] for n, v in inputs_of(network, 2).items()} for i in range(2)]
    stream = SpikingSession(content, execution="streaming").stream()
    expected = answers_of(stream, list(samples))
    for _ in range(3):
        stream.step(samples[0] if stream.ready else None)
    stream.reset()
    assert (stream.pending, stream.ready, stream.result) == (0, True, None)
    found = answers_of(stream, list(samples))
    np.testing.assert_array_equal([a["y"] for a in found], [a["y"] for a in expected])


def test_a_size_on_its_way_is_kept() -> None:
    content, network = converted("of_any_size")
    stream = SpikingSession(content, execution="streaming").stream()
    assert stream.spikes == {}
    small = inputs_of(network, 1)
    large = {"x": np.concatenate([small["x"]] * 2, axis=2)}
    stream.step(small)
    while not stream.ready:
        stream.step()
    with pytest.raises(onnx2snn.InputError, match="another size"):
        stream.step(large)
    while stream.pending:
        stream.step()
    while not stream.ready:
        stream.step()
    [answer] = answers_of(stream, [large])
    np.testing.assert_array_equal(answer["y"], SpikingSession(content).run(large).outputs["y"])


def test_foreign_states_are_refused() -> None:
    content, _ = converted("residual")
    session = SpikingSession(content, execution="streaming")
    stream = session.stream()
    state = stream.state
    with pytest.raises(onnx2snn.InputError, match="lacks 'filled'"):
        stream.state = {n: v for n, v in state.items() if n != "filled"}
    with pytest.raises(onnx2snn.InputError, match="holds 'more'"):
        stream.state = {**state, "more": np.zeros(1)}
    with pytest.raises(onnx2snn.InputError, match="number of samples"):
        stream.state = session.stream(batch=2).state
    name = next(n for n in state if n.startswith("delay/"))
    with pytest.raises(onnx2snn.InputError, match="does not fit"):
        stream.state = {**state, name: state[name][1:]}
    other = SpikingSession(converted("several")[0], execution="streaming").stream()
    with pytest.raises(onnx2snn.InputError):
        stream.state = other.state


def test_delays_are_of_spikes_and_no_longer_than_needed() -> None:
    def lines(name: str) -> dict[str, np.ndarray]:
        state = SpikingSession(converted(name)[0]).stream(count="nothing").state
        return {key.removeprefix("delay/"): value for key, value in state.items() if key.startswith("delay/")}

    [(_, spikes)] = lines("residual").items()
    assert spikes.dtype == np.bool_
    held = lines("stream_of_potentials")
    assert held["x"].shape[0] == 4  # the shortcut from the input to the readout
    assert not any(value.dtype == np.bool_ for value in held.values())
