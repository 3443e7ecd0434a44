"""Spiking networks that are written out over time are told from layered ones by their structure."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import NETWORKS
from onnx import TensorProto, helper, numpy_helper

import onnx2snn


def unrolled(steps: int, reset: str) -> onnx.ModelProto:
    """A layer of leaky neurons between two dense ones, each time step written out; names say nothing."""
    random = np.random.default_rng(0)
    held = {
        "a": random.normal(size=(6, 8)),
        "b": random.normal(size=(8, 3)),
        "c": np.array(0.9),
        "d": np.array(1.0),
        "zero": np.array(0.0),
    }
    nodes, v, s, out = [], "", "", ""

    def add(operator: str, *inputs: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operator, inputs, [f"t{len(nodes)}"], f"n{len(nodes)}", **attributes))
        return f"t{len(nodes) - 1}"

    for _ in range(steps):
        current = add("MatMul", "x", "a")
        if v and reset == "subtract":
            current = add("Sub", add("Add", add("Mul", v, "c"), current), add("Mul", s, "d"))
        elif v and reset == "compared again":  # as snnTorch does where it resets to zero
            again = add("Cast", add("Greater", add("Sub", v, "d"), "zero"), to=TensorProto.FLOAT)
            current = add("Add", add("Mul", "c", add("Mul", add("Sub", "d", again), v)), current)
        elif v:
            current = add("Add", add("Mul", add("Mul", v, "c"), add("Sub", "d", s)), current)
        v = current
        s = add("Cast", add("Greater", v, "d"), to=TensorProto.FLOAT)
        answer = add("MatMul", s, "b")
        out = add("Add", out, answer) if out else answer
    graph = helper.make_graph(
        nodes,
        "unrolled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("reset", ["subtract", "zero", "compared again"])
@pytest.mark.parametrize("steps", [3, 6])
def test_a_network_that_spikes_already_is_said_to(steps: int, reset: str) -> None:
    model = unrolled(steps, reset)
    with pytest.raises(onnx2snn.ConversionError, match="spikes already") as caught:
        onnx2snn.convert(model)
    assert f"{steps} time steps" in str(caught.value.found)
    inspection = onnx2snn.inspect_model(model)
    assert inspection.refusal is not None
    assert "spikes already" in inspection.refusal.reason


def test_one_step_is_a_layer_of_two_levels() -> None:
    assert len(onnx2snn.convert(unrolled(1, "subtract")).layers) == 1


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_layered_networks_are_none(name: str) -> None:
    network = NETWORKS[name]()
    assert onnx2snn.convert(network.model, hybrid=network.hybrid, check=False).layers
