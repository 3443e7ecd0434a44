"""Steps of an optimiser that do not ask in which unit a channel is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def step_scale_free(optimiser: torch.optim.Adam, thresholds: Sequence[Tensor]) -> None:
    """One step; by what a threshold would move, its logarithm does.

        λ ← λ·exp(Δ)

    Adam moves every number by about its learning rate, large or small. Channels are of any unit, and those that hardly ever fire
    have thresholds of a ten thousandth of the others': one step would make them, and what they emit, many times what they were.
    """
    before = [threshold.detach().clone() for threshold in thresholds]
    optimiser.step()
    with torch.no_grad():
        for threshold, held in zip(thresholds, before, strict=True):
            threshold.copy_(held * (threshold - held).exp())
