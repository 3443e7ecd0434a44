"""Putting QCFS in the place of other activations, and finding the thresholds to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from onnx2snn.training.qcfs import QCFS

#: Share of the positive pre-activations that the first threshold covers; what lies above saturates.
COVERED = 0.999
#: Pre-activations held of a layer: quantiles need no more.
HELD = 1 << 20
#: Steps by the golden ratio, in units of 2^-32: the places drawn fall in with no period of a layer's own (rows, channels).
_GOLDEN, _UNIT = 2654435769, 1 << 32


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
    seen = {name: Sample() for name in chosen}
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
    thresholds = {name: sample.quantile(covered) for name, sample in seen.items() if sample.count}
    for name, value in thresholds.items():
        chosen[name].set_threshold(value)
    return thresholds


@dataclass
class Sample:
    """Values of any number, each as likely held as every other, in bounded memory and without chance.

    Value number i is held while frac(i·φ) < ``share``, φ the golden ratio; the share halves whenever more than ``limit`` are.

    Attributes:
        limit: How many are held at most.
        share: Of all values, those that are held.
        count: How many there were.
        largest: Of all that there were.
    """

    limit: int = HELD
    share: float = 1.0
    count: int = 0
    largest: float = 0.0
    _values: Tensor = field(default_factory=lambda: torch.zeros(0))
    _places: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def add(self, values: Tensor) -> None:
        """Further values, (n,)."""
        if not values.numel():
            return
        numbers = torch.arange(self.count, self.count + values.numel(), device=values.device) % _UNIT
        self.count += values.numel()
        self.largest = max(self.largest, float(values.max()))
        self._hold(values, numbers * _GOLDEN % _UNIT)
        while self._values.numel() > self.limit:
            self.share /= 2
            held, places = self._values, self._places
            self._values, self._places = held[:0], places[:0]
            self._hold(held, places)

    def _hold(self, values: Tensor, places: Tensor) -> None:
        chosen = places < self.share * _UNIT
        self._values = torch.cat([self._values.to(values), values[chosen]])
        self._places = torch.cat([self._places.to(places), places[chosen]])

    def quantile(self, covered: float) -> float:
        """The value that ``covered`` of all do not exceed; the largest of all for 1."""
        return self.largest if covered >= 1 else float(torch.quantile(self._values, covered))


def _watcher(seen: Sample) -> Callable[..., Tensor]:
    def watch(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        seen.add(inputs[0][inputs[0] > 0])
        return inputs[0].clamp(min=0)

    return watch
