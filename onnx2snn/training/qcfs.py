"""QCFS: the quantised activation that a spiking neuron computes without loss, and its gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

#: A learned threshold is kept above this share of the one it began with: at zero the staircase has no steps.
SMALLEST = 1e-3


class QCFS(nn.Module):
    """Quantised clip-floor-shift activation (Bu et al., ICLR 2022; METHOD in the documentation, section 1).

        k = clip(⌊z / θ + 1/2⌋, 0, K),    a = θ·k,    θ = λ / K

    The converted network needs T = ⌈log2(K + 1)⌉ time steps, so K = 2^T − 1 wastes none. In evaluation and in
    export it is plain operators (divide, add, round down, clip, multiply), which ``onnx2snn`` recognises. In
    training:

        ∂a/∂z = 1 where 0 ≤ z ≤ λ, else 0                                              (straight through)
        ∂a/∂λ = (a − z) / λ where 0 ≤ z ≤ λ,   1 where z > λ,   0 where z < 0

    the second being the exact derivative of λ·h(z/λ) when the slope of the step function h is taken as 1.

    Args:
        levels: K, the highest level; a level is a whole number of θ.
        threshold: λ, the value at which the activation saturates, in units of z.
        channels: None for one λ; else their number, and each gets its own.
        channel_axis: The axis of z that counts channels.

    Attributes:
        threshold: λ, a parameter: shape () or (channels,).

    Raises:
        ValueError: ``levels`` below 1, or a ``threshold`` that is not positive.

    >>> activation = QCFS(levels=3, threshold=3.0)
    >>> activation(torch.tensor([-1.0, 0.4, 0.5, 2.0, 9.0])).tolist()
    [0.0, 0.0, 1.0, 2.0, 3.0]
    """

    threshold: nn.Parameter

    def __init__(
        self, *, levels: int = 15, threshold: float = 3.0, channels: int | None = None, channel_axis: int = 1
    ) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"levels is {levels}: a staircase has at least one step")
        if not threshold > 0:
            raise ValueError(f"threshold is {threshold}: it has to be positive")
        self.levels = levels
        self.channel_axis = channel_axis
        shape = () if channels is None else (channels,)
        self.threshold = nn.Parameter(torch.full(shape, float(threshold)))
        self._smallest = SMALLEST * float(threshold)

    @property
    def timesteps(self) -> int:
        """T = ⌈log2(K + 1)⌉."""
        return self.levels.bit_length()

    def forward(self, z: Tensor) -> Tensor:
        """The activation a of pre-activations ``z`` (N, ...): same shape, in their units."""
        if self.training:
            self._keep_positive()
        ceiling = self.broadcast(self.threshold, z.dim())
        if torch.is_grad_enabled() and not _is_exporting():
            activation: Tensor = _StraightThrough.apply(z, ceiling, self.levels)
            return activation
        return _staircase(z, ceiling, self.levels)

    def level(self, z: Tensor) -> Tensor:
        """The level k of pre-activations ``z`` (N, ...): same shape, whole numbers in their floating type, without gradient."""
        with torch.no_grad():
            step = self.broadcast(self.threshold, z.dim()) / self.levels
            return (z / step + 0.5).floor().clamp(0, self.levels)

    def broadcast(self, values: Tensor, rank: int) -> Tensor:
        """Per-channel ``values`` shaped to meet a tensor of ``rank`` axes; one value stays as it is."""
        if values.dim() == 0:
            return values
        axis = self.channel_axis % rank
        return values.reshape((-1,) + (1,) * (rank - axis - 1))

    def set_threshold(self, values: Tensor | float) -> None:
        """Put λ where calibration found it: ``values`` are one positive value, or one per channel, (C,)."""
        with torch.no_grad():
            self.threshold.copy_(
                torch.as_tensor(values, dtype=self.threshold.dtype).expand_as(self.threshold)
            )
        self._smallest = SMALLEST * float(self.threshold.detach().min())

    def extra_repr(self) -> str:
        """What ``print(model)`` says of it."""
        shown = (
            f"{self.threshold.item():.4g}" if self.threshold.dim() == 0 else f"{len(self.threshold)} channels"
        )
        return f"levels={self.levels}, threshold={shown}"

    def _keep_positive(self) -> None:
        with torch.no_grad():
            self.threshold.clamp_(min=self._smallest)


def _staircase(z: Tensor, ceiling: Tensor, levels: int) -> Tensor:
    step = ceiling / levels
    return torch.floor(z / step + 0.5).clamp(0, levels) * step


class _StraightThrough(torch.autograd.Function):
    """The staircase with the gradients of the class above."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, ceiling: Tensor, levels: int) -> Tensor:
        activation = _staircase(z, ceiling, levels)
        ctx.save_for_backward(z, ceiling, activation)
        return activation

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        z, ceiling, activation = ctx.saved_tensors
        passed = gradient * ((z >= 0) & (z <= ceiling))
        inside = (passed * (activation - z)).sum_to_size(ceiling.shape) / ceiling
        above = (gradient * (z > ceiling)).sum_to_size(ceiling.shape)
        return passed, inside + above, None


def _is_exporting() -> bool:
    """Whether one of the two ONNX exporters is looking: it gets plain operators."""
    return torch.onnx.is_in_onnx_export() or torch.compiler.is_exporting()
