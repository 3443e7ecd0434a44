"""Activations of levels that multiply their own input are products, as where exporters write them out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model
from helpers_quantised import Quantised

import onnx2snn

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(0, 2, (64, 8)).astype(np.float32)

GATES: dict[str, tuple[str, dict[str, Any]]] = {
    "Gelu": ("Gelu", {}),
    "Gelu by tanh": ("Gelu", {"approximate": "tanh"}),
    "HardSwish": ("HardSwish", {}),
    "Mish": ("Mish", {}),
}


def network(
    operator: str, *, requantised: bool = False, second: bool = False, **attributes: Any
) -> onnx.ModelProto:
    """Synapses, a quantiser, ``operator`` (twice where ``second``; ``requantised`` too), synapses, a quantiser, a readout."""
    made = Quantised(3)
    levels = made.quantised(made.add("MatMul", "x", made.weights(8, 12)), 0.1, 120)
    active = made.add(operator, levels, **attributes)
    if requantised:
        active = made.quantised(active, 0.05, 20)
    if second:
        active = made.add("Add", active, made.add(operator, levels, **attributes))
    hidden = made.quantised(made.add("MatMul", active, made.weights(12, 6)), 0.05, 100)
    outputs = {"y": ["N", 3]} | ({"behind": ["N", 3]} if second else {})
    made.add("MatMul", hidden, made.weights(6, 3), output="y")
    if second:
        made.add(operator, "y", output="behind", **attributes)
    return make_model(made.nodes, made.constants, {"x": ["N", 8]}, outputs, opset=20)


@pytest.mark.parametrize("second", [False, True], ids=["one", "two, and one behind the last synapses"])
@pytest.mark.parametrize("name", GATES)
def test_an_activation_that_multiplies_its_input_is_a_product(name: str, second: bool) -> None:
    operator, attributes = GATES[name]
    source = network(operator, second=second, **attributes)
    converted = onnx2snn.convert(source, check={"x": X})
    assert len(converted.layers) == 2
    left = [node.op_type for node in converted.model.graph.node if node.op_type == operator]
    assert len(left) == second
    certificate = onnx2snn.verify(source, converted, {"x": X})
    assert certificate.lossless


@pytest.mark.parametrize("name", GATES)
def test_one_that_is_quantised_is_a_part_of_a_neuron(name: str) -> None:
    operator, attributes = GATES[name]
    source = network(operator, requantised=True, **attributes)
    converted = onnx2snn.convert(source)
    assert "Mul" not in {node.op_type for node in converted.model.graph.node}
    assert onnx2snn.verify(source, converted, {"x": X}).lossless


@pytest.mark.parametrize("operator", ["Elu", "Celu", "Softplus", "Selu"])
def test_one_that_is_no_product_with_its_input_is_refused(operator: str) -> None:
    """Its definition is read, with what it says of attributes that the node leaves out."""
    with pytest.raises(onnx2snn.ConversionError, match="this nonlinearity between neurons") as refused:
        onnx2snn.convert(network(operator))
    assert operator in str(refused.value)
