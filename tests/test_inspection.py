"""What is in a model: activations and misses, before and after conversion."""

from __future__ import annotations

from pathlib import Path

import onnx
from click.testing import CliRunner
from helpers_corpus import Example
from test_products_and_quotients import gate

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.inspection import inspect_model


def test_every_operator_that_a_conversion_would_refuse_is_named() -> None:
    inspection = inspect_model(Example("torchts13__plain-silu-b1").path)
    assert not inspection.activations
    assert {miss.operator for miss in inspection.rejected} == {"Sigmoid", "Mul"}
    assert len(inspection.rejected) == 8
    assert all(miss.reason and "--hybrid" in miss.remedy for miss in inspection.rejected)


def test_a_float_activation_says_what_is_missing() -> None:
    inspection = inspect_model(Example("torchts17__mlp-relu-dyn").path)
    assert [miss.node for miss in inspection.rejected] == ["/f/f.2/Relu", "/f/f.4/Relu"]
    assert all("nothing rounds it" in miss.reason for miss in inspection.rejected)


def test_the_same_activations_before_and_after() -> None:
    example = Example("torchts17__plain-pact4-nofold-dyn")
    before = inspect_model(example.path)
    after = inspect_model(example.conversion.model)
    assert not before.rejected
    assert [a.levels for a in before.activations] == [a.levels for a in after.activations]
    assert before.timesteps == after.timesteps == 4


def test_a_spiking_network_of_tables_is_inspected() -> None:
    """In any form: as it is converted, and compiled."""
    source = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        agraph (float[N, 3] x) => (float[N, 3] y)
        <float s = {0.25}, uint8 z = {128}, float[3, 3] w = {1, -1, 0.5, 2, 1, -1, 0.5, 0.25, 1}>
        {
            a = MatMul(x, w)
            b = QuantizeLinear(a, s, z)
            c = DequantizeLinear(b, s, z)
            d = HardSwish(c)
            e = QuantizeLinear(d, s, z)
            f = DequantizeLinear(e, s, z)
            y = MatMul(f, w)
        }""")
    converted = onnx2snn.convert(source)
    tables = [layer for layer in converted.layers if layer.rounding == "table"]
    assert tables
    for model in (converted.model, onnx2snn.compile(converted).model):
        found = {a.name: a for a in inspect_model(model).activations}
        assert all("table(z, " in found[layer.name].formula for layer in tables)
        assert [a.levels for a in found.values()] == [layer.levels for layer in converted.layers]


def test_an_activation_that_becomes_two_neurons_has_the_place_of_its_nodes() -> None:
    """A distance of two activations falls and rises: one neuron for each."""
    source = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        agraph (float[N, 3] x, float[N, 3] v) => (float[N, 3] y)
        <float s = {0.25}, uint8 z = {128}, uint8 o = {0}, float[3, 3] w = {1, -1, 0.5, 2, 1, -1, 0.5, 0.25, 1}>
        {
            i = MatMul(x, w)
            a = QuantizeLinear(i, s, z)
            b = DequantizeLinear(a, s, z)
            j = MatMul(v, w)
            c = QuantizeLinear(j, s, z)
            d = DequantizeLinear(c, s, z)
            e = Sub(b, d)
            f = Abs(e)
            g = QuantizeLinear(f, s, o)
            h = DequantizeLinear(g, s, o)
            y = MatMul(h, w)
        }""")
    found = inspect_model(source)
    assert [a.name for a in found.activations[:2]] == ["b", "d"]
    assert [layer.timesteps for layer in onnx2snn.convert(source).layers] == [
        a.timesteps for a in found.activations
    ]


def test_the_share_that_spikes_and_a_file_for_viewers() -> None:
    """An input layer is analog: all other multiply-accumulates are synaptic operations."""
    inspection = inspect_model(gate())
    assert inspection.share is not None
    assert inspection.share.macs == {"ann": 13824 + 64 + 10368, "analog": 13824}
    assert inspection.share.nodes.get("obstacle", 0) == 0
    assert 0.8 < inspection.share.of_nodes <= 1
    assert inspection.tagged is not None
    said = {node.name: node.doc_string for node in inspection.tagged.graph.node}
    assert "synapses" in said["Conv_y"]
    assert all(said.values())


def test_tags_are_written_by_the_command(tmp_path: Path) -> None:
    source, tagged, snn = (str(tmp_path / name) for name in ("ann.onnx", "tagged.onnx", "snn.onnx"))
    onnx.save(gate(), source)
    result = CliRunner().invoke(main, ["inspect", source, "--tag", tagged])
    assert result.exit_code == 0, result.output
    assert "of the nodes" in result.output
    onnx.checker.check_model(tagged)
    assert all(node.doc_string for node in onnx.load(tagged).graph.node)
    onnx2snn.convert(source).save(snn)
    assert CliRunner().invoke(main, ["inspect", snn, "--tag", tagged]).exit_code == 4


def test_obstacles_are_counted_and_tagged_with_their_reason() -> None:
    inspection = inspect_model(Example("torchts13__plain-silu-b1").path)
    assert inspection.share is not None
    assert inspection.tagged is not None
    said = [n.doc_string for n in inspection.tagged.graph.node if n.doc_string.startswith("not spiking: ")]
    assert len(said) == inspection.share.nodes["obstacle"] == inspection.obstacles
