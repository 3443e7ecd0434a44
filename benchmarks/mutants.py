"""Spiking networks with one thing wrong: what a certificate has to catch."""

# ruff: noqa: ARG001, ARG005 - all changes have one signature

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.dialect.layer_table import METADATA_KEY, read_layer_table

Change = Callable[[onnx.ModelProto, onnx.NodeProto, np.random.Generator], None]
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Mutation:
    """One kind of mistake.

    Attributes:
        kind: In words.
        operators: Whose nodes it can befall; empty: the model as a whole.
        change: Makes it, in place; nothing where it does not apply.
    """

    kind: str
    operators: tuple[str, ...]
    change: Change

    def mutants(
        self, model: onnx.ModelProto, *, most: int, seed: int = 0
    ) -> Iterator[tuple[str, onnx.ModelProto]]:
        """Up to ``most`` changed copies of ``model``, each with the name of the node at fault."""
        nodes = (
            [i for i, n in enumerate(model.graph.node) if n.op_type in self.operators]
            if self.operators
            else [0]
        )
        random = np.random.default_rng(seed)
        for position in sorted(random.permutation(nodes)[:most].tolist()):
            mutant = onnx.ModelProto()
            mutant.CopyFrom(model)
            node = mutant.graph.node[position]
            self.change(mutant, node, random)
            if mutant != model:
                yield node.name, mutant


def values(model: onnx.ModelProto, name: str) -> np.ndarray | None:
    found = next((t for t in model.graph.initializer if t.name == name), None)
    return None if found is None else numpy_helper.to_array(found).copy()


def constant(position: int, function: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    """Change one constant of one node; other nodes that share it keep theirs."""

    def change(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
        if position >= len(node.input):
            return
        held = values(model, node.input[position])
        if held is None or not held.size:
            return
        changed = np.asarray(function(held.copy(), random), np.float32)
        if not np.array_equal(changed, held):
            name = f"{node.name}/{position}/changed"
            model.graph.initializer.append(numpy_helper.from_array(changed, name))
            node.input[position] = name

    return change


def neuron(function: Callable[[np.ndarray, np.ndarray, str], np.ndarray]) -> Change:
    """Change what a neuron compares with; ``function`` gets it, what spikes take, and the rounding rule."""

    def change(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
        taken = values(model, node.input[3])
        rule = next(a.s.decode() for a in node.attribute if a.name == "rounding")
        constant(2, lambda compare, _: function(compare, taken, rule))(model, node, random)

    return change


def threshold_off(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    """All that has the unit of the threshold, as if the weights had been scaled by another; no longer 1."""
    for position in (2, 3, 4):
        constant(position, lambda v, _: v * (1 + 1e-4))(model, node, random)
    next(a for a in node.attribute if a.name == "unit").i = 0


def together(*changes: Change) -> Change:
    def change(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
        for one in changes:
            one(model, node, random)

    return change


def one_weight(function: Callable[[float], float], *, largest: bool = False) -> Change:
    def on(w: np.ndarray, random: np.random.Generator) -> np.ndarray:
        flat = w.reshape(-1)
        nonzero = np.flatnonzero(flat)
        if nonzero.size:
            at = int(np.argmax(np.abs(flat))) if largest else int(random.choice(nonzero))
            flat[at] = function(float(flat[at]))
        return w

    return constant(1, on)


def swapped(axis: int) -> Change:
    def on(w: np.ndarray, _: np.random.Generator) -> np.ndarray:
        if w.ndim < 2 or w.shape[axis] < 2:
            return w
        order = np.arange(w.shape[axis])
        order[:2] = 1, 0
        return np.take(w, order, axis=axis)

    return constant(1, on)


def one_channel(
    function: Callable[[np.ndarray], np.ndarray],
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def on(b: np.ndarray, random: np.random.Generator) -> np.ndarray:
        at = int(random.integers(b.reshape(-1).size))
        b.reshape(-1)[at] = function(b.reshape(-1)[at])
        return b

    return on


def bfloat16(w: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return ((w.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)


def other_network(w: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.permutation(w.reshape(-1)).reshape(w.shape)


def reordered(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    node.input[:] = [*node.input[1:], node.input[0]]


def padded_elsewhere(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    for attribute in node.attribute:
        if attribute.name == "pads" and any(attribute.ints):
            half = len(attribute.ints) // 2
            total = [attribute.ints[i] + attribute.ints[i + half] for i in range(half)]
            attribute.ints[:] = [0] * half + total


def maximum(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    node.op_type = {"AveragePool": "MaxPool", "MaxPool": "AveragePool", "GlobalAveragePool": "GlobalMaxPool",
                    "ReduceMean": "ReduceMax"}[node.op_type]  # fmt: skip
    kept = [a for a in node.attribute if a.name not in ("count_include_pad", "dilations", "storage_order")]
    del node.attribute[:]
    node.attribute.extend(kept)


def dropped(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    """The neurons are gone, from the table too; currents flow on."""
    table = read_layer_table(model)
    table["layers"] = [layer for layer in table["layers"] if layer["name"] != node.name]
    entry = next(e for e in model.metadata_props if e.key == METADATA_KEY)
    entry.value = json.dumps(table)
    copy = helper.make_node("Identity", [node.input[0]], [node.output[0]], node.name)
    node.CopyFrom(copy)


def other_timesteps(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    for attribute in node.attribute:
        if attribute.name == "timesteps":
            attribute.i += 1
    for position in (2, 3):
        constant(position, lambda v, _: np.concatenate([2 * v[:1], v]))(model, node, random)


def lower_ceiling(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    theta = values(model, node.input[3])[-1]
    constant(4, lambda ceiling, _: ceiling - theta)(model, node, random)


def half_up(compare: np.ndarray, taken: np.ndarray, rule: str) -> np.ndarray:
    """Ties go up, whichever level is even."""
    return (taken - taken[-1:] / 2).astype(np.float32) if rule.startswith("half") else compare


def other_rule(compare: np.ndarray, taken: np.ndarray, rule: str) -> np.ndarray:
    """Floor where the source rounds to the nearest, the nearest where it takes the floor."""
    return taken if rule.startswith("half") else taken - taken[-1:] / 2


def one_threshold(thresholds: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """The middle one of those that a potential can reach, by the least that float32 can say."""
    flat = thresholds.reshape(-1)
    middle = np.flatnonzero(np.isfinite(flat))[np.isfinite(flat).sum() // 2]
    flat[middle] = np.nextafter(flat[middle], np.float32(-np.inf))
    return thresholds


def divisor_forgotten(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    """Thresholds are multiplied by its sign alone."""
    scale, place = node.input[-1], list(model.graph.node).index(node)
    node.input[-1] = f"{scale}/sign"
    model.graph.node.insert(place, helper.make_node("Sign", [scale], [f"{scale}/sign"], name="sign"))


def _products(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    held = {name for node in model.graph.node if node.op_type == "Hold" for name in node.output}
    return [node for node in model.graph.node if node.op_type == "MatMul" and held & {*node.input}]


def operands_exchanged(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    if node in _products(model):
        node.input[:] = node.input[::-1]


def held_elsewhere(model: onnx.ModelProto, node: onnx.NodeProto, random: np.random.Generator) -> None:
    """What another product holds, of the same shape."""
    products = _products(model)
    if node in products:
        other = products[products.index(node) - 1]
        node.input[1], other.input[1] = other.input[1], node.input[1]


def _(
    function: Callable[[np.ndarray], np.ndarray],
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda v, random: function(v)


IF, READOUT = ("IF",), ("Integrate",)
TABLE, QUOTIENT, PRODUCT = ("TableIF",), ("ScaledIF",), ("MatMul",)
MUTATIONS = (
    Mutation("threshold 1e-4 higher", IF, threshold_off),
    Mutation("comparisons 1e-4 higher", IF, neuron(lambda c, t, r: c * np.float32(1 + 1e-4))),
    Mutation("last threshold 1e-3 higher", IF, neuron(lambda c, t, r: np.concatenate([c[:-1], c[-1:] * np.float32(1.001)]))),
    Mutation("reset one percent too small", IF, constant(3, _(lambda v: v * 0.99))),
    Mutation("ceiling one level lower", IF, lower_ceiling),
    Mutation("no ceiling", IF, constant(4, _(lambda v: v * 1024))),
    Mutation("the same threshold at each step", IF, neuron(lambda c, t, r: np.repeat(c[-1:], len(c), axis=0))),
    Mutation("time reversed", IF, together(constant(2, _(lambda v: v[::-1])), constant(3, _(lambda v: v[::-1])))),
    Mutation("half up, not half to even", IF, neuron(half_up)),
    Mutation("another rounding rule", IF, neuron(other_rule)),
    Mutation("another T", IF, other_timesteps),
    Mutation("neurons dropped", IF, dropped),
    Mutation("no bias", IF, constant(1, _(lambda v: v * 0))),
    Mutation("bias off by 1e-4", IF, constant(1, _(lambda v: v + 1e-4))),
    Mutation("bias of one channel 1e-3 larger", IF, constant(1, one_channel(lambda b: b * 1.001))),
    Mutation("bias at each step", IF, constant(1, _(lambda v: v * 15))),
    Mutation("largest weight one percent larger", WEIGHTED, one_weight(lambda w: w * 1.01, largest=True)),
    Mutation("a weight one percent larger", WEIGHTED, one_weight(lambda w: w * 1.01)),
    Mutation("a weight 1e-3 larger", WEIGHTED, one_weight(lambda w: w * 1.001)),
    Mutation("a weight of the other sign", WEIGHTED, one_weight(lambda w: -w)),
    Mutation("a weight missing", WEIGHTED, one_weight(lambda w: 0.0)),
    Mutation("all weights 1e-5 larger", WEIGHTED, constant(1, _(lambda w: w * np.float32(1 + 1e-5)))),
    Mutation("weights as bfloat16", WEIGHTED, constant(1, bfloat16)),
    Mutation("output channels swapped", WEIGHTED, swapped(0)),
    Mutation("input channels swapped", WEIGHTED, swapped(1)),
    Mutation("kernels turned round", ("Conv", "ConvTranspose"), constant(1, _(lambda w: np.flip(w, -1)))),
    Mutation("weights of another network", WEIGHTED, constant(1, other_network)),
    Mutation("scale of a branch doubled", ("Mul",), together(constant(0, _(lambda v: v * 2)), constant(1, _(lambda v: v * 2)))),
    Mutation("order of a concatenation", ("Concat",), reordered),
    Mutation("padding on one side", ("Conv", "AveragePool", "MaxPool"), padded_elsewhere),
    Mutation("another pooling", ("AveragePool", "MaxPool", "GlobalAveragePool", "ReduceMean"), maximum),
    Mutation("readout's bias off by 1e-4", READOUT, constant(1, _(lambda v: v + 1e-4))),
    Mutation("a table's threshold one ulp lower", TABLE, constant(2, one_threshold)),
    Mutation("a table's bias off by 1e-4", TABLE, constant(1, _(lambda v: v + 1e-4))),
    Mutation("a quotient's comparisons 1e-4 higher", QUOTIENT, constant(2, _(lambda v: v * np.float32(1 + 1e-4)))),
    Mutation("a quotient's divisor forgotten", QUOTIENT, divisor_forgotten),
    Mutation("operands of a product exchanged", PRODUCT, operands_exchanged),
    Mutation("held operands of two products exchanged", PRODUCT, held_elsewhere),
)  # fmt: skip
