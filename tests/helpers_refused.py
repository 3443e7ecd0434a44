"""Networks that are refused, each for one reason, and what stands in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from helpers_graphs import make_model, node
from helpers_operators import dyadic

import onnx2snn

Model = onnx.ModelProto


Activation = Callable[[str, str], list[onnx.NodeProto]]


CONSTANTS = {
    "w0": dyadic(6, 8, seed=1), "w1": dyadic(8, 8, seed=2), "w2": dyadic(8, 3, seed=3), "two": np.float32(2),
    "half": np.float32(0.5), "odd": np.float32(0.41421357), "zero": np.float32(0), "five": np.float32(5),
    "of_odd": np.float32(15 / 0.41421357), "zero_point": np.uint8(0),
}  # fmt: skip


def quantised(source: str, name: str, step: str = "half") -> list[onnx.NodeProto]:
    return [
        node("Div", [source, step], [f"{name}/1"]),
        node("Round", [f"{name}/1"], [f"{name}/2"]),
        node("Clip", [f"{name}/2", "zero", "five"], [f"{name}/3"]),
        node("Mul", [f"{name}/3", step], [name]),
    ]


def one(operator: str) -> Activation:
    return lambda source, name: [node(operator, [source], [name], name=name)]


def by_another(source: str, name: str) -> list[onnx.NodeProto]:
    """A function of two activations that is no product."""
    slopes = f"{name}/slopes"
    return [node("MatMul", [source, "w1"], [slopes]), node("PRelu", [source, slopes], [name], name=name)]


def network(*between: Any, **constants: np.ndarray) -> Model:
    """Three dense layers; what lies ``between`` them: an activation each, or nothing."""
    first, second = between or (None, None)
    nodes = [node("MatMul", ["x", "w0"], ["z0"], name="dense0")]
    nodes += first("z0", "a0") if first else []
    nodes += [node("MatMul", ["a0" if first else "z0", "w1"], ["z1"], name="dense1")]
    nodes += second("z1", "a1") if second else []
    nodes += [node("MatMul", ["a1" if second else "z1", "w2"], ["y"], name="dense2")]
    return make_model(nodes, {**CONSTANTS, **constants}, {"x": ["N", 6]}, {"y": ["N", 3]})


def dynamic(batch: int | str = "N") -> Model:
    """As onnxruntime's quantize_dynamic writes it."""
    nodes = []
    for i, (source, result) in enumerate((("x", "z"), ("a", "y"))):
        nodes += [
            node("DynamicQuantizeLinear", [source], [f"q{i}", f"s{i}", f"o{i}"], name=f"quantise{i}"),
            node("MatMulInteger", [f"q{i}", f"v{i}", f"o{i}"], [f"i{i}"]),
            node("Cast", [f"i{i}"], [f"j{i}"], to=1),
            node("Mul", [f"j{i}", f"s{i}"], [result]),
        ]
    nodes.insert(4, node("Relu", ["z"], ["a"]))
    weights = {f"v{i}": dyadic(*s, seed=i).astype(np.int8) for i, s in enumerate(((6, 8), (8, 3)))}
    return make_model(nodes, weights, {"x": [batch, 6]}, {"y": [batch, 3]})


def in_levels(top: int) -> Model:
    """Levels up to ``top`` between 256 neurons and general weights: many bits leave few for those."""
    rng = np.random.default_rng(0)
    constants: dict[str, Any] = {"step": np.float32(6 / top), "top": np.float32(top), "zero": np.float32(0)}
    sizes = (6, 256), (256, 256), (256, 3)
    constants |= {f"w{i}": rng.normal(0, s[0] ** -0.5, s).astype(np.float32) for i, s in enumerate(sizes)}
    nodes, last = [], "x"
    for i in range(3):
        nodes.append(node("MatMul", [last, f"w{i}"], [f"z{i}"], name=f"dense{i}"))
        last = f"a{i}"
        nodes += [
            node("Div", [f"z{i}", "step"], [f"{last}/1"]),
            node("Round", [f"{last}/1"], [f"{last}/2"]),
            node("Clip", [f"{last}/2", "zero", "top"], [f"{last}/3"]),
            node("Mul", [f"{last}/3", "step"], [last]),
        ] * (i < 2)
    return make_model(nodes, constants, {"x": ["N", 6]}, {"z2": ["N", 3]})


def larger(step: str) -> Activation:
    """The larger of two activations."""
    return lambda source, name: [
        *quantised(source, f"{name}/l"),
        *quantised(source, f"{name}/r", step),
        node("Max", [f"{name}/l", f"{name}/r"], [name], name=name),
    ]


def largest_sum(step: str) -> Activation:
    """The largest sum of two activations."""
    return lambda source, name: [
        *quantised(source, f"{name}/l"),
        node("Neg", [source], [f"{name}/n"]),
        *quantised(f"{name}/n", f"{name}/r", step),
        node("Add", [f"{name}/l", f"{name}/r"], [f"{name}/s"]),
        node("ReduceMax", [f"{name}/s"], [name], name=name, axes=[1], keepdims=1),
    ]


def linear_quantiser(scale: str) -> Activation:
    """QuantizeLinear and DequantizeLinear; another scale than the constant is that of the data."""
    return lambda source, name: [
        node("ReduceMax", ["x"], ["of_data"], keepdims=0),
        node("QuantizeLinear", [source, scale, "zero_point"], [f"{name}/q"], name=f"{name}/q"),
        node("DequantizeLinear", [f"{name}/q", scale, "zero_point"], [name], name=name),
    ]


def positions(*, folded: bool) -> Model:
    """Two rows for each sample, each with constants of its own; they lie in the batch, or beside it."""
    rows = np.array([-1, 4] if folded else [-1, 2, 4])
    nodes = [
        *quantised("x", "a0"),
        node("Reshape", ["a0", "apart"], ["r0"]),
        node("Add", ["r0", "positions"], ["r1"]),
        node("Reshape", ["r1", "rows"], ["r2"]),
        node("MatMul", ["r2", "inner"], ["z1"], name="dense1"),
        *quantised("z1", "a1"),
        node("Reshape", ["a1", "whole"], ["r3"]),
        node("MatMul", ["r3", "outer"], ["y"], name="dense2"),
    ]
    constants = {
        "apart": np.array([-1, 2, 4]), "rows": rows, "whole": np.array([-1, 8]), "positions": dyadic(2, 4, seed=5),
        "inner": dyadic(4, 4, seed=6), "outer": dyadic(8, 3, seed=7),
    }  # fmt: skip
    nodes.insert(0, node("MatMul", ["x0", "w0"], ["x"]))
    return make_model(nodes, {**CONSTANTS, **constants}, {"x0": ["N", 6]}, {"y": ["N", 3]})


def resized(mode: str) -> Model:
    """A map of two by three, enlarged between its neurons."""
    nodes = [
        node("MatMul", ["x", "w0"], ["z0"]),
        *quantised("z0", "a0"),
        node("Reshape", ["a0", "map"], ["m"]),
        node("Resize", ["m", "all", "enlarged"], ["r"], name="r", mode="nearest", nearest_mode="ceil",
             coordinate_transformation_mode=mode),
        node("Reshape", ["r", "flat"], ["f"]),
        node("MatMul", ["f", "w3"], ["z1"]),
        *quantised("z1", "a1"),
        node("MatMul", ["a1", "w2"], ["y"]),
    ]  # fmt: skip
    constants = {
        "map": np.array([-1, 1, 2, 4]), "all": np.zeros(8, np.float32),
        "enlarged": np.array([1, 1, 2, 1], np.float32), "flat": np.array([-1, 16]),
        "w3": dyadic(16, 8, seed=8),
    }  # fmt: skip
    return make_model(nodes, {**CONSTANTS, **constants}, {"x": ["N", 6]}, {"y": ["N", 3]}, opset=11)


def pictures(*batch: int) -> Model:
    """Of six by six, in two channels; where the input has no batch, one is put in front of it."""
    front = node("Identity" if batch else "Unsqueeze", ["x"] if batch else ["x", "first"], ["x1"])
    nodes = [
        front,
        node("Conv", ["x1", "kernel"], ["z"], name="c"),
        *quantised("z", "a"),
        node("GlobalAveragePool", ["a"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "w2"], ["y1"]),
        node("Squeeze", ["y1", "first"], ["y"]),
    ]
    constants = {**CONSTANTS, "first": np.array([0]), "kernel": dyadic(8, 2, 3, 3, seed=9)}
    return make_model(nodes, constants, {"x": [*batch, 2, 6, 6]}, {"y": [3]}, opset=13)


def by_block() -> Model:
    """A scale for each two channels."""
    model = network(quantised, lambda z, a: [
        node("QuantizeLinear", [z, "blocks", "zeros"], ["q"], name="q", axis=1, block_size=2),
        node("DequantizeLinear", ["q", "blocks", "zeros"], [a], axis=1, block_size=2),
    ], blocks=np.ones((1, 4), np.float32), zeros=np.zeros((1, 4), np.uint8))  # fmt: skip
    model.opset_import[0].version, model.ir_version = 21, 10
    return model


def small_floats() -> Model:
    model = network(quantised, lambda z, a: [
        node("QuantizeLinear", [z, "half", "float8"], ["q"], name="q"), node("DequantizeLinear", ["q", "half"], [a]),
    ])  # fmt: skip
    zero = onnx.helper.make_tensor("float8", onnx.TensorProto.FLOAT8E5M2, [], [0.0])
    model.graph.initializer.append(zero)
    model.opset_import[0].version, model.ir_version = 21, 10
    return model


def of_bits(bits: list[int]) -> Model:
    """QONNX quantisers with a sign, by channel."""
    model = network(quantised, lambda z, a: [
        node("Quant", [z, "half", "zero", "bits"], [a], "quant", domain="qonnx.custom_op.general",
             signed=1, narrow=0, rounding_mode="ROUND"),
    ], bits=np.array([bits], np.float32))  # fmt: skip
    model.opset_import.append(onnx.helper.make_opsetid("qonnx.custom_op.general", 1))
    return model


def of_one_batch() -> Model:
    """A number for each sample of a batch of four."""
    model = network(quantised, quantised)
    model.graph.node.insert(0, node("Add", ["x0", "places"], ["x"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(dyadic(4, 6), "places"))
    for info, name in ((model.graph.input[0], "x0"), (model.graph.output[0], "y")):
        info.name = name
        info.type.tensor_type.shape.dim[0].dim_value = 4
    return model


def with_weights(*, given: bool) -> Model:
    """The last weights are an input, which counts no samples, or constants."""
    model = network(quantised, quantised)
    if given:
        held = next(t for t in model.graph.initializer if t.name == "w2")
        model.graph.initializer.remove(held)
        model.graph.input.append(onnx.helper.make_tensor_value_info("w2", held.data_type, held.dims))
    return model


def without_shapes(sizes: list[int] | None = None) -> Model:
    """The rank of what is spread is not known before the run, unless its sizes are constants."""
    model = network(quantised, quantised)
    model.graph.node.insert(0, node("Reshape", ["x0", "sizes"], ["x"]))
    model.graph.node.append(node("Softmax", ["y"], ["p"]))
    model.graph.output[0].name, model.graph.input[0].name = "p", "x0"
    if sizes is None:
        given = onnx.helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, ["rank"])
        model.graph.input.append(given)
    else:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes), "sizes"))
    return model


def foreign(domain: str, operator: str) -> Model:
    """A layer that a tool of QONNX's or FINN's made."""
    model = network(quantised, lambda z, a: [node(operator, [z], [a], "layer", domain=domain)])
    model.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    return model


def in_front(model: Model, made: str) -> Model:
    """What is in front of a tensor."""
    return onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(["x"], [made])


def pact(rounding: str) -> Activation:
    """Clipped by absolute values (PACT): float32 computes its plateau with a rounding error that depends on what it is given."""
    return lambda source, name: [
        node("Abs", [source], [f"{name}/p"]),
        node("Sub", [source, "odd"], [f"{name}/d"]),
        node("Abs", [f"{name}/d"], [f"{name}/q"]),
        node("Sub", [f"{name}/p", f"{name}/q"], [f"{name}/u"]),
        node("Add", [f"{name}/u", "odd"], [f"{name}/v"]),
        node("Mul", [f"{name}/v", "half"], [f"{name}/y"]),
        node("Mul", [f"{name}/y", "of_odd"], [f"{name}/z"]),
        node(rounding, [f"{name}/z"], [f"{name}/k"]),
        node("Div", [f"{name}/k", "of_odd"], [name]),
    ]


def training() -> Model:
    """Dropout that drops."""
    model = network(quantised, quantised)
    model.graph.node[-1].input[0] = "dropped"
    model.graph.node.insert(len(model.graph.node) - 1, node("Dropout", ["a1", "", "on"], ["dropped"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "on"))
    return model


def spiking() -> Model:
    return onnx2snn.convert(network(quantised, quantised)).model


def overflowing(factor: float) -> Model:
    """What lies in front of the second quantiser is infinite where the first one holds enough."""
    tables = [
        node("Mul", ["a0", "factor"], ["a0/large"], name="large"),
        node("Mul", ["a0/large", "a0/large"], ["a0/square"], name="square"),
    ]
    model = network(quantised, quantised, factor=np.float32(factor))
    at = next(i for i, n in enumerate(model.graph.node) if n.name == "dense1")
    model.graph.node[at].input[0] = "a0/square"
    for offset, made in enumerate(tables):
        model.graph.node.insert(at + offset, made)
    return model
