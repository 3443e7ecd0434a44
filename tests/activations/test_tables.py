"""Functions of one tensor as tables of thresholds: every stock activation, wherever its quantisers stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples

import onnx2snn
from onnx2snn.activations import Table, table_parameters
from onnx2snn.activations.tables import reached

X = {"x": samples(100, 6, seed=4) * 3}
WEIGHTS: dict[str, Any] = {
    "w": samples(6, 8, seed=1),
    "u": samples(8, 8, seed=3),
    "v": samples(8, 3, seed=2),
    "slopes": np.linspace(-0.5, 1.5, 8).astype(np.float32),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "three": np.float32(3),
    "sixth": np.float32(1 / 6),
    "zero": np.float32(0),
    "six": np.float32(6),
    "root2": np.float32(np.sqrt(2)),
    "cubic": np.float32(0.044715),
    "root2pi": np.float32(np.sqrt(2 / np.pi)),
}


def chain(*steps: tuple[Any, ...], z: str = "z", f: str = "f") -> list[onnx.NodeProto]:
    """(operator, inputs ...) one after the other; ``z`` is what all begin with, ``.`` what the last wrote."""
    nodes, last = [], z
    for number, (operator, *inputs) in enumerate(steps):
        attributes = inputs.pop() if inputs and isinstance(inputs[-1], dict) else {}
        out = f if number == len(steps) - 1 else f"{f}{number}"
        read = [{".": last, "z": z}.get(name, name) for name in inputs or ["."]]
        nodes.append(node(operator, read, [out], **attributes))
        last = out
    return nodes


ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "Sigmoid": (("Sigmoid",),),
    "Tanh": (("Tanh",),),
    "SiLU": (("Sigmoid",), ("Mul", "z", "."),),
    "HardSwish": (("HardSwish",),),
    "HardSwish, spelled": (("Add", ".", "three"), ("Clip", ".", "zero", "six"), ("Mul", ".", "sixth"), ("Mul", "z", "."),),
    "HardSigmoid": (("HardSigmoid",),),
    "GELU, by Erf": (
        ("Div", ".", "root2"), ("Erf",), ("Add", ".", "one"), ("Mul", "z", "."), ("Mul", ".", "half")
    ),
    "GELU, by Tanh": (
        ("Mul", "z", "z"), ("Mul", ".", "z"), ("Mul", ".", "cubic"), ("Add", ".", "z"), ("Mul", ".", "root2pi"),
        ("Tanh",), ("Add", ".", "one"), ("Mul", "z", "."), ("Mul", ".", "half"),
    ),
    "Mish": (("Softplus",), ("Tanh",), ("Mul", "z", "."),),
    "Softplus": (("Softplus",),),
    "Softsign": (("Softsign",),),
    "ELU": (("Elu",),),
    "SELU": (("Selu",),),
    "LeakyRelu": (("LeakyRelu",),),
    "PRelu": (("PRelu", ".", "slopes"),),
    "Exp": (("Exp",),),
    "Abs": (("Abs",),),
    "square": (("Mul", "z", "z"),),
}  # fmt: skip


def quantised(
    name: str, start: str, end: str, scale: float, zero: Any
) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """A pair of QuantizeLinear and DequantizeLinear."""
    constants = {f"{name}/s": np.float32(scale), f"{name}/z": zero}
    nodes = [
        node("QuantizeLinear", [start, *constants], [f"{name}/q"]),
        node("DequantizeLinear", [f"{name}/q", *constants], [end]),
    ]
    return nodes, constants


def network(name: str) -> onnx.ModelProto:
    """Three layers: the activation in front of its only quantiser, between two of uint8, and between two of int8."""
    steps, nodes, constants, last = ACTIVATIONS[name], [], dict(WEIGHTS), "x"
    for layer, before in enumerate((None, (0.07, np.uint8(120)), (0.06, np.int8(3)))):
        behind = (0.05, np.int8(-100)) if layer == 2 else (0.04, np.uint8(30))
        z, f = f"z{layer}", f"f{layer}"
        nodes.append(node("MatMul", [last, "u" if layer else "w"], [f"m{layer}" if before else z]))
        if before:
            pair, held = quantised(f"before{layer}", f"m{layer}", z, *before)
            nodes, constants = [*nodes, *pair], {**constants, **held}
        last = f"a{layer}"
        pair, held = quantised(f"behind{layer}", f, last, *behind)
        nodes, constants = [*nodes, *chain(*steps, z=z, f=f), *pair], {**constants, **held}
    nodes.append(node("MatMul", [last, "v"], ["y"]))
    return make_model(nodes, constants, {"x": ["N", 6]}, {"y": ["N", 3]})


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_lossless(activation: str) -> None:
    source = network(activation)
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    assert len(conversion.layers) <= 6
    certificate = onnx2snn.verify(source, conversion.model, X)
    assert certificate.lossless
    compared = sum(layer.levels_compared for layer in certificate.layers)
    assert sum(layer.ambiguous + layer.propagated for layer in certificate.layers) <= compared / 50


#: Step functions with no quantiser behind them; whether all their numbers are exact.
STEPS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], list[int]]] = {
    "sign, 0 at 0": (chain(("Sign",), ("Identity",)), {}, [2]),
    "its own ties": (chain(("Sign",), ("Mul", ".", "half")), {}, [2]),
    "a cast rounds towards zero": (
        chain(("Clip", ".", "lo", "hi"), ("Cast", ".", {"to": 6}), ("Cast", ".", {"to": 1})),
        {"lo": np.float32(-3), "hi": np.float32(4)}, [7],
    ),
    "powers of two": (
        [
            node("GreaterOrEqual", ["z", "one"], ["m1"]), node("Greater", ["z", "three"], ["m2"]),
            node("Where", ["m2", "six", "three"], ["d"]), node("Where", ["m1", "d", "zero"], ["f"]),
        ], {}, [2],
    ),
    "between two comparisons, by Xor": (
        [
            node("GreaterOrEqual", ["z", "zero"], ["m1"]), node("Greater", ["z", "three"], ["m2"]),
            node("Xor", ["m1", "m2"], ["m"]), node("Where", ["m", "six", "zero"], ["f"]),
        ], {}, [],
    ),
    "one level left out, by Equal": (
        [
            *chain(("Clip", ".", "lo", "hi"), ("Floor",), f="k"),
            node("Equal", ["k", "one"], ["m"]), node("Where", ["m", "zero", "k"], ["f"]),
        ], {"lo": np.float32(0), "hi": np.float32(3)}, [],
    ),
    "a floor by its remainder": (
        [
            *chain(("Clip", ".", "lo", "hi"), f="c"),
            node("Mod", ["c", "one"], ["r"], fmod=1), node("Sub", ["c", "r"], ["f"]),
        ], {"lo": np.float32(0), "hi": np.float32(5)}, [],
    ),
    "a cast to a truth value": (
        chain(("Relu",), ("Cast", ".", {"to": 9}), ("Cast", ".", {"to": 1})), {}, [1],
    ),
    "numbers that a code chooses": (
        [*quantised("before", "z", "held", 0.5, np.uint8(4))[0], node("Cast", ["before/q"], ["i"], to=6),
         node("Gather", ["numbers", "i"], ["f"])],
        {**quantised("before", "z", "held", 0.5, np.uint8(4))[1],
         "numbers": np.round(samples(256, seed=7) * 3).astype(np.float32)}, [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_steps_that_are_not_alike(name: str) -> None:
    """Bit for bit, ties included: many potentials stand on a threshold."""
    nodes, constants, levels = STEPS[name]
    exact = {"w": np.round(WEIGHTS["w"] * 2) / 2, "v": np.round(WEIGHTS["v"] * 4) / 4}
    front, back = node("MatMul", ["x", "w"], ["z"]), node("MatMul", ["f", "v"], ["y"])
    source = make_model(
        [front, *nodes, back], {**WEIGHTS, **constants, **exact}, {"x": ["N", 6]}, {"y": ["N", 3]}
    )
    conversion = onnx2snn.convert(source)
    assert not levels or [layer.levels for layer in conversion.layers] == levels
    certificate = onnx2snn.verify(source, conversion.model, {"x": np.round(X["x"] * 4) / 4})
    assert certificate.lossless
    assert certificate.max_abs_error == 0


def test_thresholds_are_the_smallest_floats_that_have_reached() -> None:
    positions, strict = (
        np.array([[-1.5, 0.0], [0.1, 0.5], [np.inf, 2.0]]),
        np.array([[0, 1], [0, 0], [0, 1]], bool),
    )
    zeros, one = np.zeros((3, 2)), np.ones(())
    table = Table(positions, strict, zeros, one, 0 * one, one, 0 * one)
    held = table_parameters(table, 3)
    columns = held.thresholds[held.rows[..., None] + np.arange(7)].T
    edges = np.concatenate([columns.ravel(), np.nextafter(columns, np.float32(-np.inf)).ravel()])
    edges = edges[np.isfinite(edges)]
    z = np.stack([edges, edges], axis=1)
    np.testing.assert_array_equal(reached(columns, z), table.level(z))


def test_a_list_to_pick_from_may_be_as_long_as_an_axis() -> None:
    """Its entries belong to levels, not to the channels beside which they would stand."""
    nodes = [
        node("MatMul", ["x", "w"], ["z"]),
        node("Floor", ["z"], ["f"]),
        node("Clip", ["f", "low", "high"], ["c"]),
        node("Add", ["c", "starts"], ["i"]),
        node("Cast", ["i"], ["whole"], to=onnx.TensorProto.INT64),
        node("Gather", ["list", "whole"], ["g"]),
        node("MatMul", ["g", "v"], ["y"]),
    ]
    constants = {
        "w": samples(3, 8) * 4, "v": samples(8, 2), "low": np.float32(0), "high": np.float32(3),
        "starts": np.array([0, 4, 0, 0, 4, 4, 0, 4], np.float32), "list": np.array([0, 1, 2, 4, 0, 1, 3, 5], np.float32),
    }  # fmt: skip
    model = make_model(nodes, constants, {"x": ["N", 3]}, {"y": ["N", 2]}, opset=18)
    conversion = onnx2snn.convert(model)
    assert not conversion.non_spiking
    assert onnx2snn.verify(model, conversion, {"x": samples(50, 3)}).lossless
