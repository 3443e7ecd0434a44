"""How SpikingJelly and Sinabs convert the digits network with ReLUs, and what its spikes cost: the same weights, loaded in torch.

    pip install torch spikingjelly sinabs

Both present the image as a constant current at each of T time steps and read out the sum of what the last layer answers. A
spike causes as many synaptic operations as it reaches potentials, through the pool and the weights behind its neuron.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

#: Passes over the calibration data for a recipe whose thresholds grow from batch to batch.
PASSES = 25
#: Images at a time.
BATCH = 100


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


def fan_outs(source: nn.Sequential, image: Tensor) -> list[Tensor]:
    """By layer of ReLUs: how many potentials a spike of each neuron reaches, (1, ...)."""
    value, found = image, []
    shapes: list[tuple[int, Tensor]] = []
    for place, layer in enumerate(source):
        value = layer(value)
        if isinstance(layer, nn.ReLU):
            shapes.append((place, torch.ones_like(value)))
    ends = [place for place, _ in shapes[1:]] + [len(source)]
    for (place, ones), end in zip(shapes, ends, strict=True):
        reached = ones.requires_grad_()
        for layer in source[place + 1 : end]:
            reached = _reaching(layer)(reached)
        (fan_out,) = torch.autograd.grad(reached.sum(), ones)
        found.append(fan_out)
    return found


def _reaching(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """The layer with one in place of each weight that is not zero."""
    if isinstance(layer, nn.Conv2d):
        return lambda x: nn.functional.conv2d(x, (layer.weight != 0).float(), padding=layer.padding)
    if isinstance(layer, nn.Linear):
        return lambda x: nn.functional.linear(x, (layer.weight != 0).float())
    return nn.AvgPool2d(2, divisor_override=1) if isinstance(layer, nn.AvgPool2d) else layer


@dataclass
class Converted:
    """A converted network, one call a time step, with meters on its neurons.

    Attributes:
        network: Images (N, 1, 28, 28) in, what the last layer answers in this time step out.
        reset: Forgets all potentials.
        spikes: Since the last reset, of all images.
        synops: Likewise, synaptic operations.
    """

    network: nn.Module
    reset: Callable[[], object]
    spikes: float = 0.0
    synops: float = 0.0

    def meter(self, fans: Sequence[Tensor]) -> Converted:
        """Count what neurons send from now on, given by layer what a spike reaches."""
        spiking = ("v_threshold", "spike_threshold")
        neurons = [m for m in self.network.modules() if any(hasattr(m, name) for name in spiking)]
        for neuron, fan_out in zip(neurons, fans, strict=True):
            neuron.register_forward_hook(lambda _m, _x, spikes, fan_out=fan_out: self._add(spikes, fan_out))
        return self

    def _add(self, spikes: Tensor, fan_out: Tensor) -> None:
        assert torch.equal(spikes, spikes.round())
        self.spikes += float(spikes.sum())
        self.synops += float((spikes * fan_out).sum())

    def over(self, images: Tensor, steps: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """The sum of what the network answers, after each of ``steps``."""
        self.reset()
        self.spikes = self.synops = 0.0
        total = torch.zeros(len(images), 10)
        for step in range(1, max(steps) + 1):
            total = total + self.network(images)
            if step in steps:
                yield step, total


def peers(path: Path, calibration: np.ndarray) -> Mapping[str, Callable[[], Converted]]:
    """Each way of converting, by its name; nothing is imported before it is called."""
    images = torch.tensor(calibration)
    by_channel = {"mode": "99.9%", "channel_wise": True, "half_threshold": True}
    made = {
        "SpikingJelly max": lambda: _spikingjelly(path, images, mode="max"),
        "SpikingJelly 99.9 %": lambda: _spikingjelly(path, images, mode="99.9%"),
        "SpikingJelly 99.9 % by channel, half threshold": lambda: _spikingjelly(path, images, **by_channel),
        "SpikingJelly local threshold balancing": lambda: _spikingjelly(path, images),
        "Sinabs": lambda: _sinabs(path),
    }
    return {
        name: lambda make=make: make().meter(fan_outs(relu_network(path), images[:1]))
        for name, make in made.items()
    }


def _spikingjelly(path: Path, images: Tensor, **options: object) -> Converted:
    from spikingjelly.activation_based import ann2snn, functional  # noqa: PLC0415 - optional

    if options:
        recipe = ann2snn.RateCodingRecipe(dataloader=[(images, torch.zeros(len(images)))], **options)
    else:
        batches = [(part, torch.zeros(len(part))) for part in images.split(64)] * PASSES
        recipe = ann2snn.LocalThresholdBalancingRecipe(dataloader=batches)
    with contextlib.redirect_stderr(io.StringIO()):  # a bar for a second of work
        converted = ann2snn.FXConverter(recipe=recipe, device="cpu").convert(relu_network(path)).eval()
    return Converted(converted, lambda: functional.reset_net(converted))


def _sinabs(path: Path) -> Converted:
    from sinabs.from_torch import from_model  # noqa: PLC0415 - optional
    from sinabs.utils import reset_states  # noqa: PLC0415

    converted = from_model(relu_network(path), batch_size=BATCH).spiking_model.eval()
    return Converted(converted, lambda: reset_states(converted))


def measured(
    converted: Converted, images: np.ndarray, labels: np.ndarray, steps: Sequence[int]
) -> dict[int, dict[str, float]]:
    """After each number of time steps: accuracy, and spikes and synaptic operations of an image."""
    torch.set_num_threads(1)  # many small operators: more threads wait for each other
    found = {step: dict.fromkeys(("accuracy", "spikes", "synops"), 0.0) for step in steps}
    with torch.no_grad():
        for part, truth in zip(
            torch.tensor(images).split(BATCH), torch.tensor(labels).split(BATCH), strict=True
        ):
            for step, logits in converted.over(part, steps):
                found[step]["accuracy"] += float((logits.argmax(1) == truth).sum())
                found[step]["spikes"] += converted.spikes
                found[step]["synops"] += converted.synops
    return {step: {name: total / len(images) for name, total in sums.items()} for step, sums in found.items()}
