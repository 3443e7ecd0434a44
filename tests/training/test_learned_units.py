"""What fine-tuning learns, in which units, and what it leaves alone."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch")

import onnx2snn  # noqa: E402
from onnx2snn.training import finetune  # noqa: E402
from onnx2snn.training.importing import import_torch  # noqa: E402
from onnx2snn.training.scale_free import step_scale_free  # noqa: E402

pytestmark = pytest.mark.train


def normalised() -> onnx.ModelProto:
    """A product, a batch norm that stays one, a rectifier, a product."""
    rng = np.random.default_rng(0)
    held = {"w": (4, 6), "v": (6, 2), "gamma": (6,), "beta": (6,), "mean": (6,)}
    constants = {name: rng.normal(0, 1, shape) for name, shape in held.items()} | {"variance": np.ones(6)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("BatchNormalization", ["z", "gamma", "beta", "mean", "variance"], ["n"]),
        helper.make_node("Relu", ["n"], ["a"]),
        helper.make_node("MatMul", ["a", "v"], ["y"]),
    ]
    return made("normalised", nodes, constants, 4, 2)


def made(
    name: str, nodes: list[Any], constants: dict[str, Any], inputs: int, outputs: int
) -> onnx.ModelProto:
    """A network from rows ``x`` to rows ``y``."""
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", d])
        for n, d in (("x", inputs), ("y", outputs))
    ]
    tensors = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, name, ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rows_network() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A rectifier between two products, one of whose channels has a unit of a ten thousandth of the others'; and samples."""
    rng, unit = np.random.default_rng(0), np.array([1, 1, 1, 1e-4])
    constants = {"w": rng.normal(0, 1, (6, 4)) * unit, "v": rng.normal(0, 1, (4, 3)) / unit[:, None]}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("MatMul", ["a", "v"], ["y"]),
    ]
    return made("units", nodes, constants, 6, 3), {"x": rng.normal(0, 1, (256, 6)).astype(np.float32)}


def constants_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Values by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("count", [3, 36, 37, 38, 100])
def test_any_number_of_samples_can_be_trained_on(count: int) -> None:
    """A batch of one sample has no variance: batch norms do not look at it, and keep what they knew."""
    rng, model = np.random.default_rng(0), normalised()
    data = {"x": rng.normal(3, 5, (count, 4)).astype(np.float32), "labels": rng.integers(0, 2, count)}
    result = finetune(model, data, epochs=1, batch=16, exact=False)  # exact weights take it in
    norm = next(node for node in result.model.graph.node if node.op_type == "BatchNormalization")
    before, after = constants_of(model), constants_of(result.model)
    for name, position in (("mean", 3), ("variance", 4)):
        np.testing.assert_array_equal(after[norm.input[position]], before[name])
    assert np.isfinite(result.best.held_out_loss)


def test_batch_norms_keep_their_statistics_in_training() -> None:
    """Fine-tuned without a step, a network answers what its calibration did."""
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(3, 5, (64, 4)).astype(np.float32)}
    history = finetune(normalised(), data, epochs=3, learning_rate=0.0, exact=False).history
    assert len({epoch.held_out_loss for epoch in history}) == 1


def test_what_surrounds_a_staircase_is_not_learned_again() -> None:
    """Two matrices, what corrects the answers, and a threshold for each channel: shifts in front and factors behind stay."""
    model, data = rows_network()
    calibrated = onnx2snn.calibrate(model, data, exact=False).model
    imported = import_torch(calibrated, levels=15, samples=data)
    assert imported.factors["activation_0"].numel() > 1
    assert sorted(p.numel() for p in imported.module.parameters()) == [3, 4, 12, 24]


def test_thresholds_move_in_proportion_to_themselves() -> None:
    thresholds = torch.nn.Parameter(torch.tensor([1e-4, 1.0, 100.0]))
    optimiser = torch.optim.Adam([thresholds], lr=1e-2)
    (thresholds * torch.tensor([1e3, -1.0, 1e-3])).sum().backward()
    step_scale_free(optimiser, [thresholds])
    moved = thresholds.detach() / torch.tensor([1e-4, 1.0, 100.0])
    np.testing.assert_allclose(moved.numpy(), np.exp([-0.01, 0.01, -0.01]), rtol=1e-3)


def test_a_channel_of_a_small_unit_keeps_its_threshold() -> None:
    model, data = rows_network()
    model = onnx2snn.calibrate(model, data, per_channel=True, exact=False).model
    data["labels"] = data["x"][:, :3].argmax(axis=1)
    options: dict[str, Any] = {"learning_rate": 1e-3, "batch": 32, "exact": False}
    first, last = (finetune(model, data, epochs=epochs, **options) for epochs in (0, 1))
    before, after = (
        next(values for name, values in constants_of(tuned.model).items() if name.endswith("/step")).ravel()
        for tuned in (first, last)
    )
    assert last.best.number > 0
    assert before.min() < 1e-3 * before.max()
    assert np.abs(np.log(after / before)).max() < 0.05
