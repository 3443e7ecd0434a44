"""Files that once ended in a crash, a traceback, or not at all; and some hundred damaged ones, each with a fixed number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from helpers_fuzz import fuzz
from helpers_graphs import make_model, node, samples
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.analysis.scale_propagation import factor_of
from onnx2snn.cli.group import main
from onnx2snn.dialect.macs import macs_of
from onnx2snn.errors import ConversionError, InvalidModelError
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import make_runner
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.backends import Loadable, make_engine

SHAPE = ["N", 4]


def refused(model: onnx.ModelProto, words: str) -> None:
    with pytest.raises(InvalidModelError, match=words) as caught:
        onnx2snn.convert(model)
    assert caught.value.exit_code == 4


def with_weights(**fields: Any) -> onnx.ModelProto:
    """A product with a tensor that says something else than it holds."""
    model = make_model([node("MatMul", ["x", "w"], ["y"])], {}, {"x": SHAPE}, {"y": SHAPE})
    model.graph.initializer.append(TensorProto(name="w", **fields))
    return model


@pytest.mark.parametrize(
    "fields",
    [
        {"data_type": TensorProto.FLOAT, "dims": [4, 4], "raw_data": b"\0" * 60},
        {"data_type": TensorProto.FLOAT, "dims": [64, 64], "raw_data": b"\0" * 60},
        {"data_type": TensorProto.FLOAT, "dims": [4, 4], "float_data": [1.0] * 15},
        {"data_type": TensorProto.INT32, "dims": [1], "raw_data": b"", "int32_data": [1]},
        {"data_type": TensorProto.INT4, "dims": [1 << 40], "raw_data": b"\0" * 8},
        {"data_type": TensorProto.FLOAT, "dims": [-64, -64], "raw_data": b"\0" * 4096 * 4},
        {"data_type": TensorProto.STRING, "dims": [3], "string_data": [b"one"]},
    ],
)
def test_tensors_that_do_not_hold_what_their_sizes_say(fields: dict[str, Any]) -> None:
    refused(with_weights(**fields), "rules of ONNX")


def test_elements_of_a_type_that_onnx_has_not() -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {}, {"x": SHAPE}, {"y": SHAPE})
    model.graph.input[0].type.tensor_type.elem_type = 1000
    refused(model, "rules of ONNX")


@pytest.mark.parametrize("depth", [101, 1500])
def test_functions_nested_without_measure(depth: int) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("odd", 1)]
    functions = [
        helper.make_function(
            "odd", f"f{n}", ["a"], ["b"], [node(f"f{n + 1}", ["a"], ["b"], domain="odd")], opsets
        )
        for n in range(depth)
    ]
    functions.append(
        helper.make_function("odd", f"f{depth}", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)
    )
    nodes = [node("f0", ["x"], ["y"], domain="odd")]
    refused(
        make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}, domains=["odd"], functions=functions),
        "rules of ONNX",
    )


def test_sizes_that_no_machine_holds() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["z"]),
        node("Round", ["z"], ["k"]),
        node("Clip", ["k", "low", "high"], ["a"]),
    ]
    nodes += [node("Neg", ["a"], ["y"])]
    constants = {"w": samples(4, 4), "low": np.float32(0), "high": np.float32(7)}
    shape = ["N", 1 << 30, 1 << 30, 4]
    refused(make_model(nodes, constants, {"x": shape}, {"y": shape}), "no machine holds")


def test_a_rounding_of_a_number_without_axes() -> None:
    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Round", ["s"], ["r"]),
        node("Add", ["x", "r"], ["y"]),
    ]
    with pytest.raises(ConversionError):
        onnx2snn.convert(make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}))


def test_a_quantiser_of_absurdly_many_bits() -> None:
    domain = "qonnx.custom_op.general"
    constants = {"s": np.float32(0.5), "z": np.float32(0), "bits": np.float32(1e30), "w": samples(4, 4)}
    nodes = [node("Quant", ["x", "s", "z", "bits"], ["q"], domain=domain), node("MatMul", ["q", "w"], ["y"])]
    with pytest.raises(ConversionError):
        onnx2snn.convert(make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE}, domains=[domain]))


@pytest.mark.parametrize("location", ["x" * 5000, "a\0b", "loop.bin"])
def test_weights_in_places_that_cannot_be(tmp_path: Path, location: str) -> None:
    (tmp_path / "loop.bin").symlink_to("loop.bin")
    model = with_weights(data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    model.graph.initializer[0].external_data.add(key="location", value=location)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidModelError):
        onnx2snn.convert(path)


def test_a_model_in_memory_without_its_weights() -> None:
    model = with_weights(data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    refused(model, "does not hold")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "."])
def test_devices_and_folders_are_no_models(path: str) -> None:
    for read in (onnx2snn.convert, SpikingSession, onnx2snn.inspect_model):
        with pytest.raises(InvalidModelError):
            read(path)


def test_memory_that_is_not_there_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("onnx2snn.inspect_model", exhausted, raising=False)
    with pytest.raises(SystemExit) as end:
        main(["inspect", "x.onnx"])
    assert end.value.code == 4
    assert "memory" in capsys.readouterr().err


def test_a_model_that_memory_does_not_hold_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    path = tmp_path / "model.onnx"
    path.write_bytes(
        with_weights(data_type=TensorProto.FLOAT, dims=[1], float_data=[1.0]).SerializeToString()
    )
    monkeypatch.setattr("onnx2snn.model.files.check_rules", exhausted)
    with pytest.raises(MemoryError):
        load_model(path)
    with pytest.raises(SystemExit) as end:
        main(["inspect", str(path)])
    assert end.value.code == 4
    assert "memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["std::bad_alloc", "Failed to allocate memory for requested buffer of size 8"]
)
def test_memory_that_onnxruntime_lacks_is_no_fault_of_the_file(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted:
        def __init__(self, *_: object, **__: object) -> None:
            raise RuntimeError(f"[ONNXRuntimeError] : 1 : FAIL : Exception during loading: {words}")

    model = make_model([node("Relu", ["x"], ["y"])], {}, {"x": SHAPE}, {"y": SHAPE})
    monkeypatch.setattr("onnxruntime.InferenceSession", Exhausted)
    with pytest.raises(MemoryError):
        make_runner(model)
    with pytest.raises(MemoryError):
        make_engine(Loadable(model.SerializeToString()), "onnxruntime")


def test_what_ends_for_want_of_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrapped(*_: object) -> None:
        raise InvalidModelError("this network cannot be computed") from MemoryError()

    monkeypatch.setattr("onnx2snn.inspect_model", wrapped, raising=False)
    with pytest.raises(SystemExit):
        main(["inspect", "x.onnx"])
    assert "memory" in capsys.readouterr().err


def test_damaged_files_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short form of ``benchmarks/fuzz_files.py``: every command, every kind of damage, in a process of its own."""
    results = fuzz(tmp_path, monkeypatch, range(0, 150 * 11, 11), seconds=20)
    assert {result["code"] for result in results} >= {0, 3, 4}
    assert len({result["damage"] for result in results}) > 25


def test_sizes_that_wiring_has_left_unknown() -> None:
    """Damaged wiring that is valid ONNX all the same: a product with a vector, a factor of a tensor without a shape."""
    vector = make_model(
        [node("Gemm", ["x", "w"], ["y"], transB=1)], {"w": samples(4)}, {"x": SHAPE}, {"y": ["N", 4]}
    )
    assert macs_of(gs.import_onnx(vector)).total["ann"] == 16
    x, y = gs.Variable("x", np.float32, ["N", 4]), gs.Variable("y", np.float32)
    assert (
        factor_of(gs.Node("Mul", "n", inputs=[x, gs.Constant("c", np.ones(1, np.float32))], outputs=[y]))
        is None
    )


def test_a_float_network_whose_numbers_overflow(relu_model: onnx.ModelProto) -> None:
    weights = next(t for t in relu_model.graph.initializer if len(t.dims) > 1)
    weights.CopyFrom(
        onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * np.float32(1e37), weights.name)
    )
    for method in ("auto", "max"):
        with pytest.raises(InvalidModelError, match="not finite") as caught:
            onnx2snn.calibrate(relu_model, {"x": samples(16, 4) * 100}, timesteps=3, method=method)
        assert caught.value.node


@pytest.fixture
def relu_model() -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "w"], ["z"]), node("Relu", ["z"], ["a"]), node("MatMul", ["a", "v"], ["y"])]
    return make_model(nodes, {"w": samples(4, 4), "v": samples(4, 4)}, {"x": SHAPE}, {"y": SHAPE})


def test_an_input_that_holds_nothing_is_refused() -> None:
    refused(
        make_model([node("Relu", ["x"], ["y"])], {}, {"x": [0, 6]}, {"y": [0, 6]}), "input 'x' holds nothing"
    )
