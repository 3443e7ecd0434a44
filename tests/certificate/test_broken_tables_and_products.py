"""One thing wrong in a table, a product or a quotient: the certificate sees it, or refuses the file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_quantised import Quantised
from onnx import numpy_helper
from test_products_and_quotients import attention, drawn

import onnx2snn


def curve() -> onnx.ModelProto:
    """HardSwish between two quantisers: rising and falling steps."""
    net = Quantised(8)
    a = net.quantised(net.add("Conv", "x", net.weights(4, 3, 3, 3)), 0.03, 120)
    f = net.quantised(net.add("HardSwish", a), 0.02, 20)
    net.add("Conv", f, net.weights(5, 4, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 5, 4, 4]})


def threshold_off_by_one_ulp(model: onnx.ModelProto) -> None:
    """The middle one of those that a potential can reach."""
    table = next(node for node in model.graph.node if node.op_type == "TableIF")
    held = next(i for i in model.graph.initializer if i.name == table.input[2])
    values = numpy_helper.to_array(held).copy()
    middle = int(np.isfinite(values).sum() // 2)
    values[middle] = np.nextafter(values[middle], np.float32(-np.inf))
    held.CopyFrom(numpy_helper.from_array(values, held.name))


def scale_forgotten(model: onnx.ModelProto) -> None:
    """Thresholds are not multiplied by the divisor, but by its sign."""
    neuron = next(node for node in model.graph.node if node.op_type == "ScaledIF")
    scale = neuron.input[-1]
    neuron.input[-1] = f"{scale}/sign"
    place = list(model.graph.node).index(neuron)
    model.graph.node.insert(place, onnx.helper.make_node("Sign", [scale], [neuron.input[-1]], name="sign"))


def operands_exchanged(model: onnx.ModelProto) -> None:
    """Scores times values, the other way round."""
    held = {name for node in model.graph.node if node.op_type == "Hold" for name in node.output}
    product = next(node for node in model.graph.node if node.op_type == "MatMul" and held & {*node.input})
    first, second = product.input
    product.input[0], product.input[1] = second, first


BROKEN: list[tuple[Callable[[], onnx.ModelProto], Callable[[onnx.ModelProto], None]]] = [
    (curve, threshold_off_by_one_ulp),
    (attention, scale_forgotten),
    (attention, operands_exchanged),
]


@pytest.mark.parametrize(("network", "broken"), BROKEN, ids=lambda one: one.__name__)
def test_no_mutant_survives(
    network: Callable[[], onnx.ModelProto], broken: Callable[[onnx.ModelProto], None]
) -> None:
    source = network()
    samples = drawn(source, 4)
    model = onnx2snn.convert(source).model
    assert onnx2snn.verify(source, model, samples).lossless
    broken(model)
    if broken is operands_exchanged:  # matrices of other sizes
        with pytest.raises(onnx2snn.InvalidModelError):
            onnx2snn.verify(source, model, samples)
    else:
        assert not onnx2snn.verify(source, model, samples).lossless
