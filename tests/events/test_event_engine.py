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
from onnx2snn.events.event_engine import EventEngine
from onnx2snn.events.pieces import Piece
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.backends import Loadable

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
    """Of this network the exponential at its end; spikes and synaptic operations are counted in loops."""
    session = SpikingSession(converted, execution="fused", backend="events", count="synops")
    with patch.object(Piece, "__call__", autospec=True, side_effect=Piece.__call__) as called:
        session.run({"x": X})
    assert called.call_count == 1
    (piece, *_), _ = called.call_args
    assert "y" in piece.writes
    assert not any(name.startswith(("spikes/", "synops/")) for name in piece.writes)


def test_a_compiled_file_is_run_by_events(converted: onnx2snn.conversion.Conversion, tmp_path: Path) -> None:
    path = tmp_path / "fast.onnx"
    onnx2snn.compile(converted, execution="fused").save(path)
    expected = SpikingSession(path).run({"x": X}).outputs["y"]
    found = SpikingSession(path, backend="events").run({"x": X}).outputs["y"]
    np.testing.assert_array_equal(found, expected)


def test_weights_in_a_file_of_their_own_are_read_there(
    converted: onnx2snn.conversion.Conversion, tmp_path: Path
) -> None:
    """Large ones stay where they are, in pieces of onnxruntime as well; so do those beside a compiled file."""
    wide = network()
    kernel = next(t for t in wide.graph.initializer if t.name == "w1")
    kernel.CopyFrom(
        onnx.numpy_helper.from_array(np.tile(dyadic(8, 8, 3, 3, seed=2) / 32, (1, 1, 3, 3)), "w1")
    )
    next(n for n in wide.graph.node if n.op_type == "Conv" and "w1" in n.input).attribute[0].ints[:] = [4] * 4
    onnx.save(
        onnx2snn.convert(wide).model, tmp_path / "snn.onnx", save_as_external_data=True, size_threshold=0
    )
    expected = SpikingSession(tmp_path / "snn.onnx", execution="fused").run({"x": 4 * X}).outputs["y"]
    session = SpikingSession(tmp_path / "snn.onnx", execution="fused", backend="events")
    np.testing.assert_array_equal(session.run({"x": 4 * X}).outputs["y"], expected)


@pytest.mark.parametrize("warm", [False, True])
def test_answers_lie_in_memory_of_their_own(warm: bool) -> None:
    """Whoever writes into one changes neither what it was made of nor another, nor the answers to come."""
    nodes = [
        node("Identity", ["x"], ["same"]),
        node("Flatten", ["x"], ["flat"]),
        node("Reshape", ["x", "pairs"], ["paired"]),
    ]
    constants = {"pairs": np.array([-1, 2, 2]), "held": dyadic(3, 4, seed=1)}
    sizes: dict[str, list[int | str]] = {"x": ["N", 4], "same": ["N", 4], "flat": ["N", 4]}
    sizes |= {"paired": ["N", 2, 2], "held": [3, 4]}
    engine = EventEngine(Loadable(make_model(nodes, constants, {"x": ["N", 4]}, sizes).SerializeToString()))
    if warm:
        engine.warm_up()
    x = dyadic(1, 4, seed=0)
    expected = {name: value.copy() for name, value in engine.run({"x": x}).items()}
    given = x.copy()
    for changed, value in engine.run({"x": x}).items():
        value[:] = 99
        np.testing.assert_array_equal(x, given)
        for name, again in engine.run({"x": x}).items():
            np.testing.assert_array_equal(again, expected[name], err_msg=f"{changed} changes {name}")
    found = list(engine.run({"x": x}).values())
    for place, value in enumerate(found):
        value[:] = place
    assert [value.min() for value in found] == [value.max() for value in found] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("chunk", [2, 64])
def test_answers_are_laid_out_as_onnx_counts_them(chunk: int) -> None:
    """Maps are held channels last inside; who gets them finds their entries in order."""
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "step", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "step", "zero"], ["a"]),
        node("Conv", ["a", "v"], ["y"]),
    ]
    held = {"w": dyadic(4, 2, 3, 3, seed=0), "v": dyadic(3, 4, 1, 1, seed=1)}
    held |= {"step": np.float32(0.25), "zero": np.uint8(0)}
    sizes: dict[str, list[int | str]] = {"y": ["N", 3, 6, 6], "a": ["N", 4, 6, 6]}
    conversion = onnx2snn.convert(make_model(nodes, held, {"x": ["N", 2, 8, 8]}, sizes))
    session = SpikingSession(conversion, execution="fused", backend="events", chunk=chunk)
    streamed = list(session.stream_run([X], batch=len(X)))
    traced = session.trace(X)
    found = [session.run(X).outputs, session.levels(X), *streamed, traced.spikes, traced.potentials]
    expected = SpikingSession(conversion, execution="fused").run(X).outputs
    assert all(value.flags.c_contiguous for answers in found for value in answers.values())
    for name, value in expected.items():
        np.testing.assert_array_equal(found[0][name], value)


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
