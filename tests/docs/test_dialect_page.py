"""docs/dialect.md is complete and right: neurons written from it alone agree with the runtime on every spike."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import spec_neurons
from helpers_networks import NETWORKS, Network
from helpers_tables import with_tables
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.runtime import SpikingSession

PAGE = (Path(__file__).parents[2] / "docs" / "dialect.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"# {title}\n", 1)[1].split("\n## ")[0]


def documented(text: str) -> set[str]:
    """What stands in the first column of a section's tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def neurons(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, dict[str, Any]]]:
    return [
        (node, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
        for node in model.graph.node
        if node.domain == DOMAIN
    ]


def converted(name: str, bias: Any = "once") -> tuple[Network, onnx.ModelProto]:
    network = NETWORKS[name]()
    hybrid = name == "hybrid"
    return network, onnx2snn.convert(network.model, bias=bias, hybrid=hybrid).model


def evaluated(model: onnx.ModelProto, inputs: dict[str, Any], execution: str) -> dict[str, Any]:
    """What neurons written from the page answer: outputs and trains."""
    table = read_layer_table(model)
    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    wider.graph.output.extend(onnx.ValueInfoProto(name=layer["output"]) for layer in table["layers"])
    evaluator = spec_neurons.evaluator(wider, table["bias"], execution)
    return dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))


@pytest.mark.parametrize("bias", ["once", "per-step", "paper"])
@pytest.mark.parametrize("name", NETWORKS)
def test_neurons_written_from_the_page_spike_alike(name: str, bias: str) -> None:
    network, model = converted(name, bias)
    inputs = network.inputs(3)
    answers = evaluated(model, inputs, "spiking")
    session = SpikingSession(model.SerializeToString())
    for output, value in session.run(inputs).outputs.items():
        np.testing.assert_allclose(answers[output], value, rtol=1e-6, atol=1e-6)
    spikes = session.trace(inputs).spikes
    for layer in read_layer_table(model)["layers"]:
        found = answers[layer["output"]].reshape(spikes[layer["name"]].shape)
        assert np.array_equal(found, spikes[layer["name"]])
    assert any(train.any() for train in spikes.values())


@pytest.mark.parametrize("name", ["few_levels", "residual"])
def test_neurons_with_a_table_do(name: str) -> None:
    network, model = converted(name)
    model, inputs = with_tables(model), network.inputs(3)
    for execution in ("spiking", "fused"):
        answers = evaluated(model, inputs, execution)
        session = SpikingSession(model.SerializeToString(), execution=execution)
        spikes, levels = session.trace(inputs).spikes, session.levels(inputs)
        for layer in read_layer_table(model)["layers"]:
            train = spikes[layer["name"]] if execution == "spiking" else levels[layer["name"]]
            assert np.array_equal(answers[layer["output"]].reshape(train.shape), train)


@pytest.mark.parametrize("bias", ["once", "per-step", "paper"])
@pytest.mark.parametrize("name", ["half_odd", "residual", "pooled"])
def test_so_they_do_on_whole_levels(name: str, bias: str) -> None:
    network, model = converted(name, bias)
    inputs = network.inputs(3)
    answers = evaluated(model, inputs, "fused")
    levels = SpikingSession(model.SerializeToString(), execution="fused").levels(inputs)
    for layer in read_layer_table(model)["layers"]:
        assert np.array_equal(answers[layer["output"]], levels[layer["name"]])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stream_answers_when_the_page_says(name: str) -> None:
    model = converted(name)[1]
    found = spec_neurons.stages(model)
    depth = max(found.values())
    stream = SpikingSession(model.SerializeToString()).stream(batch=2)
    assert stream.latency == (depth + 1) * read_layer_table(model)["timesteps"]
    held = [node.output[0] for node in model.graph.node if node.op_type == "Hold"]
    trains = [*held, *(layer["output"] for layer in read_layer_table(model)["layers"])]
    assert depth == len({found[train] for train in trains})


@pytest.mark.parametrize("name", NETWORKS)
def test_the_thresholds_are_those_of_the_page(name: str) -> None:
    model = converted(name)[1]
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    checked = 0
    for node, attributes in neurons(model):
        if node.op_type != "IF":
            continue
        compare, subtract, ceiling = (constants[read] for read in node.input[2:])
        T, K = attributes["timesteps"], attributes["levels"]
        theta = subtract[-1]
        j = np.arange(T - 1, -1, -1).reshape(-1, *(1,) * np.ndim(theta))
        assert len(compare) == len(subtract) == T
        assert np.array_equal(subtract, 2.0**j * theta)
        assert attributes["unit"] == int(np.all(theta == 1))
        expected, height = by_the_page(attributes["rounding"].decode(), j, theta, K)
        assert np.array_equal(compare, np.broadcast_to(expected, compare.shape))
        assert np.array_equal(ceiling, np.broadcast_to(height, ceiling.shape))
        checked += 1
    assert checked


def by_the_page(rounding: str, j: Any, theta: Any, K: int) -> tuple[Any, Any]:
    def above(values: Any) -> Any:
        return np.nextafter(np.float32(values), np.float32(np.inf))

    half = np.float32((2.0**j - 0.5) * theta)
    return {
        "floor": (2.0**j * theta, (K + 0.5) * theta),
        "ceil": (above((2.0**j - 1) * theta), (K - 0.5) * theta),
        "half_even": (np.where(j == 0, above(half), half), K * theta),
        "half_odd": (np.where(j == 0, half, above(half)), K * theta),
    }[rounding]


def test_the_page_names_every_key_and_attribute() -> None:
    keys: set[str] = set()
    attributes: set[str] = set()
    for name in NETWORKS:
        model = converted(name)[1]
        table = read_layer_table(model)
        keys |= set(table).union(*table["layers"])
        assert all(set(kept) == {"name", "operator", "reason"} for kept in table["non_spiking"])
        attributes |= {key for _, found in neurons(model) for key in found}
        assert all(
            set(found) == {"input_steps"} for node, found in neurons(model) if node.op_type == "Integrate"
        )
    assert keys <= documented(section("The layer table")) <= keys | {"coding", "sample_axes"}
    assert attributes == documented(section("IF").split("| attribute |")[1].split("\n\n")[0])


@pytest.mark.parametrize("name", ["pooled", "residual", "several"])
def test_the_counting_graph_counts(name: str) -> None:
    """Run on its own, with the network's weights and the counts that the page asks for."""
    network, model = converted(name)
    table = read_layer_table(model)
    text = next(entry.value for entry in model.metadata_props if entry.key == "onnx2snn.counting")
    fragment = onnx.GraphProto.FromString(base64.b64decode(text))
    assert [o.name for o in fragment.output] == [f"synops/{layer['name']}" for layer in table["layers"]]
    inputs = network.inputs(3)
    trains = evaluated(model, inputs, "spiking")
    counts = {}
    for layer in table["layers"]:
        train = trains[layer["output"]]
        counts[f"{layer['output']}/count"] = train.reshape(table["timesteps"], -1, *train.shape[1:]).sum(
            axis=0
        )
    fragment.name = "counting"
    fragment.input.extend(onnx.ValueInfoProto(name=name) for name in counts)
    fragment.initializer.extend(model.graph.initializer)
    evaluator = ReferenceEvaluator(onnx.helper.make_model(fragment, opset_imports=model.opset_import))
    found = dict(zip(evaluator.output_names, evaluator.run(None, counts), strict=True))
    for layer, expected in SpikingSession(model.SerializeToString()).run(inputs).synops.items():
        assert np.array_equal(found[f"synops/{layer}"], expected)


def test_the_neuron_in_numpy_runs() -> None:
    code = section("A neuron in NumPy").split("```python\n")[1].split("```")[0]
    scope: dict[str, Any] = {"np": np}
    exec(code, scope)  # noqa: S102 - the page's own example
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (3 * 4, 5)).astype(np.float32)
    compare, ceiling = np.float32([4, 2, 1]), np.float32(7.5)
    found = scope["if_neuron"](x, np.float32(0.5), compare, compare, ceiling, 3)
    v = spec_neurons.integrated(x, np.float32(0.5), 3, "once")
    assert np.array_equal(found, spec_neurons.generated(v, compare, compare, ceiling))
    assert found.any()


def test_a_file_imports_the_version_that_the_page_tells() -> None:
    versions = {opset.domain: opset.version for opset in converted("floor")[1].opset_import}
    assert f"# The SNN dialect, version {versions[DOMAIN]}" in PAGE
