"""Fewer synapses: those go that cost more operations than they are worth.

Synaptic operations are a product, spikes × synapses (:mod:`onnx2snn.training.synapse_counts`), and
:class:`onnx2snn.training.FineGrainedL1` lowers the first factor alone. A weight w that becomes zero saves the r_w operations
that it carries. What it costs is estimated to second order around a trained network, whose gradient is nearly zero, with
Fisher information in the place of the Hessian's diagonal:

    ΔL ≈ ½ · F_w · w²,      F_w = E[(∂ log p(y|x) / ∂w)²],  y drawn from what the network answers

(LeCun, Denker and Solla, *Optimal Brain Damage*, NIPS 1989; Theis, Korshunova, Tejani and Huszár, *Faster gaze prediction
with dense networks and Fisher pruning*, arXiv 1801.05787, eq. 9, who also weigh it against operations). So weights go in the
order of ½ · F_w · w² / r_w, the cheapest first. How many is measured, not estimated: many that go together cost more than the sum
of what each costs. With ν, loss per synaptic operation, as many go as keep

    KL(p_before ‖ p_after) ≤ ν · Σ r_w        over all w that go

the divergence being ΔL for answers drawn from what the network answered before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.nn import functional

from onnx2snn.training.synapse_counts import SYNAPSES, Synapses, operations

#: Samples whose gradients are squared as one: drawn answers are independent, so the square of the sum has the right mean.
_TOGETHER = 8
#: Samples at a time, where nothing but answers is asked for.
_BATCH = 256
#: How many halvings of ν are tried.
_HALVINGS = 24


@dataclass(frozen=True)
class AnswerDistribution:
    """What outputs say: a distribution p(y|x) of answers.

    Attributes:
        surprise: From outputs (n, ...) to −Σ log p(y|x) over the batch, but for a constant, y drawn from it.
        divergence: From outputs before and after to the sum of KL(p_before ‖ p_after) over the batch.
    """

    surprise: Callable[[Tensor, torch.Generator], Tensor]
    divergence: Callable[[Tensor, Tensor], Tensor]


def log_softmax(logits: Tensor) -> Tensor:
    """Logarithms of probabilities (n, classes) from logits."""
    return functional.log_softmax(logits, dim=1)


def class_answers(
    logarithm: Callable[[Tensor], Tensor] = log_softmax, *, rows: int = 1
) -> AnswerDistribution:
    """A class a row: ``logarithm`` makes log p (n · rows, classes) of outputs; by default they are logits.

    The mean over the ``rows`` of a sample is what counts.
    """

    def surprise(outputs: Tensor, generator: torch.Generator) -> Tensor:
        logarithms = logarithm(outputs)
        drawn = torch.multinomial(logarithms.detach().exp(), 1, generator=generator)
        return -logarithms.gather(1, drawn).sum() / rows

    def divergence(before: Tensor, after: Tensor) -> Tensor:
        apart = functional.kl_div(logarithm(after), logarithm(before), reduction="sum", log_target=True)
        return apart / rows

    return AnswerDistribution(surprise, divergence)


def value_answers(variance: float | Tensor) -> AnswerDistribution:
    """Values normally distributed around the outputs (n, ...): a squared error of 2 · ``variance`` counts 1.

    Variances may differ within a sample: they broadcast to it.
    """

    def surprise(outputs: Tensor, generator: torch.Generator) -> Tensor:
        noise = variance**0.5 * torch.randn(outputs.shape, generator=generator)
        return divergence(outputs.detach() + noise, outputs)

    def divergence(before: Tensor, after: Tensor) -> Tensor:
        squared: Tensor = (before - after) ** 2 / (2 * variance)
        return squared.sum()

    return AnswerDistribution(surprise, divergence)


def fisher_information(
    model: nn.Module, inputs: Tensor, answers: AnswerDistribution, generator: torch.Generator
) -> dict[str, Tensor]:
    """F_w of the weights of all synapses, by module name; float32 shaped like the weight.

    Args:
        model: A network; it stays as it is.
        inputs: (N, ...): the mean is taken over them.
        answers: What its outputs say: :func:`class_answers`, :func:`value_answers`.
        generator: Draws.
    """
    probe = copy.deepcopy(model).eval()
    weights = {name: m.weight for name, m in probe.named_modules() if isinstance(m, SYNAPSES)}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for part in inputs.split(_TOGETHER):
        loss = answers.surprise(probe(part), generator)
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient**2
    return {name: squares / len(inputs) for name, squares in total.items()}


class SynapsePruning:
    """Drops synapses of ``model`` while it is trained; what is dropped stays zero.

        with SynapsePruning(model, 1e-7) as pruning:
            for epoch in range(epochs):
                ...                                             train
                pruning.drop(images, min(1, epoch / most))      ν grows

    Args:
        model: Holds :class:`QCFS` activations, convolutions and linear layers.
        weight: ν, loss per synaptic operation.
        answers: What its outputs say: :func:`class_answers`, :func:`value_answers`.
        seed: Of the answers that are drawn.
    """

    def __init__(
        self, model: nn.Module, weight: float, *, answers: AnswerDistribution | None = None, seed: int = 0
    ) -> None:
        self.weight = weight
        self._model, self._answers = model, answers or class_answers()
        self._generator = torch.Generator().manual_seed(seed)
        self._modules: dict[str, Synapses] = {
            n: m for n, m in model.named_modules() if isinstance(m, SYNAPSES)
        }
        self._masks: dict[str, Tensor] = {}  # of those that have lost some: nothing to do for the others
        self._hooks = [
            module.register_forward_pre_hook(lambda _module, _inputs, name=name: self._clear(name))
            for name, module in self._modules.items()
        ]

    @property
    def kept(self) -> float:
        """The share of synapses that is left, 0..1."""
        total = sum(module.weight.numel() for module in self._modules.values())
        gone = sum(int((mask == 0).sum()) for mask in self._masks.values())
        return 1 - gone / max(total, 1)

    def drop(self, inputs: Tensor, share: float = 1.0) -> None:
        """Drop what is worth less than ``share`` · ν an operation, measured on ``inputs`` (N, ...)."""
        self.clear()
        carried = operations(self._model, inputs)
        information = fisher_information(self._model, inputs, self._answers, self._generator)
        worth = {
            name: 0.5 * information[name] * module.weight.detach() ** 2 / carried[name]
            for name, module in self._modules.items()
        }  # without operations infinite, or not a number: neither is below anything
        probe = copy.deepcopy(self._model).eval()
        before = _answered(probe, inputs)
        for halving in range(_HALVINGS):
            bound = share * self.weight * 0.5**halving
            gone = {name: values < bound for name, values in worth.items()}
            saved = sum(float(carried[name][mask].sum()) for name, mask in gone.items())
            moved = self._divergence(probe, gone, inputs, before)
            if moved <= share * self.weight * saved:
                self._forget(gone)
                break
        self.clear()

    def _forget(self, gone: Mapping[str, Tensor]) -> None:
        for name, mask in gone.items():
            if mask.any():
                kept = self._masks.setdefault(name, torch.ones_like(self._modules[name].weight))
                kept[mask] = 0

    def _divergence(
        self, probe: nn.Module, gone: Mapping[str, Tensor], inputs: Tensor, before: Tensor
    ) -> float:
        """How far answers move if the weights ``gone`` go, mean of one sample; ``probe`` is a copy to try it on."""
        weights = {name: m.weight for name, m in probe.named_modules() if isinstance(m, SYNAPSES)}
        for name, module in self._modules.items():
            kept = module.weight.detach() * ~gone[name]
            weights[name].data.copy_(kept)
        after = _answered(probe, inputs)
        return float(self._answers.divergence(before, after)) / len(inputs)

    def clear(self) -> None:
        """Make zero what was dropped, whatever an optimiser has made of it since."""
        for name in self._masks:
            self._clear(name)

    def state_dict(self) -> dict[str, Tensor]:
        """What is left, by module name, and where the drawing stands: to go on from."""
        return {**self._masks, "": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from ``state``."""
        self._generator.set_state(state[""])
        self._masks = {name: mask.clone() for name, mask in state.items() if name}

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
        if name in self._masks:
            self._modules[name].weight.data.mul_(self._masks[name])  # a weight may be used twice in one pass


def _answered(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(part) for part in inputs.split(_BATCH)])
