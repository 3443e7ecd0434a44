"""What is read is checked, and what is written is whole."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_corpus import Example
from helpers_graphs import make_model, node, samples
from onnx import TensorProto, helper, numpy_helper

import onnx2snn
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.files import load_model

SHAPE = ["N", 4]


def small(**keys: object) -> onnx.ModelProto:
    return make_model([node("Relu", ["x"], ["y"])], {}, {"x": SHAPE}, {"y": SHAPE}, **keys)  # type: ignore[arg-type]


def refused(path: Path | onnx.ModelProto, words: str) -> InvalidModelError:
    with pytest.raises(InvalidModelError, match=words) as caught:
        load_model(path)
    return caught.value


def test_a_model_in_memory_is_checked_and_given_back() -> None:
    model = small()
    before = model.SerializeToString()
    assert load_model(model) is model
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"this is a text, not a model", "no ONNX file"),
        (b"\x08\x07", "no network"),
        (b"\0" * 64, "no"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert refused(path, words).exit_code == 4


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "missing.onnx", "does not exist")
    refused(tmp_path, "is a folder, not a model")


BROKEN = {
    "a cycle": [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])],
    "an input that nothing writes": [node("Add", ["x", "nowhere"], ["y"])],
    "a name written twice": [node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])],
    "an output that nothing writes": [node("Relu", ["x"], ["z"])],
    "too many inputs": [node("Relu", ["x", "x"], ["y"])],
    "an attribute of the wrong type": [node("Flatten", ["x"], ["y"], axis="one")],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_against_the_rules(name: str) -> None:
    refused(make_model(BROKEN[name], {}, {"x": SHAPE}, {"y": SHAPE}), "rules of ONNX")


@pytest.mark.parametrize(
    "dims", [[1 << 60, 1 << 60], [-4, 4], [64, 1 << 40]], ids=["product too large", "negative", "more than there is"]
)  # fmt: skip
def test_sizes_that_cannot_be(dims: list[int]) -> None:
    model = make_model([node("MatMul", ["x", "w"], ["y"])], {}, {"x": SHAPE}, {"y": SHAPE})
    model.graph.initializer.append(
        TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"1234")
    )
    refused(model, "rules of ONNX")


@pytest.mark.parametrize("operator", ["TFL_MyVendorOp", "TFL_TFLite_Detection_PostProcess"])
def test_operators_that_only_another_framework_knows_are_named(operator: str) -> None:
    nodes = [node("Relu", ["x"], ["a"]), node(operator, ["a"], ["y"], name="boxes")]
    error = refused(make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}), "ONNX has no such operator")
    assert (error.node, error.operator, error.found) == ("boxes", operator, "it reads a")
    assert "onnx.utils.extract_model" in (error.remedy or "")


def test_recursive_functions() -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    body = [node("f", ["a"], ["b"], domain="mine")]
    function = helper.make_function("mine", "f", ["a"], ["b"], body, opsets)
    nodes = [node("f", ["x"], ["y"], domain="mine")]
    model = make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}, domains=["mine"], functions=[function])
    refused(model, "rules of ONNX")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    content = small().SerializeToString().replace(b"tiny", b"\xff\xfe\xfd\xfc")
    path.write_bytes(content)
    refused(path, "rules of ONNX")


def test_initializers_of_old_files_need_not_be_inputs() -> None:
    model = make_model(
        [node("MatMul", ["x", "w"], ["y"])],
        {"w": samples(4, 4)},
        {"x": SHAPE},
        {"y": SHAPE},
        opset=9,
        ir_version=3,
    )
    assert load_model(model) is model


def with_external(location: object, **keys: object) -> onnx.ModelProto:
    tensor = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL
    )
    for key, value in {"location": location, **keys}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    model = make_model([node("MatMul", ["x", "w"], ["y"])], {}, {"x": SHAPE}, {"y": SHAPE})
    model.graph.initializer.append(tensor)
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for the model, and weights outside of it."""
    inside = tmp_path / "inside"
    inside.mkdir()
    weights = np.eye(4, dtype=np.float32).tobytes()
    (tmp_path / "outside.bin").write_bytes(weights)
    (inside / "weights.bin").write_bytes(weights)
    (inside / "short.bin").write_bytes(weights[:10])
    (inside / "link.bin").symlink_to(tmp_path / "outside.bin")
    return inside


def test_weights_beside_the_model_are_read(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(with_external("weights.bin").SerializeToString())
    np.testing.assert_array_equal(numpy_helper.to_array(load_model(path).graph.initializer[0]), np.eye(4))


@pytest.mark.parametrize(
    ("location", "keys", "words"),
    [
        ("missing.bin", {}, "missing"),
        ("short.bin", {}, "cannot be read"),
        ("../outside.bin", {}, "outside"),
        ("/etc/passwd", {}, "outside"),
        ("link.bin", {}, "outside"),
        (".", {}, "missing"),
        ("weights.bin", {"offset": 1000}, "cannot be read"),
        ("weights.bin", {"offset": -4}, "cannot be read"),
        ("weights.bin", {"offset": "none"}, "cannot be read"),
        ("weights.bin", {"length": 1 << 50}, "cannot be read"),
    ],
)
def test_weights_elsewhere_are_refused(
    folder: Path, location: str, keys: dict[str, object], words: str
) -> None:
    path = folder / "model.onnx"
    path.write_bytes(with_external(location, **keys).SerializeToString())
    refused(path, words)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("missing.bin", "missing"),
        ("../outside.bin", "outside"),
        ("/etc/passwd", "outside"),
        ("link.bin", "outside"),
    ],
)
def test_weights_of_constant_nodes_are_held_to_the_same(folder: Path, location: str, words: str) -> None:
    tensor = with_external(location).graph.initializer[0]
    nodes = [node("Constant", [], ["w"], value=tensor), node("MatMul", ["x", "w"], ["y"])]
    path = folder / "model.onnx"
    path.write_bytes(make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}).SerializeToString())
    refused(path, words)


def test_damaged_files_end_in_an_error_or_a_model(tmp_path: Path) -> None:
    """Bits flipped, bytes lost, bytes added: 200 files with a fixed seed."""
    content = Example("torchts13__mlp-lsq2-dyn").path.read_bytes()
    path = tmp_path / "model.onnx"
    outcomes = []
    for seed in range(200):
        draw = random.Random(seed)  # noqa: S311 - nothing secret
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 2, 4, 16])):
            at = draw.randrange(min(len(damaged), 4000))
            change = draw.randrange(3)
            if change == 0:
                damaged[at] ^= 1 << draw.randrange(8)
            elif change == 1:
                del damaged[at : at + draw.randrange(1, 8)]
            else:
                damaged[at:at] = draw.randbytes(draw.randrange(1, 8))
        path.write_bytes(damaged)
        try:
            onnx2snn.convert(path)
            outcomes.append(True)
        except onnx2snn.Onnx2SnnError:
            outcomes.append(False)
    assert outcomes.count(False) > 50
