"""The spikes and synaptic operations that a network will spend once it is converted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from onnx2snn.training.qcfs import QCFS
from onnx2snn.training.sparsity import popcount

_ONE = torch.ones(())


class SpikeMeter:
    """Counts the spikes of every QCFS layer during evaluation, as the runtime will count them.

    Max pooling is best put in front of an activation (the result is the same): conversion moves it there, and then
    only the neurons behind the pool spike.

        with SpikeMeter(model) as meter:
            model(x)
        meter.per_sample            # {module name: spikes per sample}

    Args:
        model: Holds the activations. Passes in training mode are not counted.
        cost: By module name, what a spike of each neuron counts (:func:`fan_out`: synaptic operations); else
            1.

    Attributes:
        spikes: By module name, all spikes so far (exact, int).
        neurons: By module name, the neurons of one sample.
    """

    def __init__(self, model: nn.Module, *, cost: Mapping[str, Tensor] | None = None) -> None:
        self._cost = cost or {}
        self.spikes: dict[str, int] = {}
        self.neurons: dict[str, int] = {}
        self._samples: dict[str, int] = {}
        self._hooks = [
            module.register_forward_hook(self._watcher(name))
            for name, module in model.named_modules()
            if isinstance(module, QCFS)
        ]

    @property
    def samples(self) -> int:
        """How many were counted."""
        return max(self._samples.values(), default=0)

    @property
    def per_sample(self) -> dict[str, float]:
        """Mean spikes of one sample, by module name."""
        return {name: count / self._samples[name] for name, count in self.spikes.items()}

    @property
    def total(self) -> float:
        """Mean spikes of one sample in the whole network."""
        return sum(self.per_sample.values())

    def __enter__(self) -> SpikeMeter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _watcher(self, name: str) -> Any:
        def watch(module: QCFS, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if module.training:
                return
            level = module.level(inputs[0])
            self.spikes[name] = self.spikes.get(name, 0) + int(
                (popcount(level) * self._cost.get(name, _ONE)).sum(dtype=torch.float64)
            )
            self.neurons[name] = level[0].numel()
            self._samples[name] = self._samples.get(name, 0) + len(output)

        return watch


_SYNAPSES = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
_AVERAGES = (
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
)  # fmt: skip


def fan_out(model: nn.Module, example: Tensor) -> dict[str, Tensor]:
    """How many synapses each neuron feeds: what one of its spikes costs in synaptic operations.

    A copy of the model gets weights of 1 (0 where a weight is 0) and pools that add; the derivative of what
    its synapses pass on is then their number. Borders, strides and what no window covers come out exact.

    Args:
        model: Holds the activations; its convolutions and linear layers are the synapses.
        example: Inputs (N, ...); the first is used.

    Returns:
        By module name of the QCFS, float32 of one sample's shape.
    """
    probe = copy.deepcopy(model).eval()
    fed: dict[str, Tensor] = {}
    passed: list[Tensor] = []
    for name, module in probe.named_modules():
        if isinstance(module, QCFS):
            module.register_forward_hook(_restart(fed, name))
        elif isinstance(module, _SYNAPSES):
            _count_weights(module)
            module.register_forward_hook(_end(passed))
        elif isinstance(module, _AVERAGES):
            module.register_forward_hook(_sum_instead)
    with torch.enable_grad():
        probe(example[:1])
        sum(passed, torch.zeros(())).backward()
    return {name: _gradient(leaf)[0] for name, leaf in fed.items()}


def pressure(fan_out: Mapping[str, Tensor], *, exponent: float = 0.4) -> dict[str, Tensor]:
    """How hard :class:`FineGrainedL1` presses on each neuron: harder where a spike reaches few synapses.

        p_n = (f_n / f̄)^(−exponent),    f_n the neuron's fan-out, f̄ its mean over all neurons

    A spike that many synapses read is worth more than one that few read, and what the last layers can do
    without tells the layers before them, through the gradient, what need not be said at all. A neuron that
    feeds nothing is pressed like the one that feeds least. The exponent was found by trial (docs/sparsity.md).

    Args:
        fan_out: What :func:`fan_out` gives.
        exponent: 0 presses everywhere alike.

    Returns:
        By module name, float32 of one sample's shape.
    """
    fed = torch.cat([values.flatten() for values in fan_out.values()])
    least, middle = fed[fed > 0].min(), fed.mean()
    return {name: (values.clamp(min=least) / middle) ** -exponent for name, values in fan_out.items()}


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _count_weights(module: Any) -> None:
    with torch.no_grad():
        module.weight.copy_(module.weight != 0)
        if module.bias is not None:
            module.bias.zero_()


def _restart(fed: dict[str, Tensor], name: str) -> Callable[..., Tensor]:
    """Behind a neuron, the derivative starts anew."""

    def replace(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        fed[name] = torch.ones_like(output).requires_grad_()
        return fed[name]

    return replace


def _end(passed: list[Tensor]) -> Callable[..., Tensor]:
    """Behind a synapse, it ends."""

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        passed.append(output.sum())
        return output.detach()

    return cut


def _sum_instead(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """An average as a sum over the same window: an average of ones is one, whatever the window's size."""
    rank = output.dim() - 2
    if hasattr(module, "kernel_size"):
        size = module.kernel_size
        sizes = (size,) * rank if isinstance(size, int) else tuple(size)
    else:
        sizes = tuple(a // b for a, b in zip(inputs[0].shape[2:], output.shape[2:], strict=True))
    for extent in sizes:
        output = output * extent
    return output
