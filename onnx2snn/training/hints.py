"""Hidden activations taught layer by layer: each is drawn to what the float network has at its place.

The loss of outputs reaches early layers through every staircase between, and with few samples it says little. Hints say what each
layer is to be (Romero et al., *FitNets*, ICLR 2015):

    Σ_l ‖a_l − â_l‖² / ‖â_l‖²  / L          â_l the float network's activations of the same samples
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from onnx2snn.training.qcfs import QCFS

_SMALLEST = 1e-12


class LayerHints:
    """Compares the QCFS layers of a network, in training mode, with the modules of equal names of its teacher.

    Args:
        model: What learns.
        teacher: The same network with float activations; it stays as it is.
    """

    def __init__(self, model: nn.Module, teacher: nn.Module) -> None:
        self._teacher = teacher.eval()
        self._found: dict[str, Tensor] = {}
        self._wanted: dict[str, Tensor] = {}
        names = [name for name, module in model.named_modules() if isinstance(module, QCFS)]
        pairs = ((model, self._found), (teacher, self._wanted))
        self._hooks = [
            network.get_submodule(name).register_forward_hook(_keeper(held, name))
            for network, held in pairs
            for name in names
        ]

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

    def __enter__(self) -> LayerHints:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()


def _keeper(held: dict[str, Tensor], name: str) -> Any:
    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        held[name] = output

    return keep
