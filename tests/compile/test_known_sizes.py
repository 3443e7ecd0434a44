"""Compiled files for as many runtimes as can be: an old operator set, known sizes, nothing that only copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers_networks import NETWORKS
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.errors import InputError
from onnx2snn.runtime import SpikingSession

EXECUTIONS: tuple[Any, ...] = ("spiking", "fused", "int8", "step")


def shape_of(info: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in info.type.tensor_type.shape.dim]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", ["residual", "pooled", "several"])
def test_with_a_batch_all_sizes_are_known(name: str, execution: Any, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    inputs = network.inputs(3)
    conversion = onnx2snn.convert(network.model)
    expected = SpikingSession(conversion.model.SerializeToString()).run(inputs)
    compiled = onnx2snn.compile(conversion, execution=execution, count="synops", batch=1)
    assert compiled.tried == "equal"
    graph = compiled.model.graph
    onnx.checker.check_model(compiled.model, full_check=True)
    infos = {info.name: info for info in (*graph.input, *graph.output, *graph.value_info)}
    for tensor in (name for node in graph.node for name in node.output):
        assert all(isinstance(size, int) for size in shape_of(infos[tensor])), tensor
    assert not {"Shape", "Identity"}.intersection(
        node.op_type for node in graph.node if node.output[0] not in {o.name for o in graph.output}
    )
    compiled.save(tmp_path / "one.onnx")
    found = SpikingSession(tmp_path / "one.onnx").run(inputs)  # one after the other
    for layer, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[layer], spikes)
        np.testing.assert_array_equal(found.synops[layer], expected.synops[layer])
    for output, values in expected.outputs.items():
        np.testing.assert_allclose(found.outputs[output], values, rtol=1e-6, atol=1e-6)


def test_a_batch_that_the_network_fixes_stays(tmp_path: Path) -> None:
    network = NETWORKS["residual"]()
    network.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    conversion = onnx2snn.convert(network.model)
    assert onnx2snn.compile(conversion, batch=2).tried == "equal"
    with pytest.raises(InputError, match="fixes its batch"):
        onnx2snn.compile(conversion, batch=1)
    conversion.save(tmp_path / "snn.onnx")
    paths = [str(tmp_path / "snn.onnx"), str(tmp_path / "fast.onnx")]
    assert CliRunner().invoke(main, ["compile", *paths, "--batch", "1"]).exit_code == 4
    assert CliRunner().invoke(main, ["compile", *paths, "--batch", "2"]).exit_code == 0


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_shapes_are_declared_and_the_operator_set_is_old(execution: Any) -> None:
    network = NETWORKS["pooled"]()
    model = onnx2snn.compile(onnx2snn.convert(network.model), execution=execution).model
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    told = {info.name for info in (*model.graph.value_info, *model.graph.output)}
    assert told.issuperset(name for node in model.graph.node for name in node.output)


def test_an_operator_that_is_newer_decides_the_operator_set() -> None:
    network = NETWORKS["residual"]()
    model = onnx2snn.convert(network.model).model
    last = next(node for node in model.graph.node if "y" in node.output)
    last.output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("Gelu", ["before"], ["y"]))  # of opset 20
    compiled = onnx2snn.compile(model)
    assert compiled.tried == "equal"
    assert compiled.model.opset_import[0].version == 20


def test_what_the_author_says_of_a_network_is_kept() -> None:
    network = NETWORKS["residual"]()
    network.model.metadata_props.add(key="classes", value="cat, dog, bird")
    network.model.doc_string, network.model.model_version = "three animals", 7
    conversion = onnx2snn.convert(network.model)
    for model in (conversion.model, onnx2snn.compile(conversion).model):
        told = {entry.key: entry.value for entry in model.metadata_props}
        assert told["classes"] == "cat, dog, bird"
        assert "onnx2snn" in told
        assert (model.doc_string, model.model_version) == ("three animals", 7)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", ["residual", "hybrid", "of_any_size"])
def test_levels_are_read_from_a_compiled_file(name: str, execution: Any, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    inputs = network.inputs(5)
    conversion = onnx2snn.convert(network.model, hybrid=network.hybrid)
    onnx2snn.compile(conversion, execution=execution).save(tmp_path / "fast.onnx")
    found = SpikingSession(tmp_path / "fast.onnx").levels(inputs)
    for key, values in SpikingSession(conversion.model.SerializeToString()).levels(inputs).items():
        np.testing.assert_allclose(found[key], values, rtol=0, atol=1e-6)


def test_a_file_that_does_not_say_where_its_neurons_are(tmp_path: Path) -> None:
    network = NETWORKS["residual"]()
    model = onnx2snn.compile(onnx2snn.convert(network.model)).model
    for entry in model.metadata_props:
        entry.value = entry.value.replace('"trains"', '"others"')
    onnx.save(model, tmp_path / "fast.onnx")
    with pytest.raises(onnx2snn.InvalidModelError, match="does not say where"):
        SpikingSession(tmp_path / "fast.onnx").levels(network.inputs(2))


def test_what_an_older_operator_does_not_say_is_left_out() -> None:
    """ReduceMean of set 18 may name an attribute that set 17 has not, and that changes nothing."""
    network = NETWORKS["residual"]()
    model = onnx2snn.convert(network.model).model
    last = next(node for node in model.graph.node if "y" in node.output)
    last.output[0] = "before"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axes"))
    mean = onnx.helper.make_node(
        "ReduceMean", ["before", "axes"], ["mean"], keepdims=1, noop_with_empty_axes=0
    )
    model.graph.node.extend([mean, onnx.helper.make_node("Sub", ["before", "mean"], ["y"])])
    compiled = onnx2snn.compile(model)
    assert compiled.tried == "equal"
    assert compiled.model.opset_import[0].version == 17
    mean.attribute[1].i = 1
    del model.graph.node[-2:]
    model.graph.node.extend([mean, onnx.helper.make_node("Sub", ["before", "mean"], ["y"])])
    assert onnx2snn.compile(model).model.opset_import[0].version == 18


def test_parts_whose_sizes_are_given_are_as_old() -> None:
    """Split of set 18 may take a number of parts instead of their sizes, and is what it was where it takes sizes."""
    model = onnx2snn.convert(NETWORKS["residual"]().model).model
    last = next(node for node in model.graph.node if "y" in node.output)
    last.output[0] = "before"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2]), "sizes"))
    split = onnx.helper.make_node("Split", ["before", "sizes"], ["a", "b"], axis=1)
    model.graph.node.extend([split, onnx.helper.make_node("Concat", ["b", "a"], ["y"], axis=1)])
    compiled = onnx2snn.compile(model)
    assert compiled.tried == "equal"
    assert compiled.model.opset_import[0].version == 17
    onnx.checker.check_model(compiled.model, full_check=True)


@pytest.mark.parametrize("execution", ["spiking", "fused", "int8"])
def test_sizes_behind_a_constant_that_sizes_make_are_known(execution: Any) -> None:
    """A class token, expanded to the batch: how many tokens there are is known once its shape is a constant."""
    net = Quantised(3)
    x = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.03, 3, np.int8)
    batch = net.add("Slice", net.add("Shape", x), net.hold([0]), net.hold([1]))
    shape = net.add("Concat", batch, net.hold([-1, -1]), axis=0)
    shape = net.add("Where", net.add("Equal", shape, net.hold([-1, -1, -1])), net.hold([1, 1, 1]), shape)
    tokens = net.add("Concat", net.add("Expand", net.weights(1, 1, 8), shape), x, axis=1)
    hidden = net.quantised(net.add("MatMul", net.quantised(tokens, 0.03), net.weights(8, 8)), 0.05)
    net.add("MatMul", hidden, net.weights(8, 5), output="y")
    conversion = onnx2snn.convert(net.model({"x": ["N", 6, 8]}, {"y": ["N", 7, 5]}))
    graph = onnx2snn.compile(conversion, execution=execution, batch=1).model.graph
    infos = {info.name: info for info in (*graph.output, *graph.value_info)}
    for tensor in (name for node in graph.node for name in node.output):
        assert all(isinstance(size, int) for size in shape_of(infos[tensor])), tensor
