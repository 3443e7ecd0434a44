"""All executions on all backends: the same levels, spikes and operations, on the corpus and on networks full of ties."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
from helpers_corpus import EXACT, QUANTISED, Example
from helpers_networks import NETWORKS
from helpers_streams import assert_same_answers, converted, inputs_of

import onnx2snn
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.choices import BACKENDS, EXECUTIONS

HERE = [b for b in BACKENDS if b != "events" or importlib.util.find_spec("numba")]
PAIRS = [(e, b) for e in EXECUTIONS for b in HERE if e != "int8" or b == "onnxruntime"]
#: Sums of weights that are exact in float32: nothing may differ.
DYADIC = [name for name in QUANTISED if "dyadic" in name]


def pairs(name: str) -> list[tuple[str, str]]:
    """Executions and backends; loops that follow events are compiled for seconds, so by these only some are run."""
    few = (
        {"streaming"}
        if name in list(NETWORKS)[::5]
        else {"fused"}
        if name in [*NETWORKS, *EXACT[::4]]
        else set()
    )
    return [(e, b) for e, b in PAIRS if b != "events" or e in few]


@pytest.mark.parametrize("name", [*DYADIC, *NETWORKS])
def test_every_execution_on_every_backend_agrees_on_every_level_and_spike(name: str) -> None:
    content, network = converted(name)
    inputs = inputs_of(network, 3)
    reference = SpikingSession(content, backend="numpy", count="spikes")
    levels, result = reference.levels(inputs), reference.run(inputs)
    for execution, backend in pairs(name):
        session = SpikingSession(content, execution=execution, backend=backend, count="spikes")
        found, spent = session.levels(inputs), session.run(inputs)
        for layer in session.layers:
            title = f"{layer['name']}, {execution} on {backend}"
            np.testing.assert_array_equal(found[layer["name"]], levels[layer["name"]], err_msg=title)
            np.testing.assert_array_equal(
                spent.spikes[layer["name"]], result.spikes[layer["name"]], err_msg=title
            )
        assert_same_answers(spent.outputs, result.outputs)


@pytest.mark.parametrize("name", [name for name in EXACT if name not in DYADIC])
def test_other_weights_differ_within_rounding_alone(name: str) -> None:
    """Every level of every execution is the source's, or a neuron stood within float32's rounding of a threshold."""
    content, network = converted(name)
    assert isinstance(network, Example)
    inputs = inputs_of(network, 3)
    for execution, backend in pairs(name):
        model = onnx.ModelProto.FromString(content)
        certificate = onnx2snn.verify(network.path, model, inputs, execution=execution, backend=backend)
        assert certificate.lossless, (execution, backend)


@pytest.mark.parametrize("save_memory", [False, True])
@pytest.mark.parametrize("name", [*NETWORKS])
def test_networks_full_of_ties_agree_bit_for_bit(name: str, save_memory: bool) -> None:
    content, network = converted(name)
    inputs = inputs_of(network, 7)
    expected = SpikingSession(content, backend="numpy", count="nothing").run(inputs)
    for execution in EXECUTIONS:
        session = SpikingSession(content, execution=execution, count="nothing", save_memory=save_memory)
        found = session.run(inputs)
        assert found.spikes == {}
        for key, value in expected.outputs.items():
            np.testing.assert_array_equal(found.outputs[key], value, err_msg=f"{execution} {key}")
