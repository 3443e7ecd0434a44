"""NeuroBench's own package counts the same (``make test-neurobench``): a network as torch runs it, spike by spike."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers_networks import Builder

import onnx2snn
from onnx2snn.evaluation.answers import run_all
from onnx2snn.runtime import SpikingSession

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    pytest.importorskip("neurobench")
    from neurobench.metrics.static import ConnectionSparsity
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import TorchModel

SAMPLES, SIDE = 6, 6


class Played(torch.nn.Module):
    """A layer of neurons: sends the spikes (T·N, ...) that the network's neurons sent, whatever it hears."""

    def __init__(self, train: np.ndarray) -> None:
        super().__init__()
        self.train_of_spikes = torch.from_numpy(train.reshape(-1, *train.shape[2:]).astype(np.float32))

    def forward(self, _currents: torch.Tensor) -> torch.Tensor:
        return self.train_of_spikes


def network() -> tuple[object, list[np.ndarray]]:
    """Two convolutions with padding, a stride and zeros among their weights, and a dense layer."""
    generator = np.random.default_rng(3)
    shapes = ((4, 1, 3, 3), (3, 4, 3, 3), (3 * (SIDE // 2) ** 2, 5))
    weights = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    for values in weights:
        values[generator.random(values.shape) < 0.3] = 0
    b = Builder()
    first = b.act(b.add("Conv", "x", weights[0], pads=[1, 1, 1, 1]))
    second = b.act(b.add("Conv", first, weights[1], pads=[1, 1, 1, 1], strides=[2, 2]))
    out = b.add("MatMul", b.add("Flatten", second, axis=1), weights[2])
    return b.model({"x": ["N", 1, SIDE, SIDE]}, {"y": (out, ["N", 5])}), weights


def test_neurobench_itself_counts_the_same() -> None:
    model, weights = network()
    images = np.random.default_rng(5).normal(size=(SAMPLES, 1, SIDE, SIDE)).astype(np.float32)
    images[images < -1] = 0
    conversion = onnx2snn.convert(model)
    trains = list(SpikingSession(conversion).trace({"x": images}).spikes.values())
    convolutions = [
        torch.nn.Conv2d(w.shape[1], w.shape[0], 3, stride=s, padding=1, bias=False)
        for w, s in zip(weights[:2], (1, 2), strict=True)
    ]
    dense = torch.nn.Linear(weights[2].shape[0], 5, bias=False)
    for layer, values in zip((*convolutions, dense), (*weights[:2], weights[2].T), strict=True):
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(values))
    neurons = [Played(train) for train in trains]
    spelled = torch.nn.Sequential(
        convolutions[0], neurons[0], convolutions[1], neurons[1], torch.nn.Flatten(), dense
    )
    theirs = TorchModel(spelled)
    theirs.add_activation_module(Played)
    theirs.register_hooks()
    x = torch.from_numpy(images)
    with torch.no_grad():
        theirs(x)
        operations = SynapticOperations()(theirs, None, (x, None))
        sparsity = ActivationSparsity()(theirs, None, (x, None))
    found = run_all(conversion, {"x": images}).to_dict()["neurobench"]
    assert found["connection_sparsity"] == pytest.approx(ConnectionSparsity()(theirs), abs=5e-5)  # it rounds
    assert found["activation_sparsity"] == pytest.approx(sparsity)
    ours = found["synaptic_operations"]
    assert ours["effective_macs"] == pytest.approx(operations["Effective_MACs"])
    assert ours["effective_acs"] == pytest.approx(operations["Effective_ACs"])
    assert ours["dense"] == pytest.approx(operations["Dense"])
