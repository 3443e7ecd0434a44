"""How SpikingJelly and Sinabs convert the digits network with ReLUs: the same weights, loaded in torch.

    pip install torch spikingjelly sinabs

Both present the image as a constant current at each of T time steps and read out the sum of what the last layer answers.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

#: Logits (N, 10) of images (N, 1, 28, 28) after each of the asked numbers of time steps.
Answers: TypeAlias = Callable[[Tensor, Sequence[int]], Iterator[tuple[int, Tensor]]]

#: Passes over the calibration data for a recipe whose thresholds grow from batch to batch.
PASSES = 25


def relu_network(path: Path) -> nn.Sequential:
    """The network of ``digits_relu.onnx`` in torch: batch norms are in its convolutions already."""
    model = onnx.load(path)
    weights = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in model.graph.initializer}
    layers: list[nn.Module] = []
    for node in model.graph.node:
        held = [weights[name] for name in node.input[1:] if name in weights]
        if node.op_type == "Conv":
            channels, inputs = held[0].shape[:2]
            layers.append(_filled(nn.Conv2d(inputs, channels, 3, padding=1), held))
        elif node.op_type == "Gemm":
            layers.append(_filled(nn.Linear(held[0].shape[1], held[0].shape[0]), held))
        else:
            made = {"Relu": nn.ReLU, "AveragePool": lambda: nn.AvgPool2d(2), "Reshape": nn.Flatten}
            layers.append(made[node.op_type]())
    return nn.Sequential(*layers).eval()


def _filled(layer: nn.Module, held: Sequence[Tensor]) -> nn.Module:
    for parameter, values in zip((layer.weight, layer.bias), held, strict=True):
        parameter.data.copy_(values)
    return layer


def peers(path: Path, calibration: np.ndarray) -> Mapping[str, Callable[[], Answers]]:
    """Each way of converting, by its name; nothing is imported before it is called."""
    images = torch.tensor(calibration)
    return {
        "SpikingJelly max": lambda: _spikingjelly(path, images, mode="max"),
        "SpikingJelly 99.9 %": lambda: _spikingjelly(path, images, mode="99.9%"),
        "SpikingJelly local threshold balancing": lambda: _spikingjelly(path, images, mode=None),
        "Sinabs": lambda: _sinabs(path),
    }


def _spikingjelly(path: Path, images: Tensor, mode: str | None) -> Answers:
    from spikingjelly.activation_based import ann2snn, functional  # noqa: PLC0415 - optional

    if mode is None:
        batches = [(part, torch.zeros(len(part))) for part in images.split(64)] * PASSES
        recipe = ann2snn.LocalThresholdBalancingRecipe(dataloader=batches)
    else:
        recipe = ann2snn.RateCodingRecipe(dataloader=[(images, torch.zeros(len(images)))], mode=mode)
    with contextlib.redirect_stderr(io.StringIO()):  # a bar for a second of work
        converted = ann2snn.FXConverter(recipe=recipe, device="cpu").convert(relu_network(path)).eval()

    def answers(x: Tensor, steps: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        functional.reset_net(converted)
        total = torch.zeros(len(x), 10)
        for step in range(1, max(steps) + 1):
            total = total + converted(x)
            if step in steps:
                yield step, total

    return answers


def _sinabs(path: Path) -> Answers:
    from sinabs.from_torch import from_model  # noqa: PLC0415 - optional

    source = relu_network(path)

    def answers(x: Tensor, steps: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        for step in steps:
            converted = from_model(source, num_timesteps=step).spiking_model.eval()
            repeated = x.repeat_interleave(step, dim=0)  # samples · time steps, time fastest
            yield step, converted(repeated).reshape(len(x), step, -1).sum(dim=1)

    return answers


@torch.no_grad()
def accuracies(
    answers: Answers, images: np.ndarray, labels: np.ndarray, steps: Sequence[int]
) -> dict[int, float]:
    """The share of images answered correctly after each number of time steps."""
    torch.set_num_threads(1)  # many small operators: more threads wait for each other
    right = dict.fromkeys(steps, 0)
    for part, truth in zip(torch.tensor(images).split(100), torch.tensor(labels).split(100), strict=True):
        for step, logits in answers(part, steps):
            right[step] += int((logits.argmax(1) == truth).sum())
    return {step: count / len(images) for step, count in right.items()}
