"""Mixed time steps: fewest spikes under a bound on the loss."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import Builder

import onnx2snn
from onnx2snn.calibration.measure import Loss
from onnx2snn.calibration.mixed import STEPS, frontier
from onnx2snn.data import Batch
from onnx2snn.runtime import SpikingSession

RANDOM = np.random.default_rng(2)
X = {"x": RANDOM.normal(0, 1, (96, 6)).astype(np.float32)}


def network() -> onnx.ModelProto:
    b = Builder()
    first = b.add("Relu", b.dense("x", (6, 24), 1))
    out = b.dense(b.add("Relu", b.dense(first, (24, 24), 3)), (24, 4), 5)
    return b.model({"x": ["N", 6]}, {"y": (out, ["N", 4])})


def test_less_loss_costs_more_spikes() -> None:
    model = network()
    spikes = []
    for bound in (40.0, 3.0):
        calibration = onnx2snn.calibrate(model, X, timesteps="auto", max_loss=bound, samples=48)
        conversion = onnx2snn.convert(calibration.model)
        assert conversion.timesteps == calibration.timesteps
        assert [c.timesteps for c in conversion.layers] == [c.timesteps for c in calibration.layers]
        assert calibration.top1_agreement is not None
        assert 100 * (1 - calibration.top1_agreement) <= bound
        result = SpikingSession(conversion.model.SerializeToString(), execution="fused").run(X)
        spikes.append(sum(int(v.sum()) for v in result.spikes.values()))
    assert spikes[0] < spikes[1]


def test_functions_have_their_own_time_steps_too() -> None:
    b = Builder()
    z = b.dense("x", (6, 16), 1)
    out = b.dense(b.add("Relu", b.dense(b.add("Mul", z, b.add("Sigmoid", z)), (16, 16), 3)), (16, 4), 5)
    model = b.model({"x": ["N", 6]}, {"y": (out, ["N", 4])})
    calibration = onnx2snn.calibrate(model, X, timesteps="auto", max_loss=5, samples=24)
    assert len(calibration.layers) == 2
    assert calibration.top1_agreement is not None
    assert calibration.top1_agreement >= 0.95
    conversion = onnx2snn.convert(calibration.model)
    assert onnx2snn.verify(calibration.model, conversion.model, X).lossless


def test_a_bound_that_cannot_be_kept() -> None:
    data = {**X, "labels": np.zeros(96, np.int64)}
    with pytest.raises(onnx2snn.InputError, match="lose more"):
        onnx2snn.calibrate(network(), X, timesteps="auto", max_loss=0, samples=8)
    assert onnx2snn.calibrate(network(), data, timesteps="auto", max_loss=100, samples=8).timesteps == 1


def test_the_frontier_runs_from_few_spikes_to_little_loss() -> None:
    spikes = [[float(100 * t) for t in STEPS], [float(t) for t in STEPS]]
    configs = frontier(spikes, [1.0, 1.0])
    costs = [sum(row[t - 1] for row, t in zip(spikes, config, strict=True)) for config in configs]
    assert costs == sorted(costs)
    assert configs[0] == (1, 1)
    assert configs[-1] == (8, 8)
    assert all(dear <= cheap for dear, cheap in configs)  # the layer whose spikes are cheap has more steps


def test_expected_changes_see_what_few_samples_do_not() -> None:
    lead = np.linspace(0.5, 4, 50)
    expected = np.stack([lead, np.zeros(50)], axis=1)
    for noise, seen in ((0.05, False), (1.0, True)):
        loss = Loss()
        found = expected + np.where(np.arange(50) % 2, noise, -noise)[:, None] * [0.2, -0.2]
        loss.samples = 50
        loss.classes(Batch(0, {"x": expected}, None), expected, found)
        assert loss.top1_agreement == 1
        assert (loss.percent > 0.1) is seen
