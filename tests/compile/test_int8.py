"""The int8 execution of 8-bit networks: everything between their quantisers flows in bytes, and levels are the others'."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_networks import dyadic
from onnx.parser import parse_model

import onnx2snn
from onnx2snn.compile.byte_synapses import whole_rows
from onnx2snn.compile.executions import write_execution
from onnx2snn.compile.network import read_network
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.target import Target

_HERE = Target(elements=True, contributed=True)
_HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


def network(body: str, *, channels: int = 8, seed: int = 0, **weights: tuple[int, ...]) -> onnx.ModelProto:
    """A network whose quantisers have scales of 0.05 and zero points of 120 (``z``) or 0 (``o``), with drawn 8-bit weights."""
    held = "float s = {0.05}, float t = {0.00390625}, uint8 z = {120}, uint8 o = {0}"
    text = f"agraph (float[N, {channels}, 6, 6] x) => (float[N, A, B, C] y) <{held}>"
    model = parse_model(f"{_HEADER}\n{text} {{ {body} }}")
    random = np.random.default_rng(seed)
    for name, shape in weights.items():
        scale = random.uniform(0.001, 0.004, shape[0]).astype(np.float32)
        constants = {
            f"{name}_q": random.integers(-127, 128, shape).astype(np.int8),
            f"{name}_s": scale,
            f"{name}_z": np.zeros(shape[0], np.int8),
            f"{name}_b": random.integers(-800, 800, shape[0]).astype(np.int32),
            f"{name}_bs": (scale * np.float32(0.05)).astype(np.float32),
            f"{name}_bz": np.zeros(shape[0], np.int32),
        }
        model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in constants.items())
    return model


def convolution(read: str, weights: str, written: str, attributes: str = "") -> str:
    """A convolution with weights and bias in integers, in front of a quantiser of scale ``s`` and zero ``z``."""
    return f"""
        {weights}_d = DequantizeLinear<axis = 0>({weights}_q, {weights}_s, {weights}_z)
        {weights}_e = DequantizeLinear<axis = 0>({weights}_b, {weights}_bs, {weights}_bz)
        {written}_c = Conv{attributes and f"<{attributes}>"}({read}, {weights}_d, {weights}_e)
        {written}_q = QuantizeLinear({written}_c, s, z)
        {written} = DequantizeLinear({written}_q, s, z)"""


def quantised(name: str, written: str, scale: str = "s", zero: str = "z") -> str:
    """A quantiser and its counterpart."""
    return f"{written}_q = QuantizeLinear({name}, {scale}, {zero}) {written} = DequantizeLinear({written}_q, {scale}, {zero})"


NETWORKS = {
    "a residual sum": quantised("x", "a")
    + convolution("a", "v", "b")
    + convolution("b", "w", "c", "pads = [1, 1, 1, 1]")
    + "r = Add(c, b)"
    + quantised("r", "y"),
    "a gate": quantised("x", "a")
    + convolution("a", "v", "b")
    + "p = GlobalAveragePool(b)"
    + quantised("p", "g")
    + convolution("g", "w", "h")
    + "i = Sigmoid(h)"
    + quantised("i", "j", "t", "o")
    + "k = Mul(b, j)"
    + quantised("k", "y"),
    "a function that falls": quantised("x", "a")
    + convolution("a", "v", "b")
    + "h = Sigmoid(b)"
    + quantised("h", "i", "t", "o")
    + "k = Mul(b, i)"
    + quantised("k", "l")
    + convolution("l", "w", "y", "pads = [1, 1, 1, 1]"),
    "parts beside each other": quantised("x", "a")
    + convolution("a", "v", "b")
    + "h = Relu(b)"
    + quantised("h", "i", "s", "o")
    + "k = Concat<axis = 1>(b, i)"
    + quantised("k", "l")
    + convolution("l", "u", "m", "pads = [1, 1, 1, 1]")
    + "n = MaxPool<kernel_shape = [2, 2], strides = [2, 2], storage_order = 0>(m)"
    + convolution("n", "w", "y"),
}
SHAPES = {"v": (8, 8, 1, 1), "w": (8, 8, 1, 1), "u": (8, 16, 3, 3)}


def made(name: str) -> onnx.ModelProto:
    shapes = dict(SHAPES) if "u_q" in NETWORKS[name] else {"v": SHAPES["v"], "w": SHAPES["w"]}
    if "pads" in NETWORKS[name] and "u" not in shapes:
        shapes["w"] = (8, 8, 3, 3)
    return network(NETWORKS[name], **shapes)


@pytest.mark.parametrize("name", [*NETWORKS])
def test_answers_are_those_of_the_source(name: str) -> None:
    source = made(name)
    converted = onnx2snn.convert(source).model
    x = np.random.default_rng(2).normal(0, 3, (4, 8, 6, 6)).astype(np.float32)
    for count in ("nothing", "spikes"):
        session = SpikingSession(converted, execution="int8", count=count)
        certificate = onnx2snn.verify(source, converted, {"x": x}, execution="int8")
        assert certificate.lossless
        assert set(session.run({"x": x}).outputs) == {"y"}


@pytest.mark.parametrize("name", [*NETWORKS])
def test_all_but_the_input_and_the_answer_flows_in_bytes(name: str) -> None:
    written = write_execution(read_network(onnx2snn.convert(made(name)).model), "int8", target=_HERE)
    operators = Counter(node.op_type for node in written.structure.graph.node)
    assert operators["QLinearConv"] == NETWORKS[name].count("= Conv")
    assert not operators.keys() & {"Conv", "Greater", "GreaterOrEqual", "GlobalAveragePool", "Floor"}
    kernels = {"a residual sum": "QLinearAdd", "a gate": "QLinearMul"}
    assert operators[kernels.get(name, "QLinearConv")] >= 1


@pytest.mark.parametrize("name", [*NETWORKS])
def test_levels_are_read_from_a_compiled_file(name: str) -> None:
    source = made(name)
    converted = onnx2snn.convert(source).model
    compiled = onnx2snn.compile(converted, execution="int8")
    x = np.random.default_rng(3).normal(0, 3, (3, 8, 6, 6)).astype(np.float32)
    assert onnx2snn.verify(source, compiled, {"x": x}).lossless
    assert {node.domain for node in compiled.model.graph.node} == {""}


def test_sizes_of_a_resized_tensor_survive_another_layout() -> None:
    """onnxruntime moves layouts through a Resize, and takes sizes of some axes for those of all."""
    body = (
        quantised("x", "a")
        + convolution("a", "v", "b")
        + "n = Shape<start = 0, end = 2>(b) m = Concat<axis = 0>(n, side)"
        + 'd = Resize<mode = "linear", coordinate_transformation_mode = "half_pixel">(b, , , m)'
        + quantised("d", "e")
        + convolution("e", "w", "y")
    )
    source = network(body, v=SHAPES["v"], w=SHAPES["w"])
    source.graph.initializer.append(onnx.numpy_helper.from_array(np.array([12, 12], np.int64), "side"))
    converted = onnx2snn.convert(source).model
    assert all(
        "axes" not in {a.name for a in n.attribute} for n in converted.graph.node if n.op_type == "Resize"
    )
    x = np.random.default_rng(2).normal(0, 3, (4, 8, 6, 6)).astype(np.float32)
    assert onnx2snn.verify(source, converted, {"x": x}, execution="int8").lossless


def test_parts_that_synapses_of_floats_read_are_found_where_they_stand() -> None:
    """They are written of bytes for one reader, of floats for another: two nodes of one name."""
    body = (
        quantised("x", "a")
        + "b = Relu(x)"
        + quantised("b", "c", "t", "o")
        + "d = Flatten(a) e = Flatten(c) f = Concat<axis = 1>(d, e)"
        + quantised("f", "g")
        + "y = MatMul(g, dense)"
    )
    source = network(body)
    del source.graph.output[0].type.tensor_type.shape.dim[2:]
    dense = np.random.default_rng(4).normal(0, 1, (576, 5)).astype(np.float32)
    source.graph.initializer.append(onnx.numpy_helper.from_array(dense, "dense"))
    converted = onnx2snn.convert(source).model
    x = np.random.default_rng(3).normal(0, 3, (3, 8, 6, 6)).astype(np.float32)
    for made_of_it in (converted, onnx2snn.compile(converted, execution="int8")):
        assert onnx2snn.verify(source, made_of_it, {"x": x}, execution="int8").lossless
    answers = SpikingSession(converted, execution="int8").run({"x": x}, count="spikes")
    expected = SpikingSession(converted).run({"x": x}, count="spikes")
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(answers.spikes[name], spikes)


def test_weights_that_no_quantiser_rounded_stay_what_they_are() -> None:
    """onnxruntime would round them to 8 bits: a convolution of quantised values that is quantised is one of bytes to it."""
    body = quantised("x", "a") + "b = Conv(a, k, f)" + quantised("b", "g") + "h = HardSwish(g)"
    source = network(body + quantised("h", "c") + "y = Conv(c, k)")
    random = np.random.default_rng(4)
    for name, shape in (("k", (8, 8, 1, 1)), ("f", (8,))):
        values = random.normal(0, 0.5, shape).astype(np.float32)
        source.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    converted = onnx2snn.convert(source).model
    x = random.normal(0, 3, (4, 8, 6, 6)).astype(np.float32)
    certificate = onnx2snn.verify(source, converted, {"x": x}, execution="int8")
    assert certificate.lossless
    assert sum(layer.exact for layer in certificate.layers) > 0.99 * sum(
        layer.levels_compared for layer in certificate.layers
    )


def test_float_weights_of_few_bits_keep_their_own_unit() -> None:
    """Multiples of 1/8 are as many multiples of 1/120: of that unit, which float32 lacks, exact ties would fall to one side."""
    w = dyadic(6, 3, 3, 3, seed=1, unit=0.125, top=8)
    whole, unit = whole_rows(w.reshape(6, -1)) or (None, None)
    np.testing.assert_array_equal(unit, np.full(6, 0.125))
    np.testing.assert_array_equal(whole, 8 * w.reshape(6, -1))
    fine, coarse, zero = np.float32(0.5), np.float32(0.25), np.array(0, np.uint8)
    nodes = [
        node("QuantizeLinear", ["x", "fine", "middle"], ["codes"]),
        node("DequantizeLinear", ["codes", "fine", "middle"], ["read"]),
        node("Conv", ["read", "w"], ["z"], pads=[1, 1, 1, 1]),
        node("QuantizeLinear", ["z", "coarse", "zero"], ["levels"]),
        node("DequantizeLinear", ["levels", "coarse", "zero"], ["k"]),
        node("Flatten", ["k"], ["flat"]),
        node("MatMul", ["flat", "v"], ["y"]),
    ]
    constants = {
        "w": w,
        "v": dyadic(384, 3, seed=2),
        "fine": fine,
        "coarse": coarse,
        "zero": zero,
        "middle": np.int8(0),
    }
    model = make_model(nodes, constants, {"x": ["N", 3, 8, 8]}, {"y": ["N", 3]})
    x, conversion = dyadic(4, 3, 8, 8, seed=3, unit=0.5, top=8), onnx2snn.convert(model)
    fused = SpikingSession(conversion, execution="fused").levels({"x": x})
    for name, levels in SpikingSession(conversion, execution="int8").levels({"x": x}).items():
        np.testing.assert_array_equal(levels, fused[name], err_msg=name)
