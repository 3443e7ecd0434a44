"""Other converters of ReLU networks, on the same weights: SpikingJelly (rate coding) and Sinabs. Both run in PyTorch.

    pip install torch==2.13.0 spikingjelly==2.0.0 sinabs==3.1.3

Their spikes carry rates, not codes: at T = 4 they answer roughly, where T code spikes answer exactly. What is compared here
is the time that T steps take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

Run = Callable[[], Any]


class TorchNetwork(nn.Module):
    """The ReLU network of an ONNX file as PyTorch modules: the operators that the benchmarks' networks use."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
        self.plan: list[tuple[str, str, list[str], str]] = []
        for node in model.graph.node:
            module = _module(node, values)
            name = node.name.replace(".", "_")
            if module is not None:
                self.add_module(name, module)
            signals = [read for read in node.input if read not in values]
            self.plan.append((node.op_type, name, signals, node.output[0]))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        held = {"image": image}
        for operator, name, signals, output in self.plan:
            read = [held[signal] for signal in signals]
            held[output] = read[0] + read[1] if operator == "Add" else getattr(self, name)(*read)
        return held["logits"]


def _module(node: onnx.NodeProto, values: dict[str, Tensor]) -> nn.Module | None:
    held = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Conv":
        weights, bias = (values[name] for name in node.input[1:3])
        group = held.get("group", 1)
        shape = (weights.shape[1] * group, weights.shape[0], tuple(weights.shape[2:]))
        module: nn.Module = nn.Conv2d(*shape, tuple(held["strides"]), tuple(held["pads"][:2]), groups=group)
    elif node.op_type == "Gemm":
        weights, bias = (values[name] for name in node.input[1:3])
        module = nn.Linear(weights.shape[1], weights.shape[0])
    else:
        return {
            "Relu": nn.ReLU(),
            "MaxPool": nn.MaxPool2d(2),
            "GlobalAveragePool": nn.AdaptiveAvgPool2d(1),
            "Flatten": nn.Flatten(),
            "Identity": nn.Identity(),
        }.get(node.op_type)
    module.weight.data, module.bias.data = weights, bias
    return module


def spikingjelly(model: onnx.ModelProto, image: np.ndarray[Any, Any], timesteps: int) -> Run:
    """``ann2snn`` with the rate coding recipe; single-step neurons, as its examples run them."""
    from spikingjelly.activation_based import ann2snn, functional  # noqa: PLC0415

    x = torch.from_numpy(image)
    recipe = ann2snn.RateCodingRecipe(dataloader=[(x, torch.zeros(len(x)))], mode="Max")
    network = ann2snn.Converter(recipe).convert(TorchNetwork(model).eval()).eval()

    def run() -> Tensor:
        functional.reset_net(network)
        with torch.inference_mode():
            total = network(x)
            for _ in range(timesteps - 1):
                total = total + network(x)
            return total

    return run


def sinabs(model: onnx.ModelProto, image: np.ndarray[Any, Any], timesteps: int) -> Run:
    """``from_model``; time folded into the batch."""
    from sinabs.from_torch import from_model  # noqa: PLC0415

    x = torch.from_numpy(image)
    network = from_model(
        TorchNetwork(model).eval(), batch_size=len(x), num_timesteps=timesteps
    ).spiking_model.eval()
    steps = x.repeat_interleave(timesteps, dim=0)

    def run() -> Tensor:
        with torch.inference_mode():
            for module in network.modules():
                if hasattr(module, "reset_states"):
                    module.reset_states()
            return network(steps)

    return run


PEERS = {"SpikingJelly 2.0": spikingjelly, "Sinabs 3.1": sinabs}
