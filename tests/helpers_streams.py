"""Converted networks as streams, and their inputs."""

from __future__ import annotations

import functools

import numpy as np
from helpers_corpus import Example
from helpers_networks import NETWORKS, Network

import onnx2snn
from onnx2snn.runtime import Stream


@functools.cache
def converted(name: str, bias: str = "once") -> tuple[bytes, Network | Example]:
    network = NETWORKS[name]() if name in NETWORKS else Example(name)
    source, hybrid = (
        (network.path, False) if isinstance(network, Example) else (network.model, network.hybrid)
    )
    model = onnx2snn.convert(source, bias=bias, hybrid=hybrid).model  # type: ignore[arg-type]
    return model.SerializeToString(), network


def inputs_of(network: Network | Example, samples: int) -> dict[str, np.ndarray]:
    """``samples`` samples; a network that fixes its batch at 1 gets them one after the other."""
    if isinstance(network, Network):
        return network.inputs(samples)
    given = network.inputs
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(next(iter(given.values()))), samples)
    gains = 1 + rng.integers(0, 3, samples) / np.float32(2)
    return {n: (v[rows] * gains.reshape(-1, *[1] * (v.ndim - 1))).astype(v.dtype) for n, v in given.items()}


def assert_same_answers(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """The same readout of the same levels; float32 sums of batches of other sizes may round in another order."""
    for name, value in expected.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def answers_of(stream: Stream, samples: list[dict[str, np.ndarray] | None]) -> list[dict[str, np.ndarray]]:
    return list(stream.run(samples))
