"""Fine-grained L1: a penalty on the spikes that the converted network will emit, bit by bit.

A neuron at level k spikes popcount(k) times: once for each bit of k that is set. Bits are constant almost
everywhere, so the penalty needs a surrogate gradient. Ours follows the *cheapest spike*, along the same line
that the straight-through gradient of :class:`QCFS` takes for the staircase: the line κ = z/θ, which reaches
level k at z = kθ. Between κ = r − 1 and κ = r the neuron is on its way to code

    r = ⌈κ⌉

Of all codes below r, the one that saves the most spikes per level moved is

    q(r) = argmax over q < r of (popcount(r) − popcount(q)) / (r − q) = r − 2^j,    j the lowest bit set in r

since saving n spikes takes a fall by at least the n lowest set bits of r, none of which is below 2^j. Between
q(r) and r bit j is taken as linear and all others as what they are, constant:

    ∂b_j/∂κ = 2^(−j)  for the lowest set bit j of r,     ∂b_i/∂κ = 0  for all others,     0 where κ ≤ 0

Plain L1 on levels has slope 1 on the same line: it presses on a strong neuron as on a weak one. Here code 8, one
spike, feels 1/8, code 9, two spikes, feels 1 and becomes 8; so levels move to codes with few ones, and strong
neurons stay strong. A silent neuron with 0 < κ < 1/2 feels the penalty too, as it feels the gradient of the loss:
without that, the loss alone pulls it over the threshold and the penalty alone pushes it back. Codes above r (7 → 8
saves two spikes) are left out: pulled both ways, neurons stay where they are.

Layers need not feel the penalty alike. With a *pressure* p_n for each neuron n the gradient is

    ∂penalty/∂z_n = η · p_n · Σ_j ∂b_j/∂κ / θ

while the penalty's value stays η · Σ popcount(k): see :func:`onnx2snn.training.pressure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from onnx2snn.training.qcfs import QCFS


def popcount(levels: Tensor) -> Tensor:
    """How many bits are set in whole numbers ``levels``, 0 ≤ k < 2^16: the spikes of a neuron at level k (same shape)."""
    k = levels.to(torch.int32)
    for mask, shift in ((0x5555, 1), (0x3333, 2), (0x0F0F, 4), (0x00FF, 8)):
        k = (k & mask) + ((k >> shift) & mask)
    return k.to(levels.dtype)


def cheapest_codes(levels: int) -> Tensor:
    """q(r) of the module's text for r = 0..K, K = ``levels``, int64 (K + 1,): r without its lowest spike; silence stays."""
    codes = torch.arange(levels + 1)
    return codes & (codes - 1).clamp(min=0)


def bit_slopes(levels: int) -> Tensor:
    """The surrogate ∂b_j/∂κ, float32 (K + 1, T), K = ``levels``: a row a code r, a column a bit, lowest first."""
    codes = torch.arange(levels + 1)
    lowest = codes - cheapest_codes(levels)
    bits = 2 ** torch.arange(levels.bit_length())
    return (lowest[:, None] == bits) / bits


class _Spikes(torch.autograd.Function):
    """What neurons at pre-activations z cost, with a slope in κ = z/θ, θ = λ/K, as gradient."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, ceiling: Tensor, table: Tensor, pressure: Tensor) -> Tensor:
        costs, slopes = table
        highest = len(costs) - 1
        line = z / (ceiling / highest)
        code = line.ceil().clamp(0, highest).to(torch.int32).flatten()
        ctx.highest = highest
        ctx.save_for_backward(line, ceiling, slopes.index_select(0, code).view_as(z) * pressure)
        level = (line + 0.5).floor().clamp(0, highest).to(torch.int32).flatten()
        return costs.index_select(0, level).view_as(z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        line, ceiling, slopes = ctx.saved_tensors
        to_line = gradients[0] * slopes
        to_ceiling = -(to_line * line).sum_to_size(ceiling.shape) / ceiling
        return to_line * (ctx.highest / ceiling), to_ceiling, None, None


class FineGrainedL1:
    """weight · Σ over hidden neurons of their spikes, averaged over the batch (Datta et al. 2023).

    It watches the QCFS modules of ``model``; call it after each forward pass and add the result to the loss:

        with FineGrainedL1(model, 1e-4) as penalty:
            loss = cross_entropy(model(x), y) + penalty()

    Args:
        model: Holds the :class:`QCFS` activations.
        weight: η, loss per spike (or per synaptic operation).
        fan_out: By module name (as in ``model.named_modules()``), what a spike of that layer costs: a number
            or a tensor that broadcasts to the layer's activations. With :func:`onnx2snn.training.fan_out` the
            penalty counts synaptic operations. None: 1 for each spike.
        pressure: By module name, a factor on the gradient alone, of the same shapes
            (:func:`onnx2snn.training.pressure`). None: 1 everywhere.

    Attributes:
        fan_out: As given; another may take its place where synapses are dropped
            (:class:`onnx2snn.training.SynapsePruning`).
    """

    def __init__(
        self,
        model: nn.Module,
        weight: float,
        *,
        fan_out: Mapping[str, Tensor | float] | None = None,
        pressure: Mapping[str, Tensor | float] | None = None,
    ) -> None:
        self.weight = weight
        self.fan_out = fan_out
        self._terms: list[Tensor] = []
        self._tables: dict[int, Tensor] = {}
        self._hooks = [
            module.register_forward_hook(
                self._watcher(name, torch.as_tensor(1.0 if pressure is None else pressure[name]))
            )
            for name, module in model.named_modules()
            if isinstance(module, QCFS)
        ]

    def __call__(self) -> Tensor:
        """The penalty of the passes since the last call, a scalar with gradient; zero without any."""
        total = sum(self._terms, torch.zeros(()))
        self._terms.clear()
        return self.weight * total

    def remove(self) -> None:
        """Stop watching."""
        for hook in self._hooks:
            hook.remove()
        self._terms.clear()

    def __enter__(self) -> FineGrainedL1:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _watcher(self, name: str, pressure: Tensor) -> Any:
        def watch(module: QCFS, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if module.training and torch.is_grad_enabled():
                z = inputs[0]
                ceiling = module.broadcast(module.threshold, z.dim())
                spikes = _Spikes.apply(z, ceiling, self._table(module.levels), pressure)
                cost = 1.0 if self.fan_out is None else self.fan_out[name]
                self._terms.append((spikes * cost).sum() / len(output))

        return watch

    def _table(self, levels: int) -> Tensor:
        """What a neuron at each level costs, and the slope on the way to each code: float32 (2, K + 1)."""
        if levels not in self._tables:
            self._tables[levels] = torch.stack(self.costs(levels))
        return self._tables[levels]

    def costs(self, levels: int) -> tuple[Tensor, Tensor]:
        """Spikes of each level 0..K, K = ``levels``, and their slope in κ on the way to it, (K + 1,) each.

        A subclass may count something else.
        """
        return popcount(torch.arange(levels + 1).float()), bit_slopes(levels).sum(dim=1)
