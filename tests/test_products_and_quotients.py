"""Products of two signals, quotients in front of neurons, analog values beside trains: METHOD 12 and 13, from file to file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_graphs import node
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.conversion import Conversion
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

EXECUTIONS = ("spiking", "fused", "int8", "streaming")


def gate() -> onnx.ModelProto:
    """Squeeze and excitation: a channel's factor, from the whole map."""
    net = Quantised()
    x = net.quantised(net.add("Relu", net.add("Conv", "x", net.weights(8, 3, 3, 3), pads=[1] * 4)), 0.02)
    squeezed = net.quantised(net.add("GlobalAveragePool", x), 0.013)
    factor = net.quantised(net.add("Conv", squeezed, net.weights(8, 8, 1, 1)), 0.01, 100)
    gated = net.quantised(net.add("Mul", x, factor), 0.017, 90)
    net.add("Conv", gated, net.weights(4, 8, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 6, 6]})


def attention(softmax: bool = True) -> onnx.ModelProto:
    """One head: signed queries and keys, whose constant part meets a held potential."""
    net = Quantised(1)
    parts = [net.add("MatMul", "x", net.weights(8, 8)) for _ in range(3)]
    q, k, v = (net.quantised(part, 0.03, 0, np.int8) for part in parts)
    scores = net.quantised(net.add("MatMul", q, net.add("Transpose", k, perm=[0, 2, 1])), 0.1, 3, np.int8)
    weights = net.quantised(net.add("Softmax", scores, axis=-1), 0.004) if softmax else scores
    mixed = net.quantised(net.add("MatMul", weights, v), 0.03, 2, np.int8)
    net.add("MatMul", mixed, net.weights(8, 5), output="y")
    return net.model({"x": ["N", 6, 8]}, {"y": ["N", 6, 5]})


def normalised(spelling: str) -> onnx.ModelProto:
    """A layer norm with factors of both signs, between synapses."""
    net = Quantised(2)
    a = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.03, 3, np.int8)
    gamma, beta = net.weights(8, spread=1.0), net.weights(8)
    if spelling == "operator":
        n = net.add("LayerNormalization", a, gamma, beta, axis=-1)
    elif spelling == "spelled":
        centred = net.add("Sub", a, net.add("ReduceMean", a, axes=[-1], keepdims=1))
        power = net.add("Pow", centred, net.hold(np.float32(2)))
        variance = net.add(
            "Add", net.add("ReduceMean", power, axes=[-1], keepdims=1), net.hold(np.float32(1e-5))
        )
        scaled = net.add("Mul", net.add("Div", centred, net.add("Sqrt", variance)), gamma)
        n = net.add("Add", scaled, beta)
    else:
        n = net.add("LpNormalization", a, axis=-1, p=2)
    n = net.quantised(n, 0.02, 5, np.int8)
    hidden = net.quantised(net.add("MatMul", n, net.weights(8, 8)), 0.03, 90)
    net.add("MatMul", hidden, net.weights(8, 5), output="y")
    return net.model({"x": ["N", 6, 8]}, {"y": ["N", 6, 5]})


def instances() -> onnx.ModelProto:
    net = Quantised(3)
    a = net.quantised(net.add("Conv", "x", net.weights(4, 3, 3, 3)), 0.03, 3, np.int8)
    n = net.add("InstanceNormalization", a, net.weights(4, spread=1.0), net.weights(4))
    net.add("Conv", net.quantised(n, 0.02, 100), net.weights(4, 4, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 4, 4]})


def responses(size: int, beta: float) -> onnx.ModelProto:
    """Each response divided by those of its neighbours among the channels."""
    net = Quantised(5)
    a = net.quantised(net.add("Relu", net.add("Conv", "x", net.weights(6, 3, 3, 3))), 0.02)
    n = net.add("LRN", a, size=size, alpha=0.9, beta=beta, bias=1.5)
    net.add("Conv", net.quantised(n, 0.01), net.weights(4, 6, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 4, 4]})


def joined(op: str) -> onnx.ModelProto:
    """A branch of the input beside spikes, in front of synapses."""
    net = Quantised(4)
    a = net.quantised(net.add("Conv", "x", net.weights(3, 3, 3, 3), pads=[1] * 4), 0.03, 40)
    both = net.add("Concat", "x", a, "x", axis=1) if op == "Concat" else net.add(op, "x", a)
    channels = 9 if op == "Concat" else 3
    b = net.quantised(net.add("Conv", both, net.weights(4, channels, 3, 3)), 0.03, 100)
    net.add("Conv", b, net.weights(4, 4, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 4, 4]})


def averaged(spelling: str) -> onnx.ModelProto:
    """What a quantiser leaves in floats in front of an average: a function of a level, of a potential, a quotient."""
    net = Quantised(5)
    a = net.add("Conv", "x", net.weights(4, 3, 3, 3))
    if spelling == "of a potential":
        f = net.add("Relu", a)
    elif spelling == "of a level":
        f = net.add("Celu", net.quantised(a, 0.03, 120))
    elif spelling == "gated":
        f = net.add("Mul", a, net.add("Sigmoid", a))
    else:
        a = net.quantised(a, 0.03, 120)
        more = net.add("Add", net.quantised(net.add("Abs", a), 0.015), net.hold(np.float32(1)))
        f = net.add("Div", a, net.quantised(more, 0.02))
    mean = net.quantised(net.add("GlobalAveragePool", f), 0.03, 100)
    net.add("Conv", mean, net.weights(5, 4, 1, 1), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 5, 1, 1]})


def normalised_in_steps() -> onnx.ModelProto:
    """A layer norm with a quantiser behind each operator: the variance has neurons of its own."""
    net = Quantised()
    z = net.quantised(net.add("MatMul", "x", net.weights(8, 6, spread=0.5)), 0.031, 131)
    centred = net.add("Sub", z, net.add("ReduceMean", z, axes=[-1], keepdims=1))
    power = net.add("ReduceMean", net.add("Pow", centred, net.hold(np.float32(2))), axes=[-1], keepdims=1)
    power = net.quantised(net.add("Add", net.quantised(power, 0.009), net.hold(np.float32(0.01))), 0.009)
    normal = net.quantised(net.add("Div", centred, net.add("Sqrt", power)), 0.029, 129)
    scaled = net.quantised(
        net.add("Mul", normal, net.hold(np.linspace(-1, 2, 6, dtype=np.float32))), 0.041, 120
    )
    net.add("MatMul", scaled, net.weights(6, 3), output="y")
    return net.model({"x": ["N", 4, 8]}, {"y": ["N", 4, 3]})


def pooled() -> onnx.ModelProto:
    """A pyramid of pools over a gate in floats, as where only what synapses read is quantised."""
    net = Quantised(7)
    a = net.add("Conv", "x", net.weights(4, 3, 3, 3))
    f = net.add("Mul", a, net.add("Sigmoid", a))
    p = net.add("MaxPool", f, kernel_shape=[3, 3], pads=[1] * 4)
    b = net.quantised(net.add("Concat", f, p, axis=1), 0.03, 40)
    net.add("Conv", b, net.weights(5, 8, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 5, 4, 4]})


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "gate": gate,
    "attention": attention,
    "attention without softmax": lambda: attention(softmax=False),
    "layer norm": lambda: normalised("operator"),
    "layer norm, spelled": lambda: normalised("spelled"),
    "unit vectors": lambda: normalised("lp"),
    "instance norm": instances,
    "responses of neighbours": lambda: responses(5, 0.75),
    "responses of few neighbours": lambda: responses(3, 0.5),
    "joined": lambda: joined("Concat"),
    "added": lambda: joined("Add"),
    "subtracted": lambda: joined("Sub"),
    "averaged function of a level": lambda: averaged("of a level"),
    "averaged function of a potential": lambda: averaged("of a potential"),
    "pools of a function": pooled,
    "averaged product": lambda: averaged("gated"),
    "averaged quotient": lambda: averaged("quotient"),
    "layer norm in steps": normalised_in_steps,
}


def drawn(source: onnx.ModelProto, samples: int) -> dict[str, np.ndarray]:
    shape = [d.dim_value for d in source.graph.input[0].type.tensor_type.shape.dim][1:]
    return {"x": np.random.default_rng(0).normal(0, 1, (samples, *shape)).astype(np.float32)}


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request: pytest.FixtureRequest) -> tuple[onnx.ModelProto, Conversion]:
    source = NETWORKS[request.param]()
    return source, onnx2snn.convert(source)


def test_converts_by_default_and_is_certified(
    pair: tuple[onnx.ModelProto, Conversion],
) -> None:
    source, conversion = pair
    assert conversion.non_spiking == ()
    certificate = onnx2snn.verify(source, conversion, drawn(source, 16))
    assert certificate.lossless
    compared = sum(layer.levels_compared for layer in certificate.layers)
    assert sum(layer.ambiguous for layer in certificate.layers) < 0.01 * compared


def test_all_executions_agree_on_every_spike(
    pair: tuple[onnx.ModelProto, Conversion],
) -> None:
    source, conversion = pair
    x = drawn(source, 3)
    content = conversion.model.SerializeToString()
    results = [SpikingSession(content, execution=e).run(x) for e in EXECUTIONS]
    first = results[0]
    for other in results[1:]:
        np.testing.assert_allclose(other.outputs["y"], first.outputs["y"], rtol=0, atol=1e-4)
        for layer in first.synops:
            np.testing.assert_array_equal(other.spikes[layer], first.spikes[layer])
            np.testing.assert_array_equal(other.synops[layer], first.synops[layer])


def test_gates_of_open_sizes_are_counted_by_the_data() -> None:
    """A factor's spike meets each place of its channel, however many there are."""
    source = gate()
    for axis in (2, 3):
        for info in (source.graph.input[0], source.graph.output[0]):
            info.type.tensor_type.shape.dim[axis].dim_param = f"{info.name}{axis}"
    conversion = onnx2snn.convert(source)
    factor = conversion.layers[2].name
    for size in (5, 8):
        x = {"x": np.random.default_rng(1).normal(0, 1, (2, 3, size, size)).astype(np.float32)}
        result = SpikingSession(conversion.model.SerializeToString()).run(x)
        np.testing.assert_array_equal(result.synops[factor], size**2 * result.spikes[factor])


def test_a_spike_reaches_as_many_held_entries_as_it_multiplies() -> None:
    """Of two trains that are equally deep the second is held: a query meets all keys, a key its own potential."""
    source = attention(softmax=False)
    conversion = onnx2snn.convert(source)
    x = {"x": np.random.default_rng(1).normal(0, 1, (3, 6, 8)).astype(np.float32)}
    result = SpikingSession(conversion.model.SerializeToString()).run(x)
    queries, keys, values, scores, mixed = (layer.name for layer in conversion.layers)
    for name, reached in ((queries, 6), (keys, 1), (values, 1), (scores, 8), (mixed, 5)):
        np.testing.assert_array_equal(result.synops[name], reached * result.spikes[name])


def test_what_dendrites_compute_of_potentials_is_counted_by_operator() -> None:
    """A softmax over 6 × 6 scores: a maximum, a difference, an exponential and a sum of each; all in the energy."""
    conversion = onnx2snn.convert(attention())
    *_, weights, _ = conversion.layers
    assert weights.analog == {"Exp": 36, "ReduceMax": 36, "ReduceSum": 36, "Sub": 36}
    x = {"x": np.random.default_rng(1).normal(0, 1, (2, 6, 8)).astype(np.float32)}
    energy = SpikingSession(conversion.model.SerializeToString()).run(x).energy
    total = sum(sum(layer.analog.values()) for layer in conversion.layers)
    spikes = sum(energy.snn_layers.values())
    np.testing.assert_allclose(energy.snn, spikes + energy.analog + total * 4.6e-12)


def test_a_function_in_front_of_an_average_is_computed_once_and_counted() -> None:
    """Of 4 × 6 × 6 levels; the neuron of the average reads values."""
    conversion = onnx2snn.convert(averaged("of a level"))
    assert [layer.analog.get("Celu") for layer in conversion.layers] == [None, 4 * 6 * 6]


def test_a_function_in_front_of_weights_is_refused_by_name() -> None:
    """Its synapses would be dense products."""
    net = Quantised(6)
    a = net.quantised(net.add("Conv", "x", net.weights(4, 3, 3, 3)), 0.03, 120)
    b = net.quantised(net.add("Conv", net.add("Celu", a), net.weights(4, 4, 3, 3)), 0.03, 120)
    net.add("Conv", b, net.weights(5, 4, 1, 1), output="y")
    with pytest.raises(onnx2snn.ConversionError, match="Celu"):
        onnx2snn.convert(net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 5, 4, 4]}))


@pytest.mark.parametrize("op", ["Concat", "Add"])
def test_what_is_analog_beside_a_train_is_computed_once(op: str) -> None:
    """Synapses behind read spikes, and the branch of the input by itself: no layer runs on decoded values."""
    conversion = onnx2snn.convert(joined(op))
    trains = {layer.output for layer in conversion.layers}
    readers = {
        name for node in conversion.model.graph.node if node.op_type in ("Pad", "Conv") for name in node.input
    }
    assert trains & readers
    assert conversion.macs["non_spiking"] == 0


def test_a_product_is_integrated_in_front_of_a_quotient() -> None:
    """Its numerator is a train once the other operand is held."""
    net = Quantised(7)
    a = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.03, 3, np.int8)
    h = net.add("MatMul", a, net.weights(8, 8))
    product = net.add("Mul", h, net.add("Erf", h))
    net.nodes.append(node("DynamicQuantizeLinear", [product], ["q", "s", "z"], name="range"))
    codes = net.hold(np.random.default_rng(0).integers(-99, 99, (8, 5)).astype(np.int8))
    sums = net.add("Cast", net.add("MatMulInteger", "q", codes, "z"), to=onnx.TensorProto.FLOAT)
    net.add("Mul", sums, "s", output="y")
    source = net.model({"x": [1, 6, 8]}, {"y": [1, 6, 5]})
    conversion = onnx2snn.convert(source)
    x = {"x": np.random.default_rng(1).normal(0, 1, (1, 6, 8)).astype(np.float32)}
    np.testing.assert_allclose(
        run_reference(conversion.model, x)["y"], run_reference(source, x)["y"], rtol=1e-5
    )


def test_two_tokens_alike_are_weighed_as_their_quantiser_does() -> None:
    """Half of 255 lies between two levels, a rounding away from a tie: masked attention has it wherever two tokens are left."""
    net = Quantised()
    scores = net.quantised(net.add("MatMul", "x", net.weights(8, 2)), 0.05, 128)
    scale, zero = net.hold(np.float32(1 / 255)), net.hold(np.array(0, np.uint8))
    codes = net.add("QuantizeLinear", net.add("Softmax", scores, axis=-1), scale, zero)
    net.add("MatMul", net.add("DequantizeLinear", codes, scale, zero), net.weights(2, 5), output="y")
    model = net.model({"x": ["N", 3, 8]}, {"y": ["N", 3, 5]})
    conversion, x = onnx2snn.convert(model), np.zeros((2, 3, 8), np.float32)
    certificate = onnx2snn.verify(model, conversion, {"x": x})
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
    expected = run_reference(model, {"x": x})["y"]
    for execution in EXECUTIONS:
        found = SpikingSession(conversion, execution=execution).run({"x": x}).outputs["y"]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=execution)
