"""Neurons with a table of thresholds in every execution: a uniform staircase is the table whose steps are alike (METHOD 11)."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from helpers_networks import NETWORKS
from onnx import numpy_helper

import onnx2snn
from onnx2snn.dialect.functions import TABLE_IF, attach_functions
from onnx2snn.runtime import SpikingSession

NAMES = ("floor", "few_levels", "residual", "of_any_size")


def with_tables(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network, every threshold j·θ of its neurons written down."""
    tabled = onnx.ModelProto()
    tabled.CopyFrom(model)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for number, node in enumerate(n for n in tabled.graph.node if n.op_type == "IF"):
        held = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        theta = constants[node.input[3]][-1]
        steps = np.arange(1, 2 ** held["timesteps"]) * theta.reshape(-1, 1)
        steps[:, held["levels"] :] = np.inf
        rows = np.arange(theta.size).reshape(theta.shape) * steps.shape[1]
        for key, values in (("table", steps.astype(np.float32).ravel()), ("rows", rows)):
            tabled.graph.initializer.append(numpy_helper.from_array(values, f"{key}{number}"))
        node.op_type = TABLE_IF
        node.input[:] = [*node.input[:2], f"table{number}", f"rows{number}"]
        kept = [a for a in node.attribute if a.name in ("input_steps", "timesteps", "levels")]
        del node.attribute[:]
        node.attribute.extend(kept)
    attach_functions(tabled)
    entry = next(e for e in tabled.metadata_props if e.key == "onnx2snn")
    table = json.loads(entry.value)
    table["layers"] = [layer | {"rounding": "table", "threshold": None} for layer in table["layers"]]
    entry.value = json.dumps(table)
    return tabled


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
