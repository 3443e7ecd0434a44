"""Fine-grained L1: a penalty on the spikes that the converted network will emit, bit by bit.

A neuron at level k spikes popcount(k) times: once for each bit of k that is set. Bits are constant almost everywhere,
so the penalty needs a surrogate gradient. Ours asks, for each level, where the cheapest code in reach lies:

    q(k) = argmax over q ≠ k of (popcount(k) − popcount(q)) / |k − q|           ties: the lower q

the level to which a step saves the most spikes per level moved, be it below (9 → 8) or above (7 → 8). Each bit is
then taken as linear on the way there, so that bit j of a neuron at position u = z/θ + 1/2 has the slope

    ∂b_j/∂u = (b_j(k) − b_j(q)) / (k − q)      where u ≥ 1/2 (z ≥ 0), else 0

that is, the slope of the smoothed bit that interpolates between the two codes. The slopes of all bits add up to
(popcount(k) − popcount(q)) / (k − q): positive (pulling down) where the better code is below, negative where it is
above. Unlike the slope of plain L1 on levels, which is 1 everywhere, it leaves a strong neuron with few spikes (8: one
spike, slope 1/8) almost alone, and presses where a spike costs the accuracy least.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from onnx2snn.training.qcfs import QCFS


def popcount(levels: Tensor) -> Tensor:
    """How many bits are set in whole numbers 0 ≤ k < 2^16: the spikes of a neuron at level k (same shape)."""
    k = levels.to(torch.int32)
    for mask, shift in ((0x5555, 1), (0x3333, 2), (0x0F0F, 4), (0x00FF, 8)):
        k = (k & mask) + ((k >> shift) & mask)
    return k.to(levels.dtype)


def cheapest_codes(levels: int) -> Tensor:
    """q(k) of the module's text for k = 0..K, int64 (K + 1,); silence stays where it is."""
    codes = torch.arange(levels + 1)
    spikes = popcount(codes).double()
    distance = (codes[:, None] - codes[None, :]).abs().double()
    saved = (spikes[:, None] - spikes[None, :]) / distance.clamp(min=1)
    saved.fill_diagonal_(0.0)
    best = saved.argmax(dim=1)  # the first, hence lowest, of equals
    return torch.where(codes == 0, 0, best)


def bit_slopes(levels: int) -> Tensor:
    """The surrogate ∂b_j/∂u, float32 (K + 1, T): a row for each level, a column for each bit, lowest first."""
    codes, targets = torch.arange(levels + 1), cheapest_codes(levels)
    places = torch.arange(levels.bit_length())
    change = ((codes[:, None] >> places) & 1) - ((targets[:, None] >> places) & 1)
    moved = (codes - targets)[:, None]
    return torch.where(moved == 0, 0.0, change / torch.where(moved == 0, 1, moved))


class _Spikes(torch.autograd.Function):
    """popcount of levels, with the slope of each level as gradient in its position u."""

    @staticmethod
    def forward(ctx: Any, positions: Tensor, slopes: Tensor) -> Tensor:
        level = positions.floor().clamp(0, len(slopes) - 1)
        ctx.save_for_backward(slopes[level.long()] * (positions >= 0.5))
        return popcount(level)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return gradients[0] * slopes, None


class FineGrainedL1:
    """weight · Σ over hidden neurons of their spikes, averaged over the batch (Datta et al. 2023).

    It watches the QCFS modules of ``model``; call it after each forward pass and add the result to the loss:

        with FineGrainedL1(model, 1e-4) as penalty:
            loss = cross_entropy(model(x), y) + penalty()

    Args:
        model: Holds the :class:`QCFS` activations.
        weight: η, loss per spike (or per synaptic operation).
        fan_out: By module name (as in ``model.named_modules()``), what a spike of that layer costs: a number or a
            tensor that broadcasts to the layer's activations. With :func:`fan_out` the penalty counts synaptic
            operations. None: 1 for each spike.
    """

    def __init__(
        self, model: nn.Module, weight: float, *, fan_out: Mapping[str, Tensor | float] | None = None
    ) -> None:
        self.weight = weight
        self._terms: list[Tensor] = []
        self._slopes: dict[int, Tensor] = {}
        self._hooks = [
            module.register_forward_hook(self._watcher(1.0 if fan_out is None else fan_out[name]))
            for name, module in model.named_modules()
            if isinstance(module, QCFS)
        ]

    def __call__(self) -> Tensor:
        """The penalty of the passes since the last call, a scalar with gradient; zero where there were none."""
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

    def _watcher(self, cost: Tensor | float) -> Any:
        def watch(module: QCFS, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if module.training and torch.is_grad_enabled():
                spikes = _Spikes.apply(module.positions(inputs[0]), self._slopes_of(module.levels))
                self._terms.append((spikes * cost).sum() / len(output))

        return watch

    def _slopes_of(self, levels: int) -> Tensor:
        if levels not in self._slopes:
            self._slopes[levels] = self.level_slopes(levels)
        return self._slopes[levels]

    def level_slopes(self, levels: int) -> Tensor:
        """The gradient of the spike count in u at each level, float32 (K + 1,)."""
        return bit_slopes(levels).sum(dim=1)
