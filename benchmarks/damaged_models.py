"""Damaged model files, each the same for the same number: what :mod:`fuzz_files` feeds to the commands."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import onnx
from damaged_bytes import BYTES, EXTREMES, FLOATS
from damaged_tensors import (
    constant,
    damage_data,
    damage_declared,
    damage_dims,
    damage_type,
    damage_values,
)
from onnx import TensorProto, helper

Models = Callable[[onnx.ModelProto, random.Random], None]


def damaged(content: bytes, number: int) -> tuple[str, bytes]:
    """The kind of damage ``number`` stands for, and ``content`` with it."""
    draw = random.Random(number)  # noqa: S311 - nothing secret
    if draw.random() < 0.4:
        name = draw.choice(list(BYTES))
        return name, BYTES[name](content, draw)
    model = onnx.ModelProto.FromString(content)
    kinds = [draw.choice(list(MODELS)) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    for kind in kinds:
        try:
            MODELS[kind](model, draw)
        except (IndexError, ValueError, TypeError):  # noqa: PERF203
            continue  # there is nothing of that kind in this file, or protobuf does not hold such a value
    return kinds[0], model.SerializeToString()


# What exporters and strangers write: valid protobuf, whatever it says.


def _node(model: onnx.ModelProto, draw: random.Random) -> onnx.NodeProto:
    return draw.choice(model.graph.node)


def _attribute(model: onnx.ModelProto, draw: random.Random) -> None:
    node = draw.choice([n for n in model.graph.node if n.attribute])
    attribute = draw.choice(node.attribute)
    change = draw.randrange(6)
    if change == 0:
        node.attribute.remove(attribute)
    elif change == 1:
        node.attribute.append(attribute)
    elif change == 2:
        attribute.type = draw.randrange(16)
    elif change == 3:
        attribute.name = draw.choice(
            ("", "axis", "value", "to", "pads", "kernel_shape", "strides", "\U0001f600")
        )
    elif attribute.ints:
        attribute.ints[draw.randrange(len(attribute.ints))] = draw.choice(EXTREMES)
    else:
        attribute.i, attribute.f = draw.choice(EXTREMES), draw.choice(FLOATS)


def _new_attribute(model: onnx.ModelProto, draw: random.Random) -> None:
    name = draw.choice(
        ("axis", "axes", "group", "pads", "strides", "dilations", "to", "perm", "auto_pad", "value", "mode")
    )
    value: Any = draw.choice(
        (draw.choice(EXTREMES), draw.choice(FLOATS), [draw.choice(EXTREMES)] * 4, "SAME_UPPER")
    )
    _node(model, draw).attribute.append(helper.make_attribute(name, value))


def _wire(model: onnx.ModelProto, draw: random.Random) -> None:
    """An input reads something else: of another shape, of later, of nowhere."""
    node = draw.choice([n for n in model.graph.node if n.input])
    names = [name for n in model.graph.node for name in [*n.input, *n.output]]
    node.input[draw.randrange(len(node.input))] = draw.choice([*names, "nowhere", "", node.output[0]])


def _arity(model: onnx.ModelProto, draw: random.Random) -> None:
    node = _node(model, draw)
    change = draw.randrange(4)
    if change == 0 and node.input:
        node.input.pop()
    elif change == 1:
        node.input.append(draw.choice([*node.input, "", "nowhere"]))
    elif change == 2 and node.output:
        node.output.pop()
    else:
        node.output.append(draw.choice(["extra", "", *node.input]))


def _operator(model: onnx.ModelProto, draw: random.Random) -> None:
    node = _node(model, draw)
    change = draw.randrange(4)
    if change == 0:
        node.op_type = draw.choice(OPERATORS)
    elif change == 1:
        node.domain = draw.choice(
            ("ai.onnx", "ai.onnx.ml", "com.microsoft", "onnx2snn", "qonnx.custom_op.general", "unknown", " ")
        )
    elif change == 2:
        node.op_type = draw.choice(("", "Frobnicate", "relu", "IF", "Integrate", "Staircase", "x" * 5000))
    else:
        node.op_type = draw.choice([n.op_type for n in model.graph.node])


#: With as few demands on inputs as there are, and as many surprises.
OPERATORS = (
    "Relu", "Sigmoid", "Floor", "Ceil", "Round", "Neg", "Abs", "Sqrt", "Log", "Sign", "Identity", "Shape", "Size", "NonZero",
    "Flatten", "Transpose", "Softmax", "ArgMax", "GlobalAveragePool", "GlobalMaxPool", "Add", "Mul", "Div", "Sub", "Pow",
    "MatMul", "Max", "Min", "Mod", "Where", "Concat", "Expand", "Tile", "Range", "ConstantOfShape", "OneHot", "Resize", "Pad",
    "Reshape", "Gather", "ScatterND", "QuantizeLinear", "DequantizeLinear", "Clip", "Cast", "Unsqueeze", "Squeeze", "Conv",
    "ConvTranspose", "BatchNormalization", "RandomNormal", "Loop", "If", "Scan", "SequenceConstruct", "StringNormalizer", "TopK",
)  # fmt: skip


def _names(model: onnx.ModelProto, draw: random.Random) -> None:
    node, other = _node(model, draw), _node(model, draw)
    change = draw.randrange(4)
    if change == 0 and node.output and other.output:
        node.output[0] = other.output[0]
    elif change == 1:
        node.name = draw.choice((other.name, "", "\n", "a" * 10_000, "../../x", "[bold red]", "\U0001f600"))
    elif change == 2:
        constant(model, draw).name = draw.choice((*node.input, "", model.graph.input[0].name))
    else:
        draw.choice([*model.graph.input, *model.graph.output]).name = draw.choice((*node.output, "", "x"))


def _nodes(model: onnx.ModelProto, draw: random.Random) -> None:
    """Nodes go, come twice, or stand in another order."""
    nodes = list(model.graph.node)
    change = draw.randrange(4)
    if change == 0:
        del nodes[draw.randrange(len(nodes))]
    elif change == 1:
        nodes.insert(draw.randrange(len(nodes)), draw.choice(nodes))
    elif change == 2:
        draw.shuffle(nodes)
    else:
        nodes.reverse()
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _opset(model: onnx.ModelProto, draw: random.Random) -> None:
    change = draw.randrange(4)
    if change == 0:
        draw.choice(model.opset_import).version = draw.choice((*EXTREMES, *range(1, 30)))
    elif change == 1:
        del model.opset_import[:]
    elif change == 2:
        model.opset_import.append(
            helper.make_opsetid(draw.choice(("", "ai.onnx", "odd")), draw.choice((1, 9, 21, 99)))
        )
    else:
        model.ir_version = draw.choice(EXTREMES)


def _external(model: onnx.ModelProto, draw: random.Random) -> None:
    tensor = constant(model, draw)
    tensor.data_location = TensorProto.EXTERNAL
    location = draw.choice(
        (
            "missing.bin",
            "../../etc/passwd",
            "/etc/passwd",
            "/dev/zero",
            "",
            ".",
            "model.onnx",
            "a\0b",
            "x" * 5000,
        )
    )
    for key, value in (
        ("location", location),
        ("offset", draw.choice(EXTREMES)),
        ("length", draw.choice(EXTREMES)),
    ):
        if draw.random() < 0.8:
            tensor.external_data.add(key=key, value=str(value))


def _function(model: onnx.ModelProto, draw: random.Random) -> None:
    """Functions that call each other: deep, wide, or in a circle."""
    depth, calls = draw.choice(((3, 1), (30, 2), (30, 10), (2000, 1), (20_000, 1), (5, 1)))
    circle = draw.random() < 0.3
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("odd", 1)]
    for level in range(depth):
        last = level == depth - 1
        target = ("odd", "f0") if last and circle else ("", "Relu") if last else ("odd", f"f{level + 1}")
        names = ["a", *(f"t{i}" for i in range(1, calls)), "b"]
        nodes = [
            helper.make_node(target[1], [x], [y], domain=target[0]) for x, y in itertools.pairwise(names)
        ]
        model.functions.append(helper.make_function("odd", f"f{level}", ["a"], ["b"], nodes, opsets))
    model.opset_import.append(helper.make_opsetid("odd", 1))
    node = _node(model, draw)
    node.domain, node.op_type = "odd", "f0"
    del node.attribute[:]


def _subgraph(model: onnx.ModelProto, draw: random.Random) -> None:
    """Branches within branches."""
    output = helper.make_tensor_value_info("deep", TensorProto.FLOAT, None)
    name = model.graph.input[0].name
    graph = helper.make_graph([helper.make_node("Relu", [name], ["deep"])], "g", [], [output])
    for _ in range(draw.choice((1, 3, 10, 20, 24))):
        node = helper.make_node(
            "If",
            ["condition"],
            ["deep"],
            then_branch=graph,
            else_branch=graph
            if draw.random() < 0.1
            else helper.make_graph([helper.make_node("Relu", [name], ["deep"])], "e", [], [output]),
        )
        graph = helper.make_graph([node], "g", [], [output])
    model.graph.initializer.append(
        helper.make_tensor("condition", TensorProto.BOOL, [], [draw.random() < 0.5])
    )
    for number, node in enumerate(graph.node):
        model.graph.node.insert(number, node)
    for node in model.graph.node:
        for position, read in enumerate(node.input):
            if read == name:
                node.input[position] = "deep"


def _table(model: onnx.ModelProto, draw: random.Random) -> None:
    """The layer table of a converted network: damaged, of the future, of another network."""
    entry = draw.choice(model.metadata_props)
    change = draw.randrange(5)
    if change == 0:
        entry.value = draw.choice(
            ("", "{", "null", "[]", "{}", '{"dialect": 99}', '{"dialect": "x"}', "[" * 5000)
        )
    elif change == 1:
        old, new = draw.choice(
            (
                ('"timesteps": ', '"timesteps": 9'),
                ('"neurons": ', '"neurons": -'),
                ("layers", "Layers"),
                ("output", "Output"),
                ('"levels": ', '"levels": 1e99, "x": '),
                ("name", "mane"),
                ("0.", "NaN, 0."),
                ("[", ""),
            )
        )
        entry.value = entry.value.replace(old, new)
    elif change == 2:
        model.metadata_props.remove(entry)
    elif change == 3:
        model.metadata_props.append(entry)
    else:
        text = bytearray(entry.value.encode())
        text[draw.randrange(len(text))] = draw.choice(b' {}[]",:0aA9-')
        entry.value = text.decode()


MODELS: dict[str, Models] = {
    "values": damage_values,
    "sizes of a constant": damage_dims,
    "type": damage_type,
    "data": damage_data,
    "declared shapes": damage_declared,
    "attribute": _attribute,
    "new attribute": _new_attribute,
    "wiring": _wire,
    "arity": _arity,
    "operator": _operator,
    "names": _names,
    "nodes": _nodes,
    "opset": _opset,
    "external data": _external,
    "functions": _function,
    "subgraphs": _subgraph,
    "layer table": _table,
}  # fmt: skip
