"""Fewer synapses: those go that cost more operations than they are worth.

Synaptic operations are a product, spikes × synapses (:mod:`onnx2snn.training.synapses`), and
:class:`onnx2snn.training.FineGrainedL1` lowers the first factor alone. A weight w that becomes zero saves the r_w operations
that it carries. What it costs is estimated to second order around a trained network, whose gradient is nearly zero, with
Fisher information in the place of the Hessian's diagonal:

    ΔL ≈ ½ · F_w · w²,      F_w = E[(∂ log p(y|x) / ∂w)²],  y drawn from what the network answers

(LeCun, Denker and Solla, *Optimal Brain Damage*, NIPS 1989; Theis, Korshunova, Tejani and Huszár, *Faster gaze prediction
with dense networks and Fisher pruning*, arXiv 1801.05787, eq. 9, who also weigh it against operations). So with ν, loss per
synaptic operation, w goes where

    ½ · F_w · w² < ν · r_w

The estimate knows one weight at a time and is too low where many go together; so ν grows over the training, and is chosen
far below the η of a penalty on operations: about a hundredth.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from onnx2snn.training.synapses import SYNAPSES, operations

#: From outputs (n, ...) to −Σ log p(y|x) over the batch, y drawn from the network's own distribution.
Surprise = Callable[[Tensor, torch.Generator], Tensor]

#: Samples whose gradients are squared as one: drawn answers are independent, so the square of the sum has the right mean.
_TOGETHER = 8


def drawn_classes(logits: Tensor, generator: torch.Generator) -> Tensor:
    """−Σ log p of one class for each row of ``logits`` (n, classes), drawn from their softmax."""
    logarithms = functional.log_softmax(logits, dim=1)
    drawn = torch.multinomial(logarithms.detach().exp(), 1, generator=generator)
    return -logarithms.gather(1, drawn).sum()


def drawn_values(variance: float) -> Surprise:
    """−Σ log p, but for a constant, of values normally distributed around the outputs.

    A squared error of 2 · ``variance`` counts 1.
    """

    def surprise(outputs: Tensor, generator: torch.Generator) -> Tensor:
        noise = variance**0.5 * torch.randn(outputs.shape, generator=generator)
        return ((outputs.detach() + noise - outputs) ** 2).sum() / (2 * variance)

    return surprise


def fisher_information(
    model: nn.Module, inputs: Tensor, surprise: Surprise, generator: torch.Generator
) -> dict[str, Tensor]:
    """F_w of the weights of all synapses, by module name; float32 shaped like the weight.

    Args:
        model: A network; it stays as it is.
        inputs: (N, ...): the mean is taken over them.
        surprise: What its outputs say of an answer: :func:`drawn_classes`, :func:`drawn_values`.
        generator: Draws.
    """
    probe: Any = copy.deepcopy(model).eval()
    weights = {name: m.weight for name, m in probe.named_modules() if isinstance(m, SYNAPSES)}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for part in inputs.split(_TOGETHER):
        loss = surprise(probe(part), generator)
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient**2
    return {name: squares / len(inputs) for name, squares in total.items()}


class SynapsePruning:
    """Drops synapses of ``model`` while it is trained; what is dropped stays zero.

        with SynapsePruning(model, 2e-9) as pruning:
            for epoch in range(epochs):
                ...                                             train
                pruning.drop(images, min(1, epoch / most))      ν grows

    Args:
        model: Holds :class:`QCFS` activations, convolutions and linear layers.
        weight: ν, loss per synaptic operation.
        surprise: See :func:`fisher_information`.
        seed: Of the answers that are drawn.
    """

    def __init__(
        self, model: nn.Module, weight: float, *, surprise: Surprise = drawn_classes, seed: int = 0
    ) -> None:
        self.weight = weight
        self._model, self._surprise = model, surprise
        self._generator = torch.Generator().manual_seed(seed)
        self._modules: dict[str, Any] = {n: m for n, m in model.named_modules() if isinstance(m, SYNAPSES)}
        self._masks = {name: torch.ones_like(module.weight) for name, module in self._modules.items()}
        self._hooks = [
            module.register_forward_pre_hook(lambda _module, _inputs, name=name: self._clear(name))
            for name, module in self._modules.items()
        ]

    @property
    def kept(self) -> float:
        """The share of synapses that is left, 0..1."""
        total = sum(mask.numel() for mask in self._masks.values())
        return float(sum(mask.sum() for mask in self._masks.values())) / max(total, 1)

    def drop(self, inputs: Tensor, share: float = 1.0) -> None:
        """Drop what is worth less than ``share`` · ν · its operations, measured on ``inputs`` (N, ...)."""
        self.clear()
        carried = operations(self._model, inputs)
        information = fisher_information(self._model, inputs, self._surprise, self._generator)
        for name, module in self._modules.items():
            loss = 0.5 * information[name] * module.weight.detach() ** 2
            self._masks[name] *= loss >= share * self.weight * carried[name]
        self.clear()

    def clear(self) -> None:
        """Make zero what was dropped, whatever an optimiser has made of it since."""
        for name in self._modules:
            self._clear(name)

    def state_dict(self) -> dict[str, Tensor]:
        """What is left, by module name, and where the drawing stands: to go on from."""
        return {**self._masks, "": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from ``state``."""
        self._generator.set_state(state[""])
        for name, mask in self._masks.items():
            mask.copy_(state[name])

    def remove(self) -> None:
        """Let the model go, zeros and all."""
        self.clear()
        for hook in self._hooks:
            hook.remove()

    def __enter__(self) -> SynapsePruning:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _clear(self, name: str) -> None:
        self._modules[name].weight.data.mul_(self._masks[name])  # a weight may be used twice in one pass
