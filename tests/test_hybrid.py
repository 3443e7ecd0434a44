"""What no neuron can be: refused by name, or kept, compared as values and counted."""

# ruff: noqa: E501 - a table

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_quantised import Quantised
from onnx import helper

import onnx2snn
from onnx2snn.runtime import SpikingSession

NUMBERS = {name: np.float32(v) for name, v in {"two": 2, "half": 0.5, "zero": 0, "five": 5}.items()}
X = {"x": np.round(samples(4, 3, 6, 6) * 4).astype(np.float32) / 4}


def act(z: str, a: str) -> list[onnx.NodeProto]:
    return [
        node("Mul", [z, "two"], [f"{a}1"]),
        node("Floor", [f"{a}1"], [f"{a}2"]),
        node("Clip", [f"{a}2", "zero", "five"], [f"{a}3"]),
        node("Mul", [f"{a}3", "half"], [a]),
    ]


def network(between: list[onnx.NodeProto], **constants: Any) -> onnx.ModelProto:
    """Neurons ``a``, nodes from ``a`` to ``m``, neurons, a readout."""
    weights = {f"w{i}": np.round(samples(3, 3, 1, 1, seed=i) * 2) / 2 for i in range(5)}
    nodes = [
        node("Conv", ["x", "w0"], ["z"]), *act("z", "a"), *between,
        node("Conv", ["m", "w1"], ["q"]), *act("q", "b"), node("Conv", ["b", "w2"], ["y"]),
    ]  # fmt: skip
    return make_model(
        nodes, {**NUMBERS, **weights, **constants}, {"x": ["N", 3, 6, 6]}, {"y": ["N", 3, 6, 6]}
    )


SQUEEZE_EXCITE = [
    node("GlobalAveragePool", ["a"], ["g"]),
    node("Conv", ["g", "w3"], ["h"]),
    node("Sigmoid", ["h"], ["s"]),
    node("Mul", ["a", "s"], ["m"]),
]

#: By name: the nodes, the node that the error names, and its reason.
REFUSED: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], str, str]] = {
    "product of values": ([node("Softmax", ["a"], ["s"]), node("Mul", ["s", "s"], ["m"])], {}, r"'s' \(Softmax\)", "nonlinearity"),
    "power mean": ([node("LpPool", ["a"], ["m"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], p=2)], {}, r"'m' \(LpPool\)", "nonlinearity"),
    "instance norm": ([node("InstanceNormalization", ["a", "one", "nil"], ["m"])], {"one": np.ones(3, np.float32), "nil": np.zeros(3, np.float32)}, r"'m' \(InstanceNormalization\)", "nonlinearity"),
    "local response": ([node("LRN", ["a"], ["m"], size=3)], {}, r"'m' \(LRN\)", "nonlinearity"),
    "mean and variance": ([node("MeanVarianceNormalization", ["a"], ["m"])], {}, r"'m' \(MeanVarianceNormalization\)", "nonlinearity"),
    "smooth activation": ([node("Conv", ["a", "w3"], ["h"]), node("Tanh", ["h"], ["m"])], {}, r"'m' \(Tanh\)", "nonlinearity"),
    "float activation": ([node("Conv", ["a", "w3"], ["h"]), node("Relu", ["h"], ["m"])], {}, r"'m' \(Relu\)", "nothing rounds it"),
    "sum over the batch": ([node("ReduceMean", ["a"], ["h"], axes=[0]), node("Add", ["a", "h"], ["m"])], {}, r"'.' \(.*\)", "mixes samples"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    between, constants, where, why = REFUSED[name]
    with pytest.raises(onnx2snn.ConversionError, match=where) as caught:
        onnx2snn.convert(network(between, **constants))
    assert why in str(caught.value)
    assert "remedy: " in str(caught.value)


@pytest.mark.parametrize("name", [name for name in REFUSED if "batch" not in name])
def test_kept_on_request(name: str) -> None:
    between, constants, _, _ = REFUSED[name]
    source = network(between, **constants)
    conversion = onnx2snn.convert(source, hybrid=True)
    assert conversion.non_spiking
    certificate = onnx2snn.verify(source, conversion.model, X)
    assert certificate.lossless
    assert certificate.max_abs_error < 1e-5


def tracker() -> onnx.ModelProto:
    """What it looks for is the kernel: one branch of the sample slides over the other."""
    net = Quantised(6)
    features = [
        net.quantised(net.add("Relu", net.add("Conv", x, net.weights(6, 3, 3, 3))), 0.02) for x in ("x", "t")
    ]
    kernels = net.quantised(net.add("Conv", features[1], net.weights(8, 6, 2, 2)), 0.03, 120)
    kernels = net.add("Reshape", kernels, net.hold(np.array([2, 4, 2, 2])))
    searched = net.quantised(net.add("Conv", features[0], net.weights(4, 6, 1, 1)), 0.03, 120)
    found = net.quantised(net.add("Conv", searched, kernels), 0.1, 120)
    net.add("Conv", found, net.weights(2, 2, 1, 1), output="y")
    return net.model({"x": [1, 3, 8, 8], "t": [1, 3, 5, 5]}, {"y": [1, 2, 5, 5]})


def test_a_kernel_of_the_sample_is_kept_on_request() -> None:
    source = tracker()
    with pytest.raises(onnx2snn.ConversionError, match="mixes samples"):
        onnx2snn.convert(source)
    conversion = onnx2snn.convert(source, hybrid=True)
    assert [operator.operator for operator in conversion.non_spiking] == ["Conv"]
    draws = np.random.default_rng(0)
    data = {n: draws.normal(0, 1, (3, 3, s, s)).astype(np.float32) for n, s in (("x", 8), ("t", 5))}
    assert onnx2snn.verify(source, conversion, data).lossless


#: Operators that read no floats, between neurons: what stands there, and the lines that they get, by node.
ON_INTEGERS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], list[str]]] = {
    "a table by position": (
        [node("ArgMax", ["a"], ["i"], axis=1, keepdims=1), node("Gather", ["table", "i"], ["g"]), node("Add", ["a", "g"], ["m"])],
        {"table": np.arange(3, dtype=np.float32)}, ["i", "g"],
    ),
    "a sort of codes": (
        [node("Cast", ["a"], ["c"], to=7), node("TopK", ["c", "six"], ["t", "p"], axis=3), node("Cast", ["t"], ["m"], to=1)],
        {"six": np.array([6])}, ["c", "t"],
    ),
    "a remainder of codes": (
        [node("Conv", ["a", "w3"], ["h"]), *act("h", "k"), node("Cast", ["a"], ["c"], to=6), node("Cast", ["k"], ["d"], to=6),
         node("Add", ["d", "more"], ["e"]), node("Mod", ["c", "e"], ["t"]), node("Cast", ["t"], ["m"], to=1)],
        {"more": np.int32(1)}, ["c", "d", "e", "t"],
    ),
    "masks": (
        [node("ReduceMax", ["a"], ["h"], axes=[1], keepdims=1), node("Equal", ["a", "h"], ["e"]), node("Greater", ["a", "half"], ["g"]),
         node("And", ["e", "g"], ["n"]), node("Cast", ["n"], ["m"], to=1)],
        {}, ["h", "e", "g", "n"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_INTEGERS)
def test_operators_on_integers_have_lines_too(name: str) -> None:
    between, constants, expected = ON_INTEGERS[name]
    model = network(between, **constants)
    with pytest.raises(onnx2snn.ConversionError) as caught:
        onnx2snn.convert(model)
    assert caught.value.node in expected
    kept = onnx2snn.convert(model, hybrid=True).non_spiking
    assert {k.name for k in kept} <= set(expected)
    assert {k.name for k in kept} >= {
        n.output[0] for n in between if n.op_type in ("ArgMax", "Gather", "TopK", "Mod", "And")
    }


@pytest.mark.parametrize("pooled", [True, False])
def test_in_front_of_a_quantised_output_a_softmax_is_part_of_its_neuron(pooled: bool) -> None:
    """Its divisor scales the neuron's thresholds; where no neuron is wanted there, it belongs to the readout."""
    model = network([node("Identity", ["a"], ["m"])])
    pool = node("GlobalAveragePool" if pooled else "Identity", ["d"], ["out"])
    model.graph.node.extend([node("Softmax", ["y"], ["head"], axis=1), *act("head", "d"), pool])
    size = 1 if pooled else 6
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", 1, ["N", 3, size, size]))
    conversion = onnx2snn.convert(model)
    assert not conversion.non_spiking
    assert onnx2snn.verify(model, conversion.model, X).lossless


def test_what_remains_of_the_multiply_accumulates_is_told() -> None:
    """A convolution of 3 × 3 channels is 324 of them on the picture, 9 on the pooled one; the first reads the input.

    The factor of squeeze and excitation is a value; it is held while spikes come in, and what they cause are spikes still.
    """
    macs = onnx2snn.convert(network(SQUEEZE_EXCITE), hybrid=True).macs
    assert macs == {"ann": 3 * 324 + 9, "analog": 324, "non_spiking": 0}


def test_weights_on_the_left_read_trains_too() -> None:
    nodes = [node("MatMul", ["x", "w"], ["z"]), *act("z", "a"), node("MatMul", ["v", "a"], ["y"])]
    constants = {**NUMBERS, "w": samples(6, 5), "v": samples(7, 4)}
    source = make_model(nodes, constants, {"x": ["N", 4, 6]}, {"y": ["N", 7, 5]})
    conversion = onnx2snn.convert(source)
    assert conversion.macs == {"ann": 4 * 6 * 5 + 7 * 4 * 5, "analog": 4 * 6 * 5, "non_spiking": 0}


def test_a_function_that_some_levels_have_no_value_of_is_compared_where_it_has_one() -> None:
    """Patterns of levels with the other sign, which maxima let through, have no root: in both networks."""
    random = np.random.default_rng(0)
    constants = {name: (random.integers(-8, 9, (8, 8)) / 16).astype(np.float32) for name in ("w", "v")}
    constants |= {"s": np.float32(0.25), "z": np.uint8(0)}
    nodes = [
        node("MatMul", ["x", "w"], ["c"], "dense"),
        node("QuantizeLinear", ["c", "s", "z"], ["q"], "quantise"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise"),
        node("Sqrt", ["d"], ["u"], "root"),
        node("QuantizeLinear", ["u", "s", "z"], ["q2"], "quantise again"),
        node("DequantizeLinear", ["q2", "s", "z"], ["d2"], "dequantise again"),
        node("MatMul", ["d2", "v"], ["y"], "readout"),
    ]
    source = make_model(nodes, constants, {"x": ["N", 8]}, {"y": ["N", 8]})
    x = (random.integers(-16, 17, (100, 8)) / 8).astype(np.float32)
    assert onnx2snn.verify(source, onnx2snn.convert(source, hybrid=True).model, {"x": x}).lossless


@pytest.mark.parametrize("by", ["Slice", "Gather"])
@pytest.mark.parametrize("batch", ["N", 4])
def test_neurons_behind_what_crops_the_batch(by: str, batch: Any) -> None:
    """They run, and all samples share what they cost; levels are compared as long as they are equal, and never in vain."""
    bounds: dict[str, Any] = {
        "from": np.array([0]),
        "to": np.array([2]),
        "axis": np.array([0]),
        "some": np.array([0, 1]),
    }
    crop = (
        node("Slice", ["a", "from", "to", "axis"], ["m"])
        if by == "Slice"
        else node("Gather", ["a", "some"], ["m"], axis=0)
    )
    source = network([crop], **bounds)
    source.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    source.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "M"
    if batch == "N":
        source.graph.input[0].type.tensor_type.shape.dim[0].dim_param = batch
    else:
        source.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    try:
        conversion = onnx2snn.convert(source, hybrid=True)
    except onnx2snn.ConversionError as error:
        assert "does not grow with the batch" in error.message  # noqa: PT017 - a Slice of a fixed batch
        return
    result = SpikingSession(conversion.model.SerializeToString()).run(X)
    assert result.outputs["y"].shape == (2, 3, 6, 6)
    assert result.spikes["b/neuron"].shape == (4,)
    try:
        assert onnx2snn.verify(source, conversion.model, X).lossless
    except onnx2snn.InvalidModelError as error:
        assert "belong to no one sample" in error.message or "cannot be computed" in error.message  # noqa: PT017
