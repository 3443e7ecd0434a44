"""The streaming execution against the spiking one: every level, spike and output, with samples in flight."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_corpus import QUANTISED, Example
from helpers_graphs import make_model, node
from helpers_networks import NETWORKS
from helpers_streams import assert_same_answers, converted, inputs_of

import onnx2snn
from onnx2snn.runtime import SpikingSession

#: Exported networks of every kind of synapse; how layers join is what :data:`NETWORKS` are made for.
EXPORTED = QUANTISED[::4]
BIASES = ("once", "per-step", "paper")


@pytest.mark.parametrize("name", EXPORTED)
def test_levels_spikes_and_outputs_are_those_of_the_spiking_execution(name: str) -> None:
    content, network = converted(name)
    inputs = inputs_of(network, 5)
    spiking, streaming = (SpikingSession(content, execution=e) for e in ("spiking", "streaming"))
    expected, found = spiking.levels(inputs), streaming.levels(inputs)
    for layer in spiking.layers:
        np.testing.assert_array_equal(found[layer["name"]], expected[layer["name"]], err_msg=layer["name"])
    results = spiking.run(inputs), streaming.run(inputs)
    assert_same_answers(results[1].outputs, results[0].outputs)
    for layer in spiking.layers:
        np.testing.assert_array_equal(results[0].spikes[layer["name"]], results[1].spikes[layer["name"]])
        np.testing.assert_array_equal(results[0].synops[layer["name"]], results[1].synops[layer["name"]])


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("name", NETWORKS)
def test_exact_networks_agree_bit_for_bit_in_every_bias_form(name: str, bias: str) -> None:
    content, network = converted(name, bias)
    inputs = inputs_of(network, 6)
    spiking, streaming = (SpikingSession(content, execution=e) for e in ("spiking", "streaming"))
    expected, found = spiking.levels(inputs), streaming.levels(inputs)
    assert list(expected) == list(found)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize("name", [*EXPORTED, *NETWORKS])
def test_samples_in_flight_do_not_meet(name: str) -> None:
    """Samples enter one by one, with gaps; each answer leaves ``latency`` steps later, and every spike is in its place."""
    content, network = converted(name)
    session = SpikingSession(content, execution="streaming")
    batch = next(iter(session.inputs.values())).shape[0] or 1
    inputs = inputs_of(network, 5 * batch)
    rows = [slice(batch * place, batch * (place + 1)) for place in range(5)]
    expected = SpikingSession(content).run(inputs).outputs
    stream = session.stream(batch=batch)
    T = session.timesteps
    entered: list[int] = []
    answered = 0
    places = [0, 1, None, 2, None, None, 3, 4]
    for time in range(len(places) * T + stream.latency):
        place = places[time // T] if time % T == 0 and time // T < len(places) else None
        assert stream.ready == (time % T == 0)
        if place is not None:
            entered.append(time)
        answer = stream.step(None if place is None else {n: v[rows[place]] for n, v in inputs.items()})
        if answer is not None:
            assert time + 1 - entered[answered] == stream.latency
            assert_same_answers(answer, {n: v[rows[answered]] for n, v in expected.items()})
            answered += 1
    assert answered == 5
    assert stream.pending == 0


def bits(level: np.ndarray, timesteps: int, step: int) -> np.ndarray:
    return level.astype(np.int64) >> (timesteps - 1 - step) & 1


def test_a_residual_block_step_by_step() -> None:
    """Layer k generates in phase k what layer k − 1 told it; the identity waits two phases beside two layers."""
    content, network = converted("residual")
    inputs = inputs_of(network, 3)
    session = SpikingSession(content, execution="streaming")
    levels = session.levels(inputs)
    stream = session.stream(count="spikes")
    T = session.timesteps
    assert stream.latency == 5 * T
    names = [layer["name"] for layer in session.layers]
    held = stream.state
    waiting = [key for key in held if key.startswith("delay/") and held[key].dtype == np.bool_]
    assert waiting == [
        f"delay/{session.layers[0]['output']}"
    ]  # one line serves the block and the shortcut around it
    assert held[waiting[0]].shape == (3 * T, 1, 8)
    for time in range(8 * T):
        phase, step = divmod(time, T)
        sample = {"x": inputs["x"][phase : phase + 1]} if step == 0 and phase < 3 else None
        stream.step(sample)
        for stage, name in enumerate(names, start=1):
            number = phase - stage
            expected = bits(levels[name][number], T, step) if 0 <= number < 3 else np.zeros(8)
            np.testing.assert_array_equal(stream.spikes[name][0], expected, err_msg=f"{name} at {time}")


def test_empty_places_are_silent() -> None:
    """Biases alone would make neurons fire; a place without a sample spends nothing."""
    content, network = converted("residual")
    stream = SpikingSession(content, execution="streaming").stream()
    for _ in range(2 * stream.timesteps):
        assert stream.step() is None
        assert not any(spikes.any() for spikes in stream.spikes.values())
    stream.step({n: v[:1] for n, v in inputs_of(network, 1).items()})
    first = SpikingSession(content).layers[0]["name"]
    for _ in range(stream.latency):
        stream.step()
        fired = [name for name, spikes in stream.spikes.items() if spikes.any()]
        assert len(fired) <= 1  # one sample is in one layer at a time
        assert stream.spikes[first].shape == (1, 8)


def test_every_answer_comes_with_what_it_cost() -> None:
    content, network = converted("residual")
    inputs = inputs_of(network, 4)
    expected = SpikingSession(content).run(inputs)
    stream = SpikingSession(content, execution="streaming").stream(batch=2)
    number = 0
    for _ in stream.run([{"x": inputs["x"][:2]}, None, {"x": inputs["x"][2:]}]):
        result = stream.result
        assert result is not None
        for name, spikes in expected.spikes.items():
            np.testing.assert_array_equal(result.spikes[name], spikes[number : number + 2])
            np.testing.assert_array_equal(result.synops[name], expected.synops[name][number : number + 2])
        np.testing.assert_allclose(result.energy.snn, expected.energy.snn[number : number + 2])
        number += 2
    assert number == 4


def test_any_session_streams_and_iterates_over_answers() -> None:
    content, network = converted("several")
    inputs = inputs_of(network, 3)
    session = SpikingSession(content)
    samples = ({n: v[i : i + 1] for n, v in inputs.items()} for i in range(3))
    answers = list(session.stream_run(samples))
    for name, value in session.run(inputs).outputs.items():
        np.testing.assert_array_equal(np.concatenate([a[name] for a in answers]), value)


def test_wrong_inputs_are_refused_and_change_nothing() -> None:
    content, network = converted("several")
    sample = {n: v[:1] for n, v in inputs_of(network, 1).items()}
    stream = SpikingSession(content, execution="streaming").stream()
    wrong = [
        ({"x": sample["x"]}, "inputs are not those"),
        ({**sample, "y": sample["x"]}, "inputs are not those"),
        ({**sample, "x": sample["z"]}, "wrong shape"),
        ({**sample, "x": sample["x"].astype(np.float64) + 1e300}, "wrong dtype"),
        ({**sample, "x": sample["x"] * np.nan}, "NaN"),
        ({n: np.repeat(v, 2, axis=0) for n, v in sample.items()}, "number of samples"),
    ]
    for inputs, words in wrong:
        with pytest.raises(onnx2snn.InputError, match=words):
            stream.step(inputs)
    assert (stream.pending, stream.ready) == (0, True)
    stream.step(sample)
    with pytest.raises(onnx2snn.InputError, match="first step of a phase") as caught:
        stream.step(sample)
    assert f"{stream.timesteps - 1} times" in str(caught.value.remedy)
    assert int(stream.state["time"]) == 1


def test_a_batch_that_the_model_fixes_is_kept() -> None:
    source = onnx.load(Example("torchdy21__mlp-qcfs16-dyadic-b1").path)
    for value in (*source.graph.input, *source.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2
    kept = SpikingSession(onnx2snn.convert(source).model, execution="streaming")
    for batch in (0, 1, 3):
        with pytest.raises(onnx2snn.InputError, match="this many samples"):
            kept.stream(batch=batch)
    kept.stream(batch=2)


def test_a_batch_of_one_that_the_source_fixes_is_free() -> None:
    model, network = converted("torchdy21__mlp-qcfs16-dyadic-b1")
    session = SpikingSession(model, execution="streaming")
    inputs = inputs_of(network, 3)
    stream = session.stream(batch=3)
    [answer] = stream.run([inputs])
    for name, expected in SpikingSession(model).run(inputs).outputs.items():
        np.testing.assert_array_equal(answer[name], expected)
    with pytest.raises(onnx2snn.InputError, match="this many samples"):
        session.stream(batch=0)


def test_the_layers_of_a_network_of_any_size_cost_what_they_cost_at_that_size() -> None:
    content, network = converted("of_any_size")
    fixed = onnx.ModelProto()
    fixed.CopyFrom(network.model)  # type: ignore[union-attr]
    for dim, size in zip(fixed.graph.input[0].type.tensor_type.shape.dim[2:], (4, 8), strict=True):
        dim.Clear()
        dim.dim_value = size
    inputs = inputs_of(network, 3)
    results = [
        SpikingSession(c).run(inputs) for c in (content, onnx2snn.convert(fixed).model.SerializeToString())
    ]
    for layer, synops in results[0].synops.items():
        np.testing.assert_array_equal(results[1].synops[layer], synops)


def test_an_input_that_nothing_reads() -> None:
    nodes = [
        node("Floor", ["x"], ["f"]),
        node("Clip", ["f", "low", "high"], ["c"]),
        node("MatMul", ["c", "w"], ["y"]),
    ]
    constants = {"low": np.float32(0), "high": np.float32(7), "w": np.eye(4, 2, dtype=np.float32)}
    source = make_model(nodes, constants, {"x": ["N", 4], "idle": ["N", 3]}, {"y": ["N", 2]})
    session = SpikingSession(onnx2snn.convert(source).model.SerializeToString(), execution="streaming")
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    answer = session.run({"x": x, "idle": np.zeros((2, 3), np.float32)}).outputs["y"]
    np.testing.assert_array_equal(answer, np.clip(x, 0, 7)[:, :2])


def test_a_mask_waits_for_the_layer_that_it_is_of() -> None:
    """It is of a type that not every operator of a runtime takes."""
    source = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        agraph (float[N, 3] x, bool[N, 3] mask) => (float[N, 3] y)
        <float step = {0.5}, uint8 zero = {0}, float low = {-4}, float[3, 3] w = {1, -1, 0.5, 2, 1, -1, 0.5, 0.25, 1}>
        {
            a = MatMul(x, w)
            b = QuantizeLinear(a, step, zero)
            c = DequantizeLinear(b, step, zero)
            d = MatMul(c, w)
            e = Where(mask, d, low)
            f = QuantizeLinear(e, step, zero)
            g = DequantizeLinear(f, step, zero)
            y = MatMul(g, w)
        }""")
    random = np.random.default_rng(0)
    inputs = {"x": random.normal(0, 3, (5, 3)).astype(np.float32), "mask": random.random((5, 3)) > 0.4}
    content = onnx2snn.convert(source).model.SerializeToString()
    found, expected = (SpikingSession(content, execution=e).run(inputs) for e in ("streaming", "spiking"))
    np.testing.assert_array_equal(found.outputs["y"], expected.outputs["y"])
