"""Spiking networks that no converter has written: refused, or run as they say."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_corpus import Example as CorpusExample
from helpers_graphs import node
from onnx import TensorProto, helper

from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime import SpikingSession


@pytest.fixture(scope="module")
def snn() -> onnx.ModelProto:
    return CorpusExample("torchdy21__mlp-qcfs16-dyadic-b1").conversion.model


def neuron(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(n for n in model.graph.node if n.op_type == "IF")


def _operand_missing(model: onnx.ModelProto) -> None:
    neuron(model).input.pop()


def _operand_empty(model: onnx.ModelProto) -> None:
    neuron(model).input[4] = ""


def _result_twice(model: onnx.ModelProto) -> None:
    neuron(model).output.append("extra")


def _another_neuron(model: onnx.ModelProto) -> None:
    neuron(model).output[0] = "renamed"


def _foreign_functions(model: onnx.ModelProto) -> None:
    """Thirty functions that call the next ten times: 10^30 operators."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("odd", 1)]
    for level in range(30):
        names = ["a", *(f"t{i}" for i in range(9)), "b"]
        called = ("odd", f"f{level + 1}") if level < 29 else ("", "Relu")
        nodes = [node(called[1], [x], [y], domain=called[0]) for x, y in itertools.pairwise(names)]
        model.functions.append(helper.make_function("odd", f"f{level}", ["a"], ["b"], nodes, opsets))


def _nodes_reversed(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _weights_outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


@pytest.mark.parametrize(
    "change",
    [_operand_missing, _operand_empty, _result_twice, _another_neuron, _foreign_functions, _weights_outside],
)
def test_spiking_networks_that_no_converter_wrote(
    snn: onnx.ModelProto, tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(snn)
    change(changed)
    path = tmp_path / "snn.onnx"
    path.write_bytes(changed.SerializeToString())
    for model in (path, changed.SerializeToString()):
        with pytest.raises(InvalidModelError):
            SpikingSession(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "[" * 100_000,
        lambda _: "null",
        lambda table: json.dumps(table | {"dialect": "x"}),
        lambda table: json.dumps(table | {"timesteps": 10**9}),
        lambda table: json.dumps(table | {"bias": "twice"}),
        lambda table: json.dumps(table | {"outputs": ["nowhere"]}),
        lambda table: json.dumps(table | {"layers": table["layers"][1:]}),
        lambda table: json.dumps(table | {"layers": [table["layers"][0]] * 2}),
        lambda table: json.dumps(table | {"layers": [{}]}),
        lambda table: json.dumps(table | {"layers": [table["layers"][0] | {"neurons": -1}]}),
        lambda table: json.dumps({key: value for key, value in table.items() if key != "macs"}),
    ],
)
def test_layer_tables_that_no_converter_wrote(
    snn: onnx.ModelProto, change: Callable[[dict[str, Any]], str]
) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(snn)
    entry = next(entry for entry in changed.metadata_props if entry.key == "onnx2snn")
    entry.value = change(json.loads(entry.value))
    with pytest.raises(InvalidModelError):
        SpikingSession(changed.SerializeToString())


def test_a_network_that_contradicts_itself_when_it_runs(snn: onnx.ModelProto) -> None:
    """Sizes that fit nothing show when a kernel gets them: an error of ours, whatever onnxruntime's is."""
    changed = onnx.ModelProto()
    changed.CopyFrom(snn)
    weight = next(n for n in changed.graph.node if n.op_type in ("Gemm", "MatMul")).input[1]
    tensor = next(t for t in changed.graph.initializer if t.name == weight)
    tensor.dims[:] = tensor.dims[::-1]
    del changed.graph.value_info[:]
    shape = [d.dim_value for d in changed.graph.input[0].type.tensor_type.shape.dim]
    with pytest.raises(InvalidModelError):
        SpikingSession(changed.SerializeToString()).run(
            {changed.graph.input[0].name: np.zeros([1, *shape[1:]], np.float32)}
        )


def test_nodes_that_stand_in_no_order_are_put_into_one(snn: onnx.ModelProto) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(snn)
    _nodes_reversed(changed)
    x = {name: value[:1] for name, value in CorpusExample("torchdy21__mlp-qcfs16-dyadic-b1").inputs.items()}
    found, expected = (
        SpikingSession(model.SerializeToString(), execution="streaming").run(x) for model in (changed, snn)
    )
    for name, value in expected.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], value)


def test_synapses_that_read_their_own_currents(snn: onnx.ModelProto) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(snn)
    neuron = next(n for n in changed.graph.node if n.op_type == "IF" and n.attribute[-1].i > 1)
    synapses = next(n for n in changed.graph.node if neuron.input[0] in n.output)
    round_trip = onnx.helper.make_node(
        "MaxPool", [synapses.output[0]], [synapses.output[0]], kernel_shape=[1, 1]
    )
    synapses.CopyFrom(round_trip)
    for execution in ("spiking", "fused", "int8", "streaming"):
        with pytest.raises(InvalidModelError):
            SpikingSession(changed.SerializeToString(), execution=execution)
