"""Large maps: some channels are computed at a time, and layers one after the other, with the same certificate."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import samples
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.certificate import compare, forcing
from onnx2snn.certificate.channel_blocks import channel_block, channel_blocks
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import split_model


def network(*, depthwise: bool = False) -> onnx.ModelProto:
    """Three layers of 8 channels; the second with a residual sum, and of a convolution in one group or in 8."""
    net = Quantised()
    groups = 8 if depthwise else 1
    a = net.quantised(net.add("Conv", "x", net.weights(8, 3, 3, 3), pads=[1] * 4), 0.05, 100)
    z = net.add("Conv", a, net.weights(8, 8 // groups, 3, 3), pads=[1] * 4, group=groups)
    b = net.quantised(net.add("Relu", net.add("Add", z, a)), 0.04)
    c = net.quantised(net.add("Sigmoid", net.add("Conv", b, net.weights(8, 8, 1, 1))), 0.0041)
    net.add("Conv", c, net.weights(2, 8, 1, 1), output="y")
    return net.model({"x": ["N", 3, 9, 9]}, {"y": ["N", 2, 9, 9]})


@pytest.mark.parametrize("depthwise", [False, True])
def test_the_certificate_is_the_same(monkeypatch: pytest.MonkeyPatch, depthwise: bool) -> None:
    source = network(depthwise=depthwise)
    conversion, x = onnx2snn.convert(source), {"x": samples(3, 3, 9, 9)}
    whole = onnx2snn.verify(source, conversion, x)
    made: list[int] = []

    def noted(*given: object) -> list[object]:
        blocks = channel_blocks(*given)  # type: ignore[arg-type]
        made.append(len(blocks))
        return list(blocks)

    monkeypatch.setattr(forcing, "channel_blocks", noted)
    monkeypatch.setattr(forcing, "BLOCK", 1 << 11)
    monkeypatch.setattr(compare, "LARGE", 1 << 6)
    parted = onnx2snn.verify(source, conversion, x)
    assert max(made) > 2  # of each layer whose synapses treat channels apart
    assert parted.lossless
    assert whole.lossless
    assert parted.layers == whole.layers
    assert parted.max_abs_error == pytest.approx(whole.max_abs_error, abs=1e-5)


def test_blocks_are_the_channels_of_the_whole() -> None:
    net = Quantised()
    z = net.add("Conv", "x", net.weights(8, 3, 3, 3), net.weights(8))
    net.add("Mul", net.add("Relu", z), net.weights(8, 1, 1), output="y")
    source = split_model(net.model({"x": ["N", 3, 6, 6]}, {"y": ["N", 8, 4, 4]}))
    x = {"x": samples(2, 3, 6, 6)}
    whole = run_reference(source, x)["y"]
    blocks = channel_blocks(source, whole.shape, 3 * 16)
    parts = [run_reference(block, x)["y"] for block in blocks]
    assert [part.shape[1] for part in parts] == [3, 3, 2]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-5, atol=1e-6)


def test_what_mixes_channels_behind_synapses_is_not_divided() -> None:
    net = Quantised()
    z = net.add("Conv", "x", net.weights(8, 3, 3, 3))
    net.add("Softmax", z, axis=1, output="y")
    source = split_model(net.model({"x": ["N", 3, 6, 6]}, {"y": ["N", 8, 4, 4]}))
    assert channel_block(source, (1, 8, 4, 4), 0, 3) is None
    assert channel_blocks(source, (1, 8, 4, 4), 48) == []
