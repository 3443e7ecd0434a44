"""Neurons with a table of thresholds in every execution: a uniform staircase is the table whose steps are alike (METHOD 11)."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import NETWORKS
from helpers_tables import with_tables

import onnx2snn
from onnx2snn.runtime import SpikingSession

NAMES = ("floor", "few_levels", "residual", "of_any_size")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_uniform_steps_spikes_as_the_uniform_neuron(name: str) -> None:
    network = NETWORKS[name]()
    model = onnx2snn.convert(network.model).model
    inputs = network.inputs(4)
    tabled = with_tables(model)
    onnx.checker.check_model(tabled, full_check=True)
    uniform = SpikingSession(model.SerializeToString())
    expected, levels, trace = uniform.run(inputs), uniform.levels(inputs), uniform.trace(inputs)
    for execution in ("spiking", "fused", "int8", "streaming"):
        session = SpikingSession(tabled.SerializeToString(), execution=execution)
        found = session.run(inputs)
        for layer in expected.spikes:
            np.testing.assert_array_equal(found.spikes[layer], expected.spikes[layer])
            np.testing.assert_array_equal(found.synops[layer], expected.synops[layer])
        for key, values in session.levels(inputs).items():
            np.testing.assert_array_equal(values, levels[key])
    traced = SpikingSession(tabled.SerializeToString()).trace(inputs)
    T = uniform.timesteps
    for layer, train in trace.spikes.items():
        np.testing.assert_array_equal(traced.spikes[layer], train)
        np.testing.assert_array_equal(traced.potentials[layer][T:] >= traced.thresholds[layer], train)
        np.testing.assert_array_equal(traced.potentials[layer][:T], trace.potentials[layer][:T])


@pytest.mark.parametrize("execution", ["spiking", "fused", "int8", "step"])
def test_it_is_compiled(execution: str) -> None:
    network = NETWORKS["residual"]()
    compiled = onnx2snn.compile(with_tables(onnx2snn.convert(network.model).model), execution=execution)  # type: ignore[arg-type]
    assert compiled.tried == "equal"
