"""Networks as Keras, JAX and others wrote them: trained on from their file, converted, certified."""

from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
from helpers_corpus import Example  # noqa: E402
from torch import nn  # noqa: E402

import onnx2snn  # noqa: E402
from onnx2snn.runtime import SpikingSession  # noqa: E402
from onnx2snn.training import QCFS, SpikeMeter, finetune  # noqa: E402
from onnx2snn.training.importing import import_torch  # noqa: E402

pytestmark = pytest.mark.train

#: Keras (tf2onnx) and JAX: channels last, softmax, a residual sum.
FRAMEWORKS = ["keras13__plain-rq15", "keras17__res-qcfs16", "jax23__nhwc-ste16-sumpool"]
#: Quant nodes that no stock runtime knows, quantised operators, 3-d convolutions.
OTHERS = ["brevitas__plain-a2w2-qonnx", "ortquant__mlp-relu-qop_u8", "torchts11__conv3d-qcfs4pc-dyn"]
SAMPLES = 48


def noisy(example: Example) -> dict[str, np.ndarray]:
    """The example's few inputs, again and again with a little noise; the classes that it answers."""
    (name, inputs), (expected,) = next(iter(example.inputs.items())), example.expected.values()
    chosen = np.arange(SAMPLES) % len(inputs)
    noise = np.random.default_rng(0).normal(0, 0.1 * inputs.std(), (SAMPLES, *inputs.shape[1:]))
    return {name: (inputs[chosen] + noise).astype(np.float32), "labels": expected.argmax(axis=1)[chosen]}


@pytest.mark.parametrize("name", [*FRAMEWORKS, *OTHERS])
def test_a_file_is_trained_converted_and_certified(name: str, tmp_path: Path) -> None:
    example = Example(name)
    data = noisy(example)
    options = {"timesteps": 3, "sparsity": 3e-5, "epochs": 4, "batch": 8, "learning_rate": 3e-3}
    result = finetune(example.path, data, **options)
    before, after = result.history[0], result.best
    assert after.held_out_loss + 3e-5 * after.spikes < before.held_out_loss + 3e-5 * before.spikes
    result.save(tmp_path / "ann.onnx")
    onnx2snn.convert(tmp_path / "ann.onnx").save(tmp_path / "snn.onnx")
    assert onnx2snn.verify(tmp_path / "ann.onnx", tmp_path / "snn.onnx", data).lossless
    source = onnx.load(example.path)
    assert [t.name for t in result.model.graph.output] == [t.name for t in source.graph.output]


def test_a_float_network_of_functions_is_trained_and_certified(tmp_path: Path) -> None:
    """What SiLU makes of levels is a table; training goes on in front of it and behind."""
    example = Example("torchts13__plain-silu-b1")
    data = noisy(example)
    result = finetune(example.path, data, timesteps=3, epochs=2, batch=8, learning_rate=3e-3)
    assert result.best.held_out_loss < result.history[0].held_out_loss
    result.save(tmp_path / "ann.onnx")
    conversion = onnx2snn.convert(tmp_path / "ann.onnx")
    assert len(conversion.layers) == 4
    assert not conversion.non_spiking
    assert onnx2snn.verify(tmp_path / "ann.onnx", conversion.model, data).lossless


def made_exact(module: nn.Module) -> None:
    """Weights and steps become sums of a few powers of two: float32 sums are exact in any order."""
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, QCFS):
                child.set_threshold(torch.full_like(child.threshold, child.levels / 4))
        for name, values in [*module.named_parameters(), *module.named_buffers()]:
            if values.is_floating_point() and not name.endswith("threshold"):
                values.copy_((values * 64).round() / 64)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_spikes_predicted_from_a_file_are_those_that_the_runtime_counts(name: str, tmp_path: Path) -> None:
    example = Example(name)
    data = noisy(example)
    input_name, x = next(iter(data.items()))
    x = np.round(x * 16) / 16
    imported = import_torch(onnx.load(example.path), levels=15, samples={input_name: x[:4]})
    made_exact(imported.module)
    with SpikeMeter(imported.module.eval()) as meter, torch.no_grad():
        imported.module(torch.as_tensor(x))
    onnx2snn.convert(imported.export()).save(tmp_path / "snn.onnx")
    result = SpikingSession(tmp_path / "snn.onnx").run({input_name: x})
    counted = [int(count.sum()) for count in result.spikes.values()]
    assert counted == list(meter.spikes.values())
    assert sum(counted) > 0
