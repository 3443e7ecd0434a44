"""The spikes that a network will emit once it is converted, or what they cost."""

from __future__ import annotations

from collections.abc import Mapping
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
        cost: By module name, what a spike of each neuron counts (:func:`onnx2snn.training.fan_out`: synaptic operations); else
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
