"""Synaptic operations that a torch module counts are those that the runtime counts once it is converted."""

import numpy as np
import onnx
import pytest
from helpers_corpus import Example

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import onnx2snn  # noqa: E402
from onnx2snn.runtime import SpikingSession  # noqa: E402
from onnx2snn.training import QCFS, SpikeMeter, fan_out, operations  # noqa: E402
from onnx2snn.training.importing import import_torch  # noqa: E402

pytestmark = pytest.mark.train

#: Dense layers by MatMul, channels last, batch norms behind neurons, shortcuts, depthwise layers, synapses behind synapses,
#: global and other pools, transposed convolutions, one and three dimensions.
NAMES = (
    "keras15__plain-qcfs16", "keras17__res-qcfs16", "torchts17__mobile-qcfs16-dyadic-dyn", "torchts16__unet-qcfs16-dyadic-dyn",
    "torchts13__dense-qcfs8c-dyn", "torchts11__conv3d-qcfs4pc-dyn", "torchts17__conv1d-qcfs16-dyadic-nofold-dyn",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_operations_are_those_of_the_runtime(name: str) -> None:
    example = Example(name)
    model, ((input_name, x),) = onnx.load(example.path), example.inputs.items()
    conversion = onnx2snn.convert(model)
    counted = SpikingSession(conversion.model.SerializeToString()).run({input_name: x[:2]}).synops
    levels = max(layer.levels for layer in conversion.layers)
    module = import_torch(model, levels=levels, samples={input_name: x[:2]}).module.eval()
    samples = torch.as_tensor(x[:2])
    with torch.no_grad(), SpikeMeter(module, cost=fan_out(module, samples)) as meter:
        module(samples)
    assert meter.total == sum(float(count.mean()) for count in counted.values())


def test_what_a_pool_or_a_softmax_reads_has_arrived() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        QCFS(levels=3), nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), QCFS(levels=3), nn.Flatten(), nn.Linear(8, 3), nn.Softmax(dim=1)
    )  # fmt: skip
    x = torch.full((1, 1, 6, 6), 3.0)
    assert fan_out(model, x)["0"].sum() == 2 * 9 * 16
    assert fan_out(model, x)["3"].eq(3).all()


def test_where_synapses_read_currents_each_way_counts() -> None:
    model = nn.Sequential(QCFS(levels=1, threshold=1.0), nn.Linear(2, 3), nn.Linear(3, 4))
    with torch.no_grad():
        model[2].weight[:, 0] = 0
    assert fan_out(model, torch.ones(1, 2))["0"].tolist() == [8, 8]
    carried = operations(model, torch.ones(5, 2))
    assert carried["1"].tolist() == [[0, 0], [4, 4], [4, 4]]
    assert carried["2"].tolist() == [[0, 2, 2]] * 4


def test_a_model_may_answer_several_things() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.one, self.two = QCFS(levels=1), nn.Linear(4, 2), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
            a = self.act(x)
            return {"both": [self.one(a), self.two(a)]}

    assert np.unique(fan_out(Two(), torch.ones(1, 4))["act"].numpy()).tolist() == [5]
