"""Networks on the backend that follows events. That levels and spikes are those of others is tested with the executions."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_networks import dyadic

pytest.importorskip("numba")

import onnx2snn
from onnx2snn.errors import InputError
from onnx2snn.events.pieces import Piece
from onnx2snn.runtime import SpikingSession

ROOT = Path(__file__).parents[2]


def network() -> onnx.ModelProto:
    """Two layers of neurons, an average between them, and a readout that sums over channels and places."""
    nodes, name = [], "x"
    for layer in range(2):
        nodes += [
            node("Conv", [name, f"w{layer}", f"b{layer}"], [f"z{layer}"], pads=[1, 1, 1, 1]),
            node("Add", [f"z{layer}", "half"], [f"h{layer}"]),
            node("Floor", [f"h{layer}"], [f"f{layer}"]),
            node("Clip", [f"f{layer}", "least", "most"], [f"k{layer}"]),
            node("AveragePool", [f"k{layer}"], [f"p{layer}"], kernel_shape=[2, 2], strides=[2, 2]),
        ]
        name = f"p{layer}"
    nodes += [
        node("Flatten", [name], ["flat"]),
        node("MatMul", ["flat", "v"], ["m"]),
        node("Exp", ["m"], ["y"]),
    ]
    constants = {
        "w0": dyadic(8, 2, 3, 3, seed=0),
        "b0": dyadic(8, seed=1),
        "w1": dyadic(8, 8, 3, 3, seed=2) / 4,
    }
    constants |= {"b1": dyadic(8, seed=3), "v": dyadic(32, 3, seed=4) / 64}
    constants |= {"half": np.float32(0.5), "least": np.float32(0), "most": np.float32(15)}
    return make_model(nodes, constants, {"x": ["N", 2, 8, 8]}, {"y": ["N", 3]})


@pytest.fixture(scope="module")
def converted() -> onnx2snn.conversion.Conversion:
    return onnx2snn.convert(network())


X = dyadic(3, 2, 8, 8, seed=5)


def test_it_answers_before_and_after_it_is_warm(converted: onnx2snn.conversion.Conversion) -> None:
    expected = SpikingSession(converted, execution="fused").run({"x": X})
    session = SpikingSession(converted, execution="fused", backend="events")
    cold = session.run({"x": X})
    session.warm_up()
    for found in (cold, session.run({"x": X}), session.run(X[:1])):
        samples = len(found.outputs["y"])
        np.testing.assert_array_equal(found.outputs["y"], expected.outputs["y"][:samples])
        for layer, spikes in found.spikes.items():
            np.testing.assert_array_equal(spikes, expected.spikes[layer][:samples])
            np.testing.assert_array_equal(found.synops[layer], expected.synops[layer][:samples])


def test_a_stream_is_driven_by_events(converted: onnx2snn.conversion.Conversion) -> None:
    expected = SpikingSession(converted, execution="fused").run({"x": X}).outputs["y"]
    session = SpikingSession(converted, execution="streaming", backend="events")
    session.warm_up()
    answers = list(session.stream_run([{"x": x[None]} for x in X]))
    np.testing.assert_array_equal(np.concatenate([answer["y"] for answer in answers]), expected)


def test_onnxruntime_computes_what_no_loop_does_and_nothing_else(
    converted: onnx2snn.conversion.Conversion,
) -> None:
    """Of this network the exponential at its end, together with all counts."""
    session = SpikingSession(converted, execution="fused", backend="events", count="synops")
    with patch.object(Piece, "__call__", autospec=True, side_effect=Piece.__call__) as called:
        session.run({"x": X})
    assert called.call_count == 1
    (piece, *_), _ = called.call_args
    assert "y" in piece.writes
    assert sum(name.startswith("synops/") for name in piece.writes) == 2


def test_a_compiled_file_is_run_by_events(converted: onnx2snn.conversion.Conversion, tmp_path: Path) -> None:
    path = tmp_path / "fast.onnx"
    onnx2snn.compile(converted, execution="fused").save(path)
    expected = SpikingSession(path).run({"x": X}).outputs["y"]
    found = SpikingSession(path, backend="events").run({"x": X}).outputs["y"]
    np.testing.assert_array_equal(found, expected)


def test_runs_in_several_threads_do_not_meet(converted: onnx2snn.conversion.Conversion) -> None:
    session = SpikingSession(converted, execution="fused", backend="events", count="nothing")
    expected = [session.run({"x": x[None]}).outputs["y"] for x in X]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda place: session.run({"x": X[place % 3][None]}).outputs["y"], range(60)))
    for place, answer in enumerate(found):
        np.testing.assert_array_equal(answer, expected[place % 3])


def test_where_numba_is_missing_it_says_so(
    converted: onnx2snn.conversion.Conversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(InputError, match=r"pip install 'onnx2snn\[events\]'"):
        SpikingSession(converted, backend="events")
