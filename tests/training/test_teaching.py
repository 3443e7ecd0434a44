"""What a network learns without labels: any outputs, from any inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch")

import onnx2snn  # noqa: E402
from onnx2snn.cli.finetune_with_torch import finetune as command  # noqa: E402
from onnx2snn.data import input_specs, open_data  # noqa: E402
from onnx2snn.training import finetune  # noqa: E402
from onnx2snn.training.marking import prepared_graph  # noqa: E402
from onnx2snn.training.teaching import Lessons, lessons  # noqa: E402

pytestmark = pytest.mark.train

SAMPLES = 96


def model_of(
    nodes: list[Any],
    weights: dict[str, np.ndarray],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
) -> onnx.ModelProto:
    ports = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", *d]) for n, d in one.items()]
        for one in (inputs, outputs)
    ]
    tensors = [
        numpy_helper.from_array(np.asarray(v, v.dtype if v.dtype.kind == "i" else np.float32), n)
        for n, v in weights.items()
    ]
    graph = helper.make_graph(nodes, "values", *ports, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def embedding(seed: int = 0) -> onnx.ModelProto:
    """Eight numbers a sample, none of them a score."""
    rng = np.random.default_rng(seed)
    sizes = {"first": (6, 48), "second": (48, 48), "third": (48, 8)}
    weights = {name: rng.normal(0, (2 / size[0]) ** 0.5, size) for name, size in sizes.items()}
    nodes, value = [], "x"
    for name in sizes:
        nodes.append(helper.make_node("MatMul", [value, name], [f"{name}/z"]))
        nodes.append(helper.make_node("Relu", [f"{name}/z"], [f"{name}/a"]))
        value = f"{name}/a"
    nodes[-1] = helper.make_node("Identity", ["third/z"], ["embedding"])
    return model_of(nodes, weights, {"x": [6]}, {"embedding": [8]})


def detector() -> onnx.ModelProto:
    """Two inputs; a mask, shares of 1 at each of its places, and boxes."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(0, 0.5, (8, 1, 3, 3)),
        "m": rng.normal(0, 0.5, (3, 8, 1, 1)),
        "b": rng.normal(0, 20.0, (8, 4)),
    }
    nodes = [
        helper.make_node("Add", ["image", "other"], ["both"]),
        helper.make_node("Conv", ["both", "w"], ["z"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("Conv", ["a", "m"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["mask"], axis=1),
        helper.make_node("ReduceMean", ["a"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "b"], ["boxes"]),
    ]
    ports = {"mask": [3, 6, 6], "boxes": [4]}
    return model_of(nodes, weights, {"image": [1, 6, 6], "other": [1, 6, 6]}, ports)


def drawn(model: onnx.ModelProto, seed: int = 1, count: int = SAMPLES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim[1:]] for i in model.graph.input}
    return {name: rng.normal(0, 1, (count, *shape)).astype(np.float32) for name, shape in shapes.items()}


def lessons_of(model: onnx.ModelProto, data: dict[str, np.ndarray]) -> Lessons:
    return lessons(prepared_graph(model), open_data(data, input_specs(model)))


@pytest.mark.parametrize("layerwise", [0.0, 1.0])
def test_an_embedding_comes_nearer_to_what_it_was(layerwise: float) -> None:
    data = drawn(embedding(), count=768)
    result = finetune(
        embedding(), data, timesteps=3, epochs=12, learning_rate=3e-3, batch=16, layerwise=layerwise
    )
    assert result.best.error < 0.95 * result.history[0].error
    assert np.isnan(result.best.accuracy)
    fresh = drawn(embedding(), seed=2)
    wanted, found = (
        onnx.reference.ReferenceEvaluator(m).run(None, fresh)[0] for m in (embedding(), result.model)
    )
    assert np.std(found - wanted) / np.std(wanted) < 1.2 * result.best.error


def test_inputs_and_outputs_of_any_number_are_learned() -> None:
    data = drawn(detector(), count=256)
    result = finetune(detector(), data, timesteps=2, epochs=8, learning_rate=1e-2, batch=16)
    assert set(result.best.errors) == {"mask", "boxes"}
    assert result.best.held_out_loss < 0.9 * result.history[0].held_out_loss
    assert [port.name for port in result.model.graph.output] == ["mask", "boxes"]
    assert onnx2snn.verify(result.model, onnx2snn.convert(result.model), data).lossless


def test_a_lesson_fits_its_output() -> None:
    taught = {lesson.port.name: lesson for lesson in lessons_of(detector(), drawn(detector())).lessons}
    assert (taught["mask"].axis, taught["mask"].logits) == (1, False)
    assert taught["boxes"].axis is None


def test_no_loss_where_answers_are_right() -> None:
    taught = lessons_of(detector(), drawn(detector()))
    assert float(taught.loss(taught.targets, taught.targets)) == pytest.approx(0, abs=1e-6)
    assert float(taught.answers.divergence(taught.targets, taught.targets)) == pytest.approx(0, abs=1e-4)
    moved = 0.9 * taught.targets + 0.1 * taught.targets.roll(1, 0)
    loss = float(taught.loss(moved, taught.targets))
    assert float(taught.answers.divergence(taught.targets, moved)) == pytest.approx(loss * SAMPLES, rel=1e-3)


def test_pixels_beside_probabilities_have_a_variance_each() -> None:
    weights = {"unit": np.array([[[300.0]], [[300.0]], [[0.1]]])}
    scaled = model_of(
        [helper.make_node("Mul", ["x", "unit"], ["z"]), helper.make_node("Relu", ["z"], ["rows"])],
        weights,
        {"x": [3, 5, 1]},
        {"rows": [3, 5, 1]},
    )
    (lesson,) = lessons_of(scaled, drawn(scaled)).lessons
    assert tuple(lesson.variance.shape) == (3, 1, 1)
    assert float(lesson.variance[0, 0, 0]) > 1e5 * float(lesson.variance[2, 0, 0])


def test_labels_teach_the_scores_and_the_rest_stays() -> None:
    model = detector()
    data = drawn(model) | {"labels": np.arange(SAMPLES) % 4}
    taught = lessons_of(model, data)
    assert [lesson.labelled for lesson in taught.lessons] == [False, True]
    assert taught.right(taught.targets, taught.targets) == 1
    with pytest.raises(onnx2snn.InputError, match="names no class"):
        lessons_of(model, data | {"labels": np.full(SAMPLES, 4)})


def test_whole_numbers_cannot_be_learned() -> None:
    model = embedding()
    model.graph.node.append(helper.make_node("ArgMax", ["embedding"], ["class"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("class", TensorProto.INT64, ["N", 1]))
    with pytest.raises(onnx2snn.ConversionError, match="can be learned"):
        finetune(model, drawn(model))


def test_the_command_tells_the_error_before_and_after(tmp_path: Path) -> None:
    onnx.save(embedding(), tmp_path / "in.onnx")
    np.savez(tmp_path / "data.npz", **drawn(embedding()))
    words = [str(tmp_path / name) for name in ("in.onnx", "out.onnx")]
    options = ["--data", str(tmp_path / "data.npz"), "--epochs", "2", "--layerwise", "0.1"]
    result = CliRunner().invoke(command, [*words, *options], standalone_mode=False)
    assert result.exception is None
    assert "before training" in result.output
    assert "right" not in result.output
