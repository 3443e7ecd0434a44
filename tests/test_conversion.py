"""Conversion of real exporters' networks: lossless, spiking, and runnable anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_corpus import (
    ALL,
    EXACT,
    MORE,
    MORE_EXACT,
    MORE_QUANTISED,
    MORE_REFUSED,
    QUANTISED,
    REFUSED,
    Example,
)
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.analysis.pass_manager import Fixpoint, apply_owned, state_of
from onnx2snn.dialect.functions import attach_functions
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.reference import run_reference
from onnx2snn.pass_driver import relative_change
from onnx2snn.passes import pipeline
from onnx2snn.passes.importer import import_model
from onnx2snn.runtime import SpikingSession

TOLERANCE = 1e-4  # of the outputs' range


def worst(found: dict[str, np.ndarray], example: Example) -> float:
    return max(relative_change(found[name], value) for name, value in example.expected.items())


def test_there_are_models() -> None:
    assert len(ALL) >= 18
    assert len(MORE) >= 50
    assert set(REFUSED) <= set(ALL)
    assert set(MORE_REFUSED) <= set(MORE)


@pytest.mark.parametrize("name", [*REFUSED, *MORE_REFUSED])
def test_what_is_not_quantised_is_refused_by_name(name: str) -> None:
    with pytest.raises(onnx2snn.ConversionError, match=r"node: +|node '.+' \("):
        onnx2snn.convert(Example(name).path)


@pytest.mark.parametrize("name", [*EXACT, *MORE_EXACT])
def test_after_every_pass_the_graph_is_valid_and_computes_the_same(name: str) -> None:
    example = Example(name)
    graph = import_model(onnx.load(example.path))
    for graph_pass in pipeline():
        before = state_of(graph)
        graph = apply_owned(graph, [graph_pass])
        if state_of(graph).equals(before):
            continue
        if any(node.domain and node.domain != "onnx2snn" for node in graph.nodes):
            continue  # QONNX operators, before they are decomposed, run nowhere
        model = to_model(graph)
        attach_functions(model)
        onnx.checker.check_model(model)
        assert worst(run_reference(model, example.inputs), example) < TOLERANCE, graph_pass.__name__


@pytest.mark.parametrize("name", [*QUANTISED, *MORE_QUANTISED])
def test_a_conversion_is_certified_lossless_and_answers_in_stock_onnxruntime(name: str) -> None:
    """Its neurons emit zeros and ones at every step, and the fused execution as many of them."""
    example = Example(name)
    conversion = example.conversion
    certificate = onnx2snn.verify(example.path, conversion.model, example.inputs)
    assert certificate.lossless
    assert certificate.samples == len(next(iter(example.inputs.values())))
    assert sum(layer.levels_compared for layer in certificate.layers) > 0
    onnx.checker.check_model(conversion.model)
    answers, trains = in_onnxruntime(conversion, example.inputs)
    if name in (*EXACT, *MORE_EXACT):
        assert worst(answers, example) < TOLERANCE
    for layer in conversion.layers:
        train = trains[layer.name]
        assert train.shape == (conversion.timesteps * certificate.samples, *layer.shape)
        assert set(np.unique(train)) <= {0.0, 1.0}
    if name in QUANTISED:
        executions_agree(conversion, example.inputs)


def in_onnxruntime(
    conversion: onnx2snn.Conversion, inputs: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Outputs by name, and spike trains by layer."""
    model = onnx.ModelProto()
    model.CopyFrom(conversion.model)
    names = [output.name for output in model.graph.output]
    for layer in conversion.layers:
        model.graph.output.append(onnx.helper.make_tensor_value_info(layer.output, 1, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = session.run([*names, *(layer.output for layer in conversion.layers)], inputs)
    trains = {
        layer.name: train for layer, train in zip(conversion.layers, answers[len(names) :], strict=True)
    }
    return dict(zip(names, answers, strict=False)), trains


def executions_agree(conversion: onnx2snn.Conversion, inputs: dict[str, np.ndarray]) -> None:
    """Spiking and fused, on every spike and on every operation."""
    content = conversion.model.SerializeToString()
    spiking, fused = (SpikingSession(content, execution=e).run(inputs) for e in ("spiking", "fused"))
    for layer, spikes in spiking.spikes.items():
        np.testing.assert_array_equal(spikes, fused.spikes[layer])
        np.testing.assert_array_equal(spiking.synops[layer], fused.synops[layer])


@pytest.mark.parametrize("name", ["torchts13__mlp-lsq2-dyn", "torchts17__conv1d-qcfs16-dyadic-nofold-dyn"])
def test_the_reference_evaluator_answers_the_same(name: str) -> None:
    example = Example(name)
    model = example.conversion.model
    names = [output.name for output in model.graph.output]
    found = dict(zip(names, ReferenceEvaluator(model).run(names, example.inputs), strict=True))
    assert worst(found, example) < TOLERANCE


@pytest.mark.parametrize(
    "name", ["torchts13__mlp-lsq2-dyn", "torchts11__preact-qcfs16-dyn", "torchts13__dense-qcfs8c-dyn"]
)
def test_all_bias_forms_give_the_same_levels(name: str) -> None:
    example = Example(name)
    levels = []
    for bias in ("once", "per-step", "paper"):
        conversion = onnx2snn.convert(example.path, bias=bias)
        assert (
            json.loads({e.key: e.value for e in conversion.model.metadata_props}["onnx2snn"])["bias"] == bias
        )
        session = SpikingSession(conversion.model.SerializeToString())
        levels.append([session.levels(example.inputs)[layer.name] for layer in conversion.layers])
    for other in levels[1:]:
        for first, second in zip(levels[0], other, strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_spike_is_refused_by_name(name: str) -> None:
    with pytest.raises(onnx2snn.ConversionError) as caught:
        onnx2snn.convert(Example(name).path)
    assert caught.value.node
    assert caught.value.operator
    assert caught.value.remedy


def test_a_spiking_network_is_not_converted_again() -> None:
    model = Example("torchts13__mlp-lsq2-dyn").conversion.model
    with pytest.raises(onnx2snn.ConversionError, match="already"):
        onnx2snn.convert(model)


@pytest.mark.parametrize("name", ["brevitas__inq-a8w8pc-qcdq", "torchts13__dense-qcfs8c-dyn"])
def test_inputs_and_outputs_stay_as_declared(name: str) -> None:
    source = onnx.load(Example(name).path)
    model = onnx2snn.convert(source).model
    assert _given(source) == list(model.graph.input)
    assert list(source.graph.output) == list(model.graph.output)


def test_of_inputs_and_outputs_a_batch_of_one_is_freed_and_nothing_else() -> None:
    source = onnx.load(Example("torchdy21__mlp-qcfs16-dyadic-b1").path)
    declared = [*_given(source), *source.graph.output]
    conversion = onnx2snn.convert(source)
    assert any("any number of samples" in note for note in conversion.notes)
    for value in declared:
        first = value.type.tensor_type.shape.dim[0]
        assert first.dim_value == 1
        first.dim_param = "N"
    assert declared == [*conversion.model.graph.input, *conversion.model.graph.output]
    unchecked = onnx2snn.convert(Example("torchdy21__mlp-qcfs16-dyadic-b1").path, check=False).model
    assert unchecked.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


def _given(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    initialised = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in initialised]


def test_the_layer_table_names_the_sources_nodes() -> None:
    example = Example("torchts17__conv1d-qcfs16-dyadic-nofold-dyn")
    source = onnx.load(example.path)
    conversion = onnx2snn.convert(source)
    nodes = {node.name for node in source.graph.node}
    assert conversion.timesteps == 5
    for layer in conversion.layers:
        assert set(layer.source_nodes) <= nodes
        assert layer.levels == 16
        assert layer.neurons == np.prod(layer.shape)


def test_conversion_is_deterministic() -> None:
    path = Example("torchts16__unet-qcfs16-dyadic-dyn").path
    first, second = (onnx2snn.convert(path).model.SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_the_driver_compares_after_every_pass() -> None:
    example = Example("torchts11__preact-qcfs16-dyn")
    checks = onnx2snn.convert(example.path, check=example.inputs).checks
    names = {name for name, _ in checks}
    assert {graph_pass.__name__ for graph_pass in pipeline() if not isinstance(graph_pass, Fixpoint)} <= names
    assert all(change < TOLERANCE for _, change in checks)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"", "empty"), (b"no model", "damaged"), (b"\x08\x07", "no network")],
)
def test_bad_files_are_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(onnx2snn.InvalidModelError, match=words):
        onnx2snn.convert(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    content = Example("torchts13__mlp-lsq2-dyn").path.read_bytes()
    path = tmp_path / "model.onnx"
    for length in range(1, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        with pytest.raises(onnx2snn.Onnx2SnnError):
            onnx2snn.convert(path)


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    conversion = Example("torchts13__mlp-lsq2-dyn").conversion
    with pytest.raises(onnx2snn.OutputError, match="does not exist"):
        conversion.save(tmp_path / "missing" / "snn.onnx")
    target = tmp_path / "snn.onnx"
    conversion.save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["snn.onnx"]
    assert onnx2snn.verify(Example("torchts13__mlp-lsq2-dyn").path, target).lossless
