"""Layer tables, counting graphs and function bodies that are damaged, or lie: never "lossless", never a traceback."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import small_network
from onnx import helper

import onnx2snn
from onnx2snn.certificate import verify
from onnx2snn.dialect.layer_table import COUNTING_KEY, METADATA_KEY

Table = dict[str, Any]


def twins() -> onnx.ModelProto:
    """Two layers of one shape, so that a table can mistake one for the other."""
    random = np.random.default_rng(1)
    model = small_network()
    for tensor in model.graph.initializer:
        if tensor.name in ("w2", "w3"):
            shape = (36, 12) if tensor.name == "w2" else (12, 12)
            values = random.normal(0, 0.5, shape).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    model.graph.node[-1].output[0] = "z3"
    nodes = list(model.graph.node)
    chain = ["z3"]
    for op, constant in (("Mul", "levels"), ("Add", "half"), ("Floor", None), ("Div", "levels")):
        chain.append(f"act3_{op}")
        nodes.append(
            helper.make_node(op, [chain[-2], *([constant] if constant else [])], [chain[-1]], chain[-1])
        )
    nodes.append(helper.make_node("Clip", [chain[-1], "zero", "one"], ["act3"], "act3_clip"))
    nodes.append(helper.make_node("MatMul", ["act3", "w4"], ["logits"], "fc3"))
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(random.normal(0, 1, (12, 5)).astype(np.float32), "w4")
    )
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@pytest.fixture(scope="module")
def source() -> onnx.ModelProto:
    return twins()


@pytest.fixture(scope="module")
def converted(source: onnx.ModelProto) -> onnx.ModelProto:
    return onnx2snn.convert(source).model


DATA = {"image": np.random.default_rng(0).uniform(0, 1, (6, 1, 8, 8)).astype(np.float32)}


def with_metadata(model: onnx.ModelProto, key: str, value: str) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    next(e for e in changed.metadata_props if e.key == key).value = value
    return changed


def with_table(model: onnx.ModelProto, change: Callable[[Table], Any]) -> onnx.ModelProto:
    table = json.loads(next(e.value for e in model.metadata_props if e.key == METADATA_KEY))
    change(table)
    return with_metadata(model, METADATA_KEY, json.dumps(table))


def swap(table: Table, key: str) -> None:
    first, second = table["layers"][-2:]
    first[key], second[key] = second[key], first[key]


LIES: dict[str, Callable[[Table], Any]] = {
    "a layer missing": lambda t: t["layers"].pop(),
    "a layer twice": lambda t: t["layers"].append(t["layers"][0]),
    "a source tensor that is not there": lambda t: t["layers"][0].update(source_tensor="nothing"),
    "a source tensor that is no activation": lambda t: t["layers"][0].update(source_tensor="z1"),
    "other time steps": lambda t: t.update(timesteps=t["timesteps"] + 1),
    "no time steps": lambda t: t.update(timesteps=0),
    "time steps in words": lambda t: t.update(timesteps="four"),
    "other levels": lambda t: t["layers"][0].update(levels=7),
    "another rounding": lambda t: t["layers"][0].update(rounding="ceil"),
    "outputs missing": lambda t: t.update(outputs=[]),
    "layers of another kind": lambda t: t.update(layers="none"),
    "a layer of another kind": lambda t: t["layers"].append(None),
    "an entry missing": lambda t: t["layers"][0].pop("neurons"),
    "another bias form": lambda t: t.update(bias="never"),
    "bodies of another execution": lambda t: t.update(execution="fused"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_table_that_lies_is_refused(source: onnx.ModelProto, converted: onnx.ModelProto, lie: str) -> None:
    with pytest.raises(onnx2snn.InvalidModelError):
        verify(source, with_table(converted, LIES[lie]), DATA)


@pytest.mark.parametrize("key", ["source_tensor", "name"])
def test_layers_that_are_exchanged_are_caught(
    source: onnx.ModelProto, converted: onnx.ModelProto, key: str
) -> None:
    def change(table: Table) -> None:
        swap(table, key)
        if key == "name":
            swap(table, "output")

    certificate = verify(source, with_table(converted, change), DATA)
    assert not certificate.lossless
    assert certificate.defects


def test_the_bias_form_is_checked_by_what_it_does(
    source: onnx.ModelProto, converted: onnx.ModelProto
) -> None:
    other = with_table(converted, lambda t: t.update(bias="per-step"))
    with pytest.raises(onnx2snn.InvalidModelError, match="not those of the dialect"):
        verify(source, other, DATA)


def test_a_body_that_is_not_the_dialects_is_refused(
    source: onnx.ModelProto, converted: onnx.ModelProto
) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(converted)
    body = next(f for f in changed.functions if f.name == "IF")
    next(n for n in body.node if n.op_type == "Min").op_type = "Max"
    with pytest.raises(onnx2snn.InvalidModelError, match="not those of the dialect"):
        verify(source, changed, DATA)


@pytest.mark.parametrize("text", ["", "!!", base64.b64encode(b"\x0a\xff\xff").decode()])
def test_a_damaged_counting_graph_is_refused(
    source: onnx.ModelProto, converted: onnx.ModelProto, text: str
) -> None:
    with pytest.raises(onnx2snn.InvalidModelError):
        verify(source, with_metadata(converted, COUNTING_KEY, text), DATA)


def test_a_counting_graph_of_other_synapses_is_refused(
    source: onnx.ModelProto, converted: onnx.ModelProto
) -> None:
    stored = next(e.value for e in converted.metadata_props if e.key == COUNTING_KEY)
    fragment = onnx.GraphProto.FromString(base64.b64decode(stored))
    total = next(node for node in fragment.node if node.op_type == "Sum")
    total.input.append(total.input[0])
    other = base64.b64encode(fragment.SerializeToString()).decode()
    with pytest.raises(onnx2snn.InvalidModelError, match="counting graph"):
        verify(source, with_metadata(converted, COUNTING_KEY, other), DATA)


def changed(model: onnx.ModelProto, change: Callable[[onnx.NodeProto], Any], name: str) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    change(next(node for node in other.graph.node if node.name == name))
    return other


@pytest.mark.parametrize("layer", range(4))
def test_other_input_steps_are_refused(
    source: onnx.ModelProto, converted: onnx.ModelProto, layer: int
) -> None:
    node = [n for n in converted.graph.node if n.op_type in ("IF", "Integrate")][layer]
    steps = next(a.i for a in node.attribute if a.name == "input_steps")

    def change(found: onnx.NodeProto) -> None:
        next(a for a in found.attribute if a.name == "input_steps").i = 5 - steps

    with pytest.raises(onnx2snn.InvalidModelError, match="no neuron of the dialect"):
        verify(source, changed(converted, change, node.name), DATA)


def test_operators_that_do_not_fit_together_are_refused(
    source: onnx.ModelProto, converted: onnx.ModelProto
) -> None:
    def change(node: onnx.NodeProto) -> None:
        node.op_type = "Identity"
        del node.input[1:]

    with pytest.raises(onnx2snn.InvalidModelError):
        verify(source, changed(converted, change, "fc2"), DATA)


def test_a_source_without_activations_is_told_what_to_do(converted: onnx.ModelProto) -> None:
    with pytest.raises(onnx2snn.InvalidModelError, match="onnx2snn calibrate"):
        verify(small_network(activation=False), converted, DATA)
