"""Synapses: how many each neuron feeds, and how many operations each of them carries once the network is converted.

A spike of neuron n costs one synaptic operation for each weight that reads it and is not zero. So with s_n the
spikes of a sample, over all places of a picture that share a weight,

    SynOps = Σ_n Σ_w s_n · [w ≠ 0],      fan-out f_n = ∂SynOps/∂s_n,      operations r_w = ∂SynOps/∂[w ≠ 0]

Both derivatives are taken of one copy of the network whose weights are [w ≠ 0] and whose pools add: borders,
strides, groups and what no window covers come out exact. As in the runtime, what arrives is counted: at the next
neurons, or at the end of the network. Where synapses read the currents of other synapses, that is each way through
both; a shortcut without weights is one synapse. Scales and constants on the way, of a batch norm say, become part of
the synapses in conversion, and cost nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from onnx2snn.training.qcfs import QCFS
from onnx2snn.training.sparsity import popcount

#: What holds synapses: their ``weight``.
Synapses: TypeAlias = (
    nn.Linear
    | nn.Conv1d
    | nn.Conv2d
    | nn.Conv3d
    | nn.ConvTranspose1d
    | nn.ConvTranspose2d
    | nn.ConvTranspose3d
)
SYNAPSES = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
_AVERAGES = (
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
)  # fmt: skip
#: Of modules that neither are neurons nor linear: what arrives there has arrived.
_ENDS = ("MaxPool", "Softmax", "Sigmoid", "Tanh")
NORMALISERS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fan_out(model: nn.Module, example: Tensor) -> dict[str, Tensor]:
    """How many synapses each neuron feeds: what one of its spikes costs in synaptic operations.

    Args:
        model: Holds the activations; its convolutions and linear layers are the synapses.
        example: Inputs (N, ...); the first is used.

    Returns:
        By module name of the QCFS, float32 of one sample's shape.
    """
    counter = _Counter(model)
    counter.pass_on(example[:1], lambda _name, output: torch.ones_like(output))
    return {name: _gradient(leaf)[0] for name, leaf in counter.fed.items()}


def operations(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """How many synaptic operations each synapse carries: the spikes that pass it, at all places that share its weight.

    Args:
        model: As above.
        inputs: (N, ...).

    Returns:
        By module name of the synapses, mean of one sample, float32 shaped like the weight; 0 where the weight is 0,
        and in layers that no neuron feeds.
    """
    spikes = emitted(model, inputs)
    counter = _Counter(model)
    counter.pass_on(inputs, lambda name, _output: spikes[name])
    carried = {name: _gradient(weight) / len(inputs) for name, weight in counter.weights.items()}
    return {name: carried[name] * counter.weights[name].detach() for name in carried}


def emitted(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """The spikes of every neuron for ``inputs`` (N, ...), by module name of its QCFS (N, ...)."""
    found: dict[str, Tensor] = {}
    probe = copy.deepcopy(model).eval()
    for name, module in probe.named_modules():
        if isinstance(module, QCFS):
            module.register_forward_hook(
                lambda here, read, _output, name=name: found.update({name: popcount(here.level(read[0]))})
            )
    with torch.no_grad():
        probe(inputs)
    return found


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


class _Counter:
    """A copy of a network that passes on spikes and adds them up.

    Attributes:
        fed: What neurons emit, by module name, once :meth:`pass_on` was called.
        weights: [w ≠ 0] of each layer of synapses, by module name.
    """

    def __init__(self, model: nn.Module) -> None:
        self._probe = copy.deepcopy(model).eval()
        self._emit: Callable[[str, Tensor], Tensor] = lambda _name, output: output
        self._arrived: list[Tensor] = []
        self.fed: dict[str, Tensor] = {}
        self.weights: dict[str, Tensor] = {}
        for name, module in self._probe.named_modules():
            if isinstance(module, QCFS):
                module.register_forward_hook(self._restart(name))
            elif isinstance(module, SYNAPSES):
                self.weights[name] = _count_weights(module)
            elif isinstance(module, _AVERAGES):
                module.register_forward_hook(_sum_instead)
            elif isinstance(module, NORMALISERS):
                module.register_forward_hook(lambda _module, inputs, _output: inputs[0])
            elif type(module).__name__ == "OnnxBinaryMathOperation":
                module.register_forward_hook(_without_constants)
            elif _is_mean(module):
                module.register_forward_hook(_sum_of_all)
            elif any(word in type(module).__name__ for word in _ENDS):
                module.register_forward_hook(self._end)
        self._let_learn_synapses_alone()

    def pass_on(self, inputs: Tensor, emit: Callable[[str, Tensor], Tensor]) -> None:
        """Let every neuron emit what ``emit`` says, and count all synaptic operations; derivatives are there afterwards.

        Inputs are analog, not spikes, so they are 0.
        """
        self._emit = emit
        with torch.enable_grad():
            self._arrive(self._probe(torch.zeros_like(inputs)))
            sum(self._arrived, torch.zeros((), requires_grad=True)).backward()

    def _let_learn_synapses_alone(self) -> None:
        """What has a gradient afterwards is made of spikes, or of synapses."""
        held = {id(weight) for weight in self.weights.values()}
        for parameter in self._probe.parameters():
            parameter.requires_grad_(id(parameter) in held)

    def _restart(self, name: str) -> Callable[..., Tensor]:
        """In front of a neuron, spikes have arrived; behind it, the derivative starts anew."""

        def replace(_module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            self._arrive(inputs)
            self.fed[name] = self._emit(name, output).detach().requires_grad_()
            return self.fed[name]

        return replace

    def _end(self, _module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        self._arrive(inputs)
        return torch.zeros_like(output)

    def _arrive(self, values: Any) -> None:
        """Add up tensors, however they are held."""
        if isinstance(values, Tensor):
            self._arrived.append(values.sum())
        elif isinstance(values, dict | tuple | list):
            for value in values.values() if isinstance(values, dict) else values:
                self._arrive(value)


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _count_weights(module: Synapses) -> Tensor:
    with torch.no_grad():
        module.weight.copy_(module.weight != 0)
        if module.bias is not None:
            module.bias.zero_()
    return module.weight


def _is_mean(module: nn.Module) -> bool:
    """A mean over whole axes, as onnx2torch has it."""
    reduces = getattr(module, "math_op_function", None) is torch.mean
    return reduces or type(module).__name__.startswith("OnnxGlobalAveragePool")


def _sum_of_all(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output * (inputs[0].numel() / max(output.numel(), 1))


def _without_constants(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Of sums and products with constants what has come from spikes; of sums of two such, the sum."""
    counted = [value for value in inputs if value.requires_grad]
    if len(counted) == 1 and module.math_op_function not in (torch.add, torch.sub):
        others = [value for value in inputs if not value.requires_grad]
        return counted[0] * (others[0] != 0)
    if module.math_op_function in (torch.add, torch.sub):
        return sum(counted, torch.zeros_like(output))
    return output


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
