"""Compiled files: plain operators that any runtime executes, and the spikes of the file that they were made from."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from click.testing import CliRunner
from helpers_networks import NETWORKS
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.compile.neuron_writer import Writer
from onnx2snn.compile.thresholds import RoundingOperator
from onnx2snn.errors import ConversionError, InputError, InvalidModelError, SelfCheckError
from onnx2snn.runtime import SpikingSession

EXECUTIONS: tuple[Any, ...] = ("spiking", "fused", "int8", "step")
#: Several sizes, inputs and outputs, a size that is open, an operator that does not spike.
CHOSEN = ("residual", "several", "of_any_size", "hybrid")


def converted(name: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    network = NETWORKS[name]()
    return onnx2snn.convert(network.model, hybrid=network.hybrid).model, network.inputs(3)


def facts(model: onnx.ModelProto) -> dict[str, Any]:
    return json.loads(next(e.value for e in model.metadata_props if e.key == "onnx2snn.compiled"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", CHOSEN)
def test_a_compiled_file_spikes_as_the_converted_one(name: str, execution: Any, tmp_path: Path) -> None:
    model, inputs = converted(name)
    expected = SpikingSession(model.SerializeToString()).run(inputs)
    for opset in (None, 17):
        compiled = onnx2snn.compile(model, execution=execution, count="synops", opset=opset)
        assert compiled.tried == "equal"
        onnx.checker.check_model(compiled.model, full_check=True)
        assert not compiled.model.functions
        assert {node.domain for node in compiled.model.graph.node} == {""}
        assert {node.op_type for node in compiled.model.graph.node}.isdisjoint({"If", "Loop", "Scan"})
        compiled.save(tmp_path / "fast.onnx")
        session = SpikingSession(tmp_path / "fast.onnx")
        found = session.run(inputs)
        assert session.execution == ("streaming" if execution == "step" else execution)
        for layer, spikes in expected.spikes.items():
            np.testing.assert_array_equal(found.spikes[layer], spikes)
            np.testing.assert_array_equal(found.synops[layer], expected.synops[layer])
        assert found.neurons == expected.neurons
        np.testing.assert_allclose(found.energy.snn, expected.energy.snn)
        for output, values in expected.outputs.items():
            np.testing.assert_allclose(found.outputs[output], values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("execution", ["spiking", "fused", "int8"])
def test_the_reference_evaluator_runs_it_too(execution: Any) -> None:
    model, inputs = converted("residual")
    compiled = onnx2snn.compile(model, execution=execution, count="spikes", check=False)
    evaluator = ReferenceEvaluator(compiled.model)
    found = dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))
    for layer, spikes in SpikingSession(model.SerializeToString()).run(inputs).spikes.items():
        np.testing.assert_array_equal(found[f"spikes/{layer}"], spikes)


def test_any_runtime_drives_the_graph_of_one_step() -> None:
    """As its documentation says: inputs held for a phase, all states zero at first, answers where ``answered`` is true."""
    model, inputs = converted("residual")
    compiled = onnx2snn.compile(model, execution="step", count="spikes")
    session = ort.InferenceSession(compiled.model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = SpikingSession(model.SerializeToString()).run(inputs)
    states = facts(compiled.model)["states"]
    types = {"tensor(float)": np.float32, "tensor(bool)": np.bool_, "tensor(int64)": np.int64}
    types["tensor(double)"] = np.float64
    state = {
        i.name: np.zeros([size if isinstance(size, int) else 1 for size in i.shape], types[i.type])
        for i in session.get_inputs()
        if i.name in states
    }
    names = [output.name for output in session.get_outputs()]
    T = SpikingSession(model.SerializeToString()).timesteps
    answers = []
    for time in range(8 * T):
        phase = time // T
        x = {key: value[min(phase, 2)][None] for key, value in inputs.items()}
        found = dict(
            zip(names, session.run(None, {**x, "enters": np.array(phase < 3), **state}), strict=True)
        )
        state = {name: found[f"next/{name}"] for name in states}
        if found["answered"]:
            answers.append(found)
    assert len(answers) == 3
    for layer, spikes in expected.spikes.items():
        np.testing.assert_array_equal([a[f"spikes/{layer}"][0] for a in answers], spikes)
    np.testing.assert_allclose(np.concatenate([a["y"] for a in answers]), expected.outputs["y"])


def test_a_rate_code_has_no_shorter_way() -> None:
    network = NETWORKS["residual"]()
    conversion = onnx2snn.convert(network.model, coding="rate", timesteps=4)
    compiled = onnx2snn.compile(conversion, execution="fused", count="spikes")
    assert compiled.execution == facts(compiled.model)["execution"] == "spiking"
    with pytest.raises(InvalidModelError, match="not streamed"):
        onnx2snn.compile(conversion, execution="step")


def test_what_a_file_does_not_hold_is_named(tmp_path: Path) -> None:
    model, inputs = converted("residual")
    onnx2snn.compile(model, count="spikes").save(tmp_path / "fast.onnx")
    session = SpikingSession(tmp_path / "fast.onnx")
    assert session.run(inputs, count="nothing").outputs.keys() == {"y"}
    with pytest.raises(InputError, match="does not count") as caught:
        session.run(inputs, count="synops")
    assert "--count" in str(caught.value.remedy)
    for ask in (
        lambda: session.trace(inputs),
        lambda: SpikingSession(tmp_path / "fast.onnx", execution="int8"),
    ):
        with pytest.raises(InputError, match="holds the fused execution"):
            ask()
    with pytest.raises(InvalidModelError, match="compiled for running"):
        onnx2snn.compile(tmp_path / "fast.onnx")
    with pytest.raises(InputError, match="opset 9"):
        onnx2snn.compile(model, opset=9)
    with pytest.raises(InputError, match="no 'quick'"):
        onnx2snn.compile(model, execution="quick")  # type: ignore[arg-type]


def test_a_network_that_answers_something_else_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Thresholds that are off by one level: the check names the layer."""
    model, _ = converted("residual")

    def broken(_: object, __: object) -> RoundingOperator:
        return RoundingOperator("Ceil", np.float32([3]))

    monkeypatch.setattr(Writer, "rounding", broken)
    onnx.save(model, tmp_path / "snn.onnx")
    with pytest.raises(SelfCheckError, match="answers other levels"):
        onnx2snn.compile(model, execution="fused")
    ran = CliRunner().invoke(main, ["compile", str(tmp_path / "snn.onnx"), str(tmp_path / "fast.onnx")])
    assert ran.exit_code == 3
    assert not (tmp_path / "fast.onnx").exists()


def test_an_operator_set_that_the_runtime_has_not_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """What onnx knows already, onnxruntime may not."""
    model, _ = converted("residual")

    def loaded(*_: object) -> None:
        raise InvalidModelError("onnxruntime cannot load this model", found="NOT_IMPLEMENTED")

    monkeypatch.setattr(importlib.import_module("onnx2snn.compile.check"), "_answers", loaded)
    with pytest.raises(InputError, match="in opset 22") as refused:
        onnx2snn.compile(model, opset=22)
    assert "--opset" in str(refused.value.remedy)
    with pytest.raises(SelfCheckError, match="cannot run the compiled network"):
        onnx2snn.compile(model)


def test_the_command(tmp_path: Path) -> None:
    model, inputs = converted("several")
    paths = [str(tmp_path / name) for name in ("snn.onnx", "fast.onnx", "x.npz", "y.npz")]
    onnx.save(model, paths[0])
    np.savez(paths[2], **inputs)  # type: ignore[arg-type]
    command = ["compile", *paths[:2], "--execution", "step", "--count", "synops", "--opset", "17", "--json"]
    ran = CliRunner().invoke(main, command)
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.output)
    assert (told["execution"], told["count"], told["opset"], told["tried"]) == ("step", "synops", 17, "equal")
    ran = CliRunner().invoke(main, ["run", paths[1], "--data", paths[2], "--output", paths[3], "--json"])
    assert ran.exit_code == 0, ran.output
    expected = SpikingSession(model.SerializeToString()).run(inputs)
    with np.load(paths[3]) as written:
        for layer, spikes in expected.spikes.items():
            np.testing.assert_array_equal(written[f"spikes/{layer}"], spikes)
    assert CliRunner().invoke(main, ["compile", str(tmp_path / "no.onnx"), paths[1]]).exit_code == 4
    assert CliRunner().invoke(main, ["compile", paths[0], paths[0]]).exit_code == 2
    nothing = CliRunner().invoke(main, ["compile", *paths[:2]])
    assert nothing.exit_code == 0, nothing.output
    assert CliRunner().invoke(main, ["run", paths[1], "--data", paths[2]]).exit_code == 0


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"batch": -1}, {"batch": True}, {"batch": "1"}, {"opset": "17"}]
)
def test_numbers_that_are_none_are_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(InputError, match=f"'{name}' has to be a whole number"):
        onnx2snn.compile(converted("residual")[0], **wrong)


def test_a_compiled_file_is_no_source(tmp_path: Path) -> None:
    """It holds plain operators, some of which round: nobody takes them for activations."""
    model, inputs = converted("residual")
    onnx2snn.compile(model, check=False).save(tmp_path / "fast.onnx")
    for ask in (
        lambda: onnx2snn.convert(tmp_path / "fast.onnx"),
        lambda: onnx2snn.snap(tmp_path / "fast.onnx"),
        lambda: onnx2snn.calibrate(tmp_path / "fast.onnx", inputs, timesteps=4),
    ):
        with pytest.raises(ConversionError, match="already a spiking network"):
            ask()
    found, expected = onnx2snn.inspect_model(tmp_path / "fast.onnx"), onnx2snn.inspect_model(model)
    assert found.spiking
    assert (found.layers, found.steps) == (expected.layers, expected.steps)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_rows_of_a_sample_are_counted_together(execution: Any) -> None:
    """Five rows of a sample on axis 0: (5·N, 8) has one count a sample, as (N, 5, 8) would have."""
    source = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 21]>
        g (float[N,5,6] x) => (float[N,5,3] y)
        <int64[2] rows = {-1, 6}, int64[3] samples = {-1, 5, 3}, float s = {0.25}, uint8 z = {0}> {
            r = Reshape(x, rows)  c = MatMul(r, w)  q = QuantizeLinear(c, s, z)  d = DequantizeLinear(q, s, z)
            u = MatMul(d, v)  y = Reshape(u, samples)
        }""")
    drawn = np.random.default_rng(0)
    for name, shape in (("w", (6, 8)), ("v", (8, 3))):
        values = (drawn.integers(-8, 9, shape) / 16).astype(np.float32)
        source.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    x = (drawn.integers(-8, 9, (2, 5, 6)) / 4).astype(np.float32)
    model = onnx2snn.convert(source).model
    trains = SpikingSession(model).trace({"x": x}).spikes["d/neuron"]
    expected = trains.reshape(len(trains), 2, -1).sum(axis=(0, 2))
    for batch in (None, 2):
        compiled = onnx2snn.compile(model, execution=execution, count="synops", batch=batch).model
        onnx.checker.check_model(compiled, full_check=True)
        (output,) = (o for o in compiled.graph.output if o.name == "spikes/d/neuron")
        (size,) = output.type.tensor_type.shape.dim
        assert size.dim_value == (batch or 0)
        np.testing.assert_array_equal(SpikingSession(compiled).run({"x": x}).spikes["d/neuron"], expected)
        if execution != "step":
            session = ort.InferenceSession(compiled.SerializeToString(), providers=["CPUExecutionProvider"])
            np.testing.assert_array_equal(session.run(["spikes/d/neuron"], {"x": x})[0], expected)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_no_domain_is_imported_that_nothing_is_in(execution: Any) -> None:
    """Whatever the source's own file imports, as those of onnxruntime's quantiser do."""
    source = NETWORKS["residual"]().model
    source.opset_import.extend(onnx.helper.make_opsetid(d, 1) for d in ("com.microsoft", "ai.onnx.ml"))
    model = onnx2snn.convert(source).model
    assert {opset.domain for opset in model.opset_import} == {"", "onnx2snn"}
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))  # as files of before
    compiled = onnx2snn.compile(model, execution=execution).model
    assert [opset.domain for opset in compiled.opset_import] == [""]


@pytest.mark.parametrize("name", ["enters", "time"])
def test_a_name_that_the_step_has_for_its_own_is_refused_with_what_helps(name: str) -> None:
    source = NETWORKS["residual"]().model
    read = source.graph.input[0].name
    for node in source.graph.node:
        node.input[:] = [name if n == read else n for n in node.input]
    source.graph.input[0].name = name
    converted_ = onnx2snn.convert(source).model
    with pytest.raises(InputError, match="a name that the compiled one needs") as refused:
        onnx2snn.compile(converted_, execution="step")
    assert refused.value.found == f"'{name}'"
    assert "another name" in str(refused.value.remedy)
    onnx2snn.compile(converted_, execution="fused")  # has no use for it
