"""Converted networks in NIR: what the graph's neurons send is what the network's send."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from conftest import Example
from helpers_networks import NETWORKS, Builder, Network

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.exchange import export_nir, run_nir
from onnx2snn.runtime import SpikingSession

nir = pytest.importorskip("nir")


def skipping(levels: int = 15) -> Network:
    """A residual sum over a layer, and an average pool: paths of two lengths meet."""
    b = Builder()
    first = b.act(b.dense("x", (6, 8), 1), levels=levels)
    second = b.act(b.dense(first, (8, 8), 3), levels=levels)
    third = b.act(b.add("Add", b.dense(second, (8, 8), 5), first), levels=levels)
    return Network(b.model({"x": ["N", 6]}, {"y": (b.dense(third, (8, 3), 7), ["N", 3])}), {"x": (6,)})


def compared(model: object, inputs: dict[str, np.ndarray], graph: object, **options: object) -> int:
    """How many levels differ."""
    conversion = onnx2snn.convert(model, **options)
    session = SpikingSession(conversion)
    expected, found = session.levels(inputs), run_nir(graph, inputs)
    differing = 0
    for layer in session.layers:
        own = found.levels[layer["name"].replace("/", ".")]
        differing += int((own != expected[layer["name"]]).sum())
    for name in session.outputs:
        np.testing.assert_allclose(found.outputs[name], expected[name], rtol=1e-4, atol=1e-4)
    return differing


@pytest.mark.parametrize("options", [{}, {"coding": "rate", "timesteps": 16}], ids=["binary", "rate"])
@pytest.mark.parametrize("name", ["small", "skipping"])
def test_the_file_does_what_the_network_does(
    name: str, options: dict[str, object], example: Example, tmp_path: Path
) -> None:
    if name == "small":
        source: object = example.ann
        inputs = {"image": np.load(example.data)["image"][:10]}
    else:
        network = skipping()
        source, inputs = network.model, network.inputs(10)
    path = tmp_path / "graph.nir"
    export_nir(onnx2snn.convert(source, **options), path)
    assert compared(source, inputs, path, **options) == 0
    graph = nir.read(path)
    kinds = {type(node).__name__ for node in graph.nodes.values()}
    assert kinds & {"LI", "Threshold"} if not options else "IF" in kinds
    graph.check_types()


def test_pools_are_of_either_kind(example: Example, tmp_path: Path) -> None:
    inputs = {"image": np.load(example.data)["image"][:5]}
    for pools, kind in (("sum", "SumPool2d"), ("average", "AvgPool2d")):
        graph = export_nir(onnx2snn.convert(example.ann), tmp_path / "graph.nir", pools=pools)  # type: ignore[arg-type]
        assert kind in {type(node).__name__ for node in graph.nodes.values()}
        assert compared(example.ann, inputs, graph) == 0


def test_a_skipped_layer_is_waited_for(tmp_path: Path) -> None:
    """The binary code: what is older waits in a Delay."""
    graph = export_nir(onnx2snn.convert(skipping().model), tmp_path / "graph.nir")
    assert any(name.endswith(".late1") for name in graph.nodes)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_is_exported_or_refused_by_name(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    conversion = onnx2snn.convert(network.model, hybrid=network.hybrid)
    refused = None
    try:
        graph = export_nir(conversion, tmp_path / "graph.nir")
    except onnx2snn.ConversionError as error:
        refused = error
    if refused is not None:
        assert "defect" not in refused.message
        assert refused.node or "size" in refused.message or "output" in refused.message
        assert refused.remedy
        assert not (tmp_path / "graph.nir").exists()
        return
    inputs = network.inputs(5)
    assert compared(network.model, inputs, graph, hybrid=network.hybrid) == 0


def test_neurons_that_nir_cannot_make_are_named(tmp_path: Path) -> None:
    with pytest.raises(onnx2snn.ConversionError, match="primitives make this neuron where K") as caught:
        export_nir(onnx2snn.convert(skipping(levels=10).model), tmp_path / "graph.nir")
    assert caught.value.node


def test_the_command_writes_and_tells(example: Example, tmp_path: Path) -> None:
    target = tmp_path / "out.nir"
    found = CliRunner().invoke(
        main, ["export", str(example.snn), "--nir", str(target)], catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    assert "binary code" in found.output
    assert "Threshold" in found.output
    assert target.exists()
    wrong = CliRunner().invoke(main, ["export", str(example.ann), "--nir", str(target)])
    assert wrong.exit_code == 4
    slip = CliRunner().invoke(main, ["export", str(example.snn), "--nir", str(tmp_path / "out.onnx")])
    assert slip.exit_code == 2


def test_a_graph_of_others_is_not_run() -> None:
    graph = nir.NIRGraph.from_list(nir.Affine(np.ones((2, 2)), np.ones(2)))
    with pytest.raises(onnx2snn.InputError, match="not written by onnx2snn"):
        run_nir(graph, {"x": np.zeros((1, 2), np.float32)})


def test_reading_nir_is_answered_with_what_to_do(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "graph.nir"
    export_nir(onnx.load(example.snn), path)
    with pytest.raises(onnx2snn.InvalidModelError, match="NIR") as caught:
        onnx2snn.convert(path)
    assert "quantised ONNX network" in str(caught.value.remedy)
