"""Hidden activations taught layer by layer: each is drawn to what the float network has at its place.

The loss of outputs reaches early layers through every staircase between, and with few samples it says little. Hints say what each
layer is to be (Romero et al., *FitNets*, ICLR 2015):

    Σ_l ‖a_l − â_l‖² / ‖â_l‖²  / L          â_l the float network's activations of the same samples
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from onnx2snn.training.ports import Rows

_SMALLEST = 1e-12


class LayerHints:
    """Compares the QCFS layers of a network, in training mode, with the modules of equal names of its teacher.

    Args:
        model: What learns, a network in :class:`~onnx2snn.training.ports.Rows`.
        teacher: A network with float activations in their place, likewise; it stays as it is.
        factors: By name of a layer, what the network that learns multiplies it by.
        wanted_factors: What its teacher multiplies it by.
    """

    def __init__(
        self, model: Rows, teacher: Rows, factors: Mapping[str, Tensor], wanted_factors: Mapping[str, Tensor]
    ) -> None:
        self._teacher = teacher.eval()
        self._found: dict[str, Tensor] = {}
        self._wanted: dict[str, Tensor] = {}
        sides = ((model, factors, self._found), (teacher, wanted_factors, self._wanted))
        for side, multiplied, held in sides:
            for name, factor in multiplied.items():
                side.network.get_submodule(name).register_forward_hook(_keeper(held, name, factor))

    def __call__(self, inputs: Tensor) -> Tensor:
        """The loss of the last pass of the model, which was given ``inputs``: a scalar with gradient."""
        with torch.no_grad():
            self._teacher(inputs)
        apart = [
            (found - self._wanted[name]).square().mean()
            / self._wanted[name].square().mean().clamp(min=_SMALLEST)
            for name, found in self._found.items()
        ]
        self._found.clear()
        self._wanted.clear()
        return torch.stack(apart).mean()


def _keeper(held: dict[str, Tensor], name: str, factor: Tensor) -> Any:
    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        held[name] = output * factor

    return keep
