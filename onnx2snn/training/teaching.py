"""What a network learns from: true classes, or the answers that it gave before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from onnx2snn.data import DataSet
from onnx2snn.errors import InputError
from onnx2snn.model.reference import make_runner
from onnx2snn.training.pruning import AnswerDistribution, class_answers, log_softmax, value_answers

_BATCH = 256
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Lessons:
    """Samples, what is to be answered to them, and how an answer is judged.

    Attributes:
        inputs: (N, ...), float32.
        targets: Classes (N,), or the source's own outputs (N, ...).
        loss: From outputs (n, ...) and their targets to a scalar.
        right: The share of answers that name the class that the target does.
        answers: What outputs say.
    """

    inputs: Tensor
    targets: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    right: Callable[[Tensor, Tensor], float]
    answers: AnswerDistribution

    def __len__(self) -> int:
        return len(self.inputs)


def lessons(source: onnx.ModelProto, data: DataSet, *, input_name: str, output_name: str) -> Lessons:
    """All of ``data``, in memory, with labels where it has them and else with the answers of ``source``.

    1. Labels: cross-entropy of the output, read as logits, or as probabilities where the source ends in a
       softmax.
    2. No labels, one row of logits or probabilities a sample: cross-entropy with the source's own
       probabilities.
    3. No labels, anything else: mean squared error in units of the source's variance.

    Raises:
        InputError: labels for a network whose output is not one row of scores a sample, or outside its
            classes.
    """
    batches = list(data.batches(_BATCH))
    if not batches:
        raise InputError("the data holds no samples", remedy="add some")
    inputs = [batch.inputs[input_name] for batch in batches]
    run = make_runner(source)
    answers = np.concatenate([run({input_name: x})[output_name] for x in inputs])
    logarithm = _log_probabilities if _are_probabilities(answers) else log_softmax
    samples = torch.as_tensor(np.concatenate(inputs))
    if data.labels is not None:
        classes = _checked(data.labels, answers.shape)
        return Lessons(samples, classes, _label_loss(logarithm), _share_right, class_answers(logarithm))
    targets = torch.as_tensor(answers)
    if targets.dim() == 2 and targets.shape[1] > 1:
        soft = logarithm(targets).exp()
        return Lessons(samples, soft, _soft_loss(logarithm), _share_right, class_answers(logarithm))
    variance = max(float(targets.var()), _SMALLEST)
    loss = _squared_loss(variance)
    drawn = value_answers(variance * targets[0].numel() / 2)  # of which the loss is the logarithm
    return Lessons(samples, targets, loss, lambda _answers, _targets: float("nan"), drawn)


def _are_probabilities(answers: np.ndarray) -> bool:
    sums = answers.reshape(len(answers), -1).sum(axis=1)
    return answers.ndim == 2 and bool((answers >= 0).all()) and bool(np.allclose(sums, 1, atol=1e-3))


def _log_probabilities(answers: Tensor) -> Tensor:
    return answers.clamp(min=_SMALLEST).log()


def _label_loss(logarithm: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda answers, classes: functional.nll_loss(logarithm(answers), classes)


def _soft_loss(logarithm: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda answers, soft: -(soft * logarithm(answers)).sum(dim=1).mean()


def _squared_loss(variance: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda answers, targets: functional.mse_loss(answers, targets) / variance


def _share_right(answers: Tensor, targets: Tensor) -> float:
    classes = targets if targets.dim() == 1 else targets.argmax(dim=1)
    return float((answers.argmax(dim=1) == classes).double().mean())


def _checked(labels: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    if len(shape) != 2:
        raise InputError(
            "labels need a network with one row of scores a sample",
            found=f"an output of shape {shape}",
            remedy="leave the labels out: the network then learns from its own answers",
        )
    if labels.min() < 0 or labels.max() >= shape[1]:
        found = f"labels {labels.min()} to {labels.max()}, {shape[1]} classes"
        raise InputError("a label names no class of the network", found=found)
    return torch.as_tensor(labels)
