"""Whatever names or holds a network is taken wherever one is asked for, and everything that was made describes itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example

import onnx2snn
from onnx2snn.report import gather
from onnx2snn.runtime import INT8, SpikingSession, Trace

SHORT, LONG = 200, 20_000


@pytest.fixture(scope="module")
def images(example: Example) -> np.ndarray:
    with np.load(example.data) as data:
        return data["image"][:6]


@pytest.mark.parametrize("kind", ["path", "model", "made"])
def test_paths_models_and_what_was_made_are_all_networks(
    example: Example, images: np.ndarray, kind: str
) -> None:
    source: object = example.ann if kind == "path" else onnx.load(example.ann)
    conversion = onnx2snn.convert(source)
    snn = {"path": example.snn, "model": conversion.model, "made": conversion}[kind]
    assert onnx2snn.verify(source, snn, images).lossless
    assert onnx2snn.verify(conversion.source, snn, {"image": images}).samples == 6
    assert onnx2snn.inspect_model(snn).spiking
    assert onnx2snn.evaluate(snn, images).samples == 6
    assert gather(source, snn, images).certificate.lossless
    expected = SpikingSession(example.snn).run({"image": images}).outputs["logits"]
    np.testing.assert_array_equal(SpikingSession(snn).run(images).outputs["logits"], expected)
    fast = onnx2snn.compile(snn, count="synops")
    np.testing.assert_allclose(
        SpikingSession(fast).run(images).outputs["logits"], expected, rtol=1e-5, atol=1e-5
    )


def test_what_the_caller_changed_in_the_model_is_what_runs(example: Example, images: np.ndarray) -> None:
    conversion = onnx2snn.convert(example.ann)
    before = SpikingSession(conversion).run(images).outputs["logits"]
    weights = next(t for t in conversion.model.graph.initializer if len(t.dims) == 2)
    values = 2 * onnx.numpy_helper.to_array(weights)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    assert (SpikingSession(conversion).run(images).outputs["logits"] != before).any()


def test_what_is_no_network_says_what_one_is() -> None:
    for ask in (onnx2snn.convert, onnx2snn.inspect_model, onnx2snn.compile, lambda x: onnx2snn.verify(x, x)):
        with pytest.raises(onnx2snn.InputError, match="no network") as caught:
            ask(3)
        assert "onnx.ModelProto" in str(caught.value.remedy)


def test_inputs_are_arrays_lists_and_other_floats(example: Example, images: np.ndarray) -> None:
    session = SpikingSession(example.snn)
    expected = session.run({"image": images})
    for given in (images, images.tolist(), images.astype(np.float64), {"image": images.astype(np.float64)}):
        np.testing.assert_array_equal(session.run(given).outputs["logits"], expected.outputs["logits"])
        assert session.levels(given).keys() == session.levels(images).keys()
    whole = np.ones(images.shape, np.int64)
    np.testing.assert_array_equal(
        session.run(whole).outputs["logits"], session.run(whole.astype(np.float32)).outputs["logits"]
    )


def test_one_array_does_for_one_input_only() -> None:
    from helpers_networks import NETWORKS  # noqa: PLC0415

    network = NETWORKS["several"]()
    session = SpikingSession(onnx2snn.convert(network.model, hybrid=network.hybrid))
    with pytest.raises(onnx2snn.InputError, match="inputs, and got one array"):
        session.run(np.zeros((1, 3), np.float32))


def test_everything_made_has_a_short_repr_a_table_and_a_summary(
    example: Example, images: np.ndarray, relu_network: Path
) -> None:
    conversion = onnx2snn.convert(example.ann)
    session = SpikingSession(conversion)
    made = [
        conversion,
        onnx2snn.verify(example.ann, conversion, images),
        session.run(images),
        session.run(images, count="nothing"),
        onnx2snn.inspect_model(example.ann),
        onnx2snn.inspect_model(example.snn),
        onnx2snn.calibrate(relu_network, images, timesteps=3),
        onnx2snn.convert(relu_network, calibrate=images, timesteps=3),
        onnx2snn.snap(example.ann),
        session.trace(images),
    ]
    for each in made:
        assert len(repr(each)) < SHORT + 100 * isinstance(each, Trace), repr(each)
        page, text = each._repr_html_(), each.summary()
        assert page.count("<tr>") >= 3
        assert len(page) < LONG
        assert len(text.splitlines()) >= 3
    trace = made[-1]
    assert "(4, 6, 4, 6, 6)" in repr(trace)
    assert "4 × 6 × 4 × 6 × 6" in trace.summary()
    assert repr(session) == "SpikingSession(spiking, 2 layers, T = 4 time steps a layer, 12 to an answer)"
    assert "12 to an answer" in repr(conversion)
    assert conversion.steps == session.steps == made[1].steps == made[5].steps == 12


def test_a_result_is_priced_by_another_table(example: Example, images: np.ndarray) -> None:
    result = SpikingSession(example.snn).run(images)
    cheaper = SpikingSession(example.snn, table=INT8).run(images)
    np.testing.assert_array_equal(result.priced(INT8).snn, cheaper.energy.snn)
    np.testing.assert_array_equal(result.priced(INT8).ann, cheaper.energy.ann)
