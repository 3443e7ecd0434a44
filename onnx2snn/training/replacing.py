"""Putting QCFS in the place of other activations, and finding the thresholds to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from onnx2snn.training.qcfs import QCFS

#: Share of the positive pre-activations that the first threshold covers; what lies above saturates.
COVERED = 0.999
#: Pre-activations looked at per layer and batch: quantiles need no more.
_SAMPLE = 1 << 16


def replace_activations(
    model: nn.Module,
    *,
    levels: int = 15,
    threshold: float = 3.0,
    replaced: type[nn.Module] | tuple[type[nn.Module], ...] = (nn.ReLU, nn.ReLU6),
) -> list[str]:
    """Replace activation modules by QCFS, in place.

    A module that is used at several places of the network stays shared. Calibrate the thresholds next.

    Args:
        model: Any torch module; activations that it calls as functions are out of reach.
        levels: K = 2^T − 1.
        threshold: λ of all of them, until they are calibrated.
        replaced: The classes to replace.

    Returns:
        The names of the replaced modules, in the order of ``model.named_modules()``.
    """
    made: dict[int, QCFS] = {}
    names = []
    for name, parent in list(model.named_modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, replaced):
                made.setdefault(id(child), QCFS(levels=levels, threshold=threshold))
                setattr(parent, key, made[id(child)])
                names.append(f"{name}.{key}" if name else key)
    return names


def calibrate_thresholds(
    model: nn.Module,
    batches: Iterable[Tensor],
    *,
    covered: float = COVERED,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Set each λ to the quantile ``covered`` of its positive pre-activations.

    While it looks, the QCFS modules pass their input like a ReLU, so that no layer is judged by the
    thresholds of those before it.

    Args:
        model: Holds QCFS modules; left in the mode that it was in.
        batches: Inputs (N, ...) as the network will see them.
        covered: 0..1; 1 takes the largest value.
        names: Which modules to set; None for all.

    Returns:
        λ by module name. A layer that never was positive keeps its λ and is missing.
    """
    chosen = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, QCFS) and (names is None or name in names)
    }
    seen: dict[str, list[Tensor]] = {name: [] for name in chosen}
    hooks = [module.register_forward_hook(_watcher(seen[name])) for name, module in chosen.items()]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                model(batch)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    found = {name: torch.cat(values) for name, values in seen.items() if values}
    thresholds = {
        name: float(torch.quantile(v[-_SAMPLE * 16 :], covered)) for name, v in found.items() if v.numel()
    }
    for name, value in thresholds.items():
        chosen[name].set_threshold(value)
    return thresholds


def _watcher(seen: list[Tensor]) -> Callable[..., Tensor]:
    def watch(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        positive = inputs[0][inputs[0] > 0]
        stride = max(1, -(-positive.numel() // _SAMPLE))
        seen.append(positive[::stride])
        return inputs[0].clamp(min=0)

    return watch
