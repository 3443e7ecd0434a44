import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers_training import CLASSES, channels_last, samples
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import onnx2snn  # noqa: E402
from onnx2snn.cli.finetune_with_torch import finetune as command  # noqa: E402
from onnx2snn.exact import rounded_network  # noqa: E402
from onnx2snn.runtime import SpikingSession  # noqa: E402
from onnx2snn.training import (  # noqa: E402
    QCFS,
    SpikeMeter,
    calibrate_thresholds,
    export_onnx,
    finetune,
    replace_activations,
)
from onnx2snn.training.importing import import_torch  # noqa: E402

pytestmark = pytest.mark.train


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, CLASSES),
    )  # fmt: skip


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "float.onnx"
    export_onnx(network(), torch.zeros(2, 1, 8, 8), path, input_name="x", output_name="scores")
    return path


def assert_lossless(model: onnx.ModelProto, x: np.ndarray) -> None:
    """Certified: levels differ only where float32 rounding explains it."""
    assert onnx2snn.verify(model, onnx2snn.convert(model).model, {"x": x}).lossless


def test_replaced_and_calibrated_activations_keep_the_answers() -> None:
    model, x = network().eval(), torch.as_tensor(samples()["x"])
    with torch.no_grad():
        before = model(x)
        assert replace_activations(model, levels=255) == ["2", "5"]
        assert set(calibrate_thresholds(model, [x])) == {"2", "5"}
        assert (model(x) - before).abs().max() < 0.05 * before.abs().max()


def test_spikes_in_training_are_the_spikes_of_the_converted_network(tmp_path: Path) -> None:
    """Weights and thresholds are sums of a few powers of two: float32 sums are exact in any order."""
    model = network()
    replace_activations(model, levels=15, threshold=3.75)
    with torch.no_grad():
        for parameter in [p for name, p in model.named_parameters() if not name.endswith("threshold")]:
            parameter.copy_((parameter * 64).round() / 64)
        model[1].running_var.fill_(1 - model[1].eps)
    x = np.round(samples()["x"] * 16) / 16
    model.eval()
    with SpikeMeter(model) as meter:
        model(torch.as_tensor(x))
    export_onnx(model, torch.as_tensor(x[:2]), tmp_path / "ann.onnx", input_name="x", output_name="y")
    onnx2snn.convert(tmp_path / "ann.onnx").save(tmp_path / "snn.onnx")
    result = SpikingSession(tmp_path / "snn.onnx").run({"x": x})
    assert [int(count.sum()) for count in result.spikes.values()] == list(meter.spikes.values())


def test_labels_are_learned_and_spikes_saved(float_model: Path) -> None:
    data, options = samples(), {"epochs": 8, "learning_rate": 1e-2, "batch": 32}
    dense = finetune(float_model, data, **options)
    sparse = finetune(float_model, data, sparsity=5e-4, **options)
    assert dense.best.accuracy == 1
    assert sparse.best.spikes < 0.6 * dense.best.spikes
    assert sparse.best.accuracy > 0.9
    assert_lossless(sparse.model, data["x"])


def synops(model: onnx.ModelProto, x: np.ndarray) -> float:
    """Of one sample, as the runtime counts them."""
    session = SpikingSession(onnx2snn.convert(model).model.SerializeToString())
    return float(sum(count.mean() for count in session.run({"x": x}).synops.values()))


@pytest.mark.parametrize("labelled", [True, False])
def test_synapses_are_dropped_and_answers_kept(float_model: Path, labelled: bool) -> None:
    data = samples() if labelled else {"x": samples()["x"]}
    options: dict[str, Any] = {"epochs": 6, "learning_rate": 1e-2, "batch": 32, "exact": False}
    whole = finetune(float_model, data, **options)
    pruned = finetune(float_model, data, pruning=1e-6, **options)
    assert [epoch.synapses for epoch in whole.history] == [1] * 7
    left = [epoch.synapses for epoch in pruned.history]
    assert left == sorted(left, reverse=True)
    assert left[0] == 1
    assert left[-1] < 0.7
    assert pruned.best.number > 3
    assert pruned.best.accuracy > 0.9 if labelled else pruned.best.error < 0.2
    held_in = (numpy_helper.to_array(t) for t in pruned.model.graph.initializer if t.dims[1:])
    weights = [w for w in held_in if w.size > max(w.shape)]
    held = sum(np.count_nonzero(w) for w in weights) / sum(w.size for w in weights)
    assert held == pytest.approx(pruned.best.synapses)
    assert synops(pruned.model, data["x"]) < 0.7 * synops(whole.model, data["x"])
    assert_lossless(pruned.model, data["x"])


def test_squared_errors_tell_what_synapses_are_worth() -> None:
    """A network that answers values, by a matrix product: labels there are none."""
    rng = np.random.default_rng(0)
    sizes = [("first", (6, 32)), ("second", (32, 3))]
    weights = [numpy_helper.from_array(rng.normal(0, 0.5, s).astype(np.float32), n) for n, s in sizes]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["z"]),
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("MatMul", ["a", "second"], ["y"]),
        helper.make_node("Reshape", ["y", "shape"], ["rows"]),
    ]
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", *d])
        for n, d in (("x", [6]), ("rows", [3, 1]))
    ]
    shape = numpy_helper.from_array(np.array([-1, 3, 1]), "shape")
    graph = helper.make_graph(nodes, "values", ends[:1], ends[1:], [*weights, shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = {"x": rng.normal(0, 1, (512, 6)).astype(np.float32)}
    options: dict[str, Any] = {"epochs": 6, "learning_rate": 1e-2}
    whole, pruned = (finetune(model, data, pruning=weight, **options) for weight in (0.0, 3e-3))
    assert pruned.best.synapses < 0.9
    assert pruned.best.held_out_loss < whole.best.held_out_loss + 0.1
    assert synops(pruned.model, data["x"]) < 0.8 * synops(whole.model, data["x"])


def test_without_labels_it_learns_its_own_answers(float_model: Path) -> None:
    data = {"x": samples()["x"]}
    result = finetune(float_model, data, timesteps=2, epochs=12, learning_rate=3e-3)
    assert result.best.error < 0.9 * result.history[0].error
    assert np.isnan(result.best.accuracy)


def test_channels_last_probabilities_keep_names_and_axes() -> None:
    data = samples()
    data["x"] = data["x"].transpose(0, 2, 3, 1).copy()
    result = finetune(channels_last(), data, epochs=8, learning_rate=3e-2)
    assert result.best.accuracy > 0.9
    assert [t.name for t in (*result.model.graph.input, *result.model.graph.output)] == ["x", "probabilities"]
    onnx.checker.check_model(result.model, full_check=True)
    assert_lossless(result.model, data["x"])


def test_a_staircase_keeps_its_thresholds(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 5), QCFS(levels=7, threshold=1.75), nn.Linear(5, 2)).eval()
    x = torch.randn(64, 4)
    export_onnx(model, x, tmp_path / "ann.onnx", input_name="x", output_name="y")
    imported = import_torch(onnx.load(tmp_path / "ann.onnx"), levels=7, samples={"x": x.numpy()})
    assert imported.to_calibrate == ()
    with torch.no_grad():
        np.testing.assert_allclose(imported.module.eval()(x).numpy(), model(x).numpy(), atol=1e-6)


def test_weights_stay_float_where_grids_would_change_what_was_learned(
    float_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"x": samples()["x"]}
    told = finetune(float_model, data, timesteps=3, epochs=1)
    assert not told.unrounded
    monkeypatch.setattr(rounded_network, "MOVED", -1.0)
    monkeypatch.setattr(rounded_network, "COARSE", -1.0)
    kept = finetune(float_model, data, timesteps=3, epochs=1)
    assert "its outputs would be off by" in kept.unrounded
    as_learned = finetune(float_model, data, timesteps=3, epochs=1, exact=False).model
    assert kept.model.SerializeToString() == as_learned.SerializeToString()
    np.savez(tmp_path / "data.npz", **data)
    words = [
        str(float_model),
        str(tmp_path / "out.onnx"),
        "--data",
        str(tmp_path / "data.npz"),
        "--epochs",
        "1",
    ]
    assert "weights stay float: on grids" in CliRunner().invoke(command, words).output


def test_an_unknown_operator_is_named() -> None:
    model = channels_last()
    model.graph.node[-1].op_type = "Hardmax"
    with pytest.raises(onnx2snn.ConversionError, match="Hardmax"):
        finetune(model, {"x": np.zeros((4, 8, 8, 1), np.float32)})


class PulledPlugError(Exception):
    pass


def test_an_interrupted_run_ends_as_if_it_had_not_been(float_model: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 5, "sparsity": 1e-4, "pruning": 1e-5, "seed": 5}
    whole = finetune(float_model, samples(), **options)

    def stop(epoch: Any) -> None:
        if epoch.number == 2:
            raise PulledPlugError

    state = tmp_path / "state"
    with pytest.raises(PulledPlugError):
        finetune(float_model, samples(), checkpoint=state, on_epoch=stop, **options)
    assert state.exists()
    with pytest.raises(onnx2snn.InputError, match="another network"):
        finetune(float_model, samples(), checkpoint=state, **{**options, "seed": 6})
    resumed = finetune(float_model, samples(), checkpoint=state, **options)
    assert not state.exists()
    assert resumed.model.SerializeToString() == whole.model.SerializeToString()


def test_a_killed_process_ends_as_if_it_had_lived(float_model: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of an epoch: the same command again writes the same bytes."""
    np.savez(tmp_path / "data.npz", **samples())

    def started(name: str) -> "subprocess.Popen[str]":
        words = [
            float_model,
            tmp_path / name,
            "--data",
            tmp_path / "data.npz",
            "--epochs",
            "30",
            "--sparsity",
            "1e-4",
        ]
        command_line = [sys.executable, "-m", "onnx2snn", "finetune", *map(str, words)]
        return subprocess.Popen(command_line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    with started("whole.onnx") as whole, started("killed.onnx") as killed:
        assert killed.stderr is not None
        assert any(line.startswith("epoch 2/30: loss") for line in killed.stderr)
        killed.kill()
        whole.communicate(timeout=120)
    assert not (tmp_path / "killed.onnx").exists()
    assert (tmp_path / "killed.onnx.checkpoint").exists()
    with started("killed.onnx") as resumed:
        _, told = resumed.communicate(timeout=120)
    assert "epoch 2/30" not in told
    assert "epoch 30/30" in told
    assert (tmp_path / "killed.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()


def test_patience_ends_a_run_that_gets_no_better(float_model: Path) -> None:
    result = finetune(float_model, samples(), epochs=20, learning_rate=1e-9, patience=2)
    assert len(result.history) < 20


def test_the_command(float_model: Path, tmp_path: Path) -> None:
    data, target = tmp_path / "data.npz", tmp_path / "out.onnx"
    np.savez(data, **samples())
    words = [
        str(float_model),
        str(target),
        "--data",
        str(data),
        "--epochs",
        "2",
        "--pruning",
        "1e-5",
        "--json",
    ]
    result = CliRunner().invoke(command, words, standalone_mode=False)
    assert result.exception is None
    facts = json.loads(result.stdout)
    assert facts["timesteps"] == 4
    assert [epoch["number"] for epoch in facts["epochs"]] == [0, 1, 2]
    assert facts["epochs"][2]["synapses"] < 1 == facts["epochs"][0]["synapses"]
    assert "of the synapses" in result.stderr
    assert target.exists()
    assert list(tmp_path.glob("*checkpoint*")) == []
