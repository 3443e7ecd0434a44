"""What a network learns from: true classes, or the answers that it gave before, whatever they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
import torch
from torch import Tensor
from torch.nn import functional

from onnx2snn.data import DataSet
from onnx2snn.errors import ConversionError, InputError
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.reference import make_runner
from onnx2snn.training.ports import Port, ports_of, rows_of
from onnx2snn.training.pruning import AnswerDistribution, class_answers, log_softmax, value_answers

_BATCH = 256
_SMALLEST = 1e-12
#: Variances along an axis that differ by more are of different things: pixels beside probabilities.
_ALIKE = 100.0
#: A variance counts at least this share of the largest beside it: classes that never occur are not to be learned by heart.
_LEAST = 1e-6


@dataclass(frozen=True)
class Lesson:
    """One output, and how an answer of it is judged.

    1. Classes that labels name: the Kullback-Leibler divergence from them, which is the cross-entropy.
    2. Probabilities (what sums to 1 along an axis): the divergence from the float network's.
    3. Anything else: squared error over the variance of what the float network answers.

    Attributes:
        port: Where it lies in a row.
        labelled: Whether targets are classes, not former answers.
        axis: Of one sample's classes, counted in the whole output; None in case 3.
        logits: Whether answers are logarithms of odds, not probabilities.
        variance: What a squared error is measured by: a scalar, or one that broadcasts to a sample.
        spread: The variance of all its values.
    """

    port: Port
    labelled: bool
    axis: int | None
    logits: bool
    variance: Tensor
    spread: float

    def logarithms(self, answers: Tensor) -> Tensor:
        """Log p, (places that choose a class, classes)."""
        rows = answers.movedim(self.axis or 1, -1).flatten(0, -2)
        return log_softmax(rows) if self.logits else rows.clamp(min=_SMALLEST).log()

    def loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Of rows of all outputs, (n, places) each, a scalar."""
        found, wanted = self.port.of(answers), self.port.of(targets)
        if self.axis is None:
            return ((found - wanted) ** 2 / self.variance).mean()
        shares = wanted.movedim(self.axis, -1).flatten(0, -2)
        return functional.kl_div(self.logarithms(found), shares, reduction="batchmean")

    def distribution(self) -> AnswerDistribution:
        """Of which the loss is the logarithm."""
        size = self.port.end - self.port.begin
        if self.axis is None:
            return value_answers(self.variance * (size / 2))
        return class_answers(self.logarithms, rows=size // self.port.shape[self.axis - 1])


@dataclass(frozen=True)
class Lessons:
    """Samples, what is to be answered to them, and how answers are judged.

    Attributes:
        inputs: Rows of all inputs, (N, places), float32.
        targets: Rows of what is to be answered, (N, places).
        inputs_held: The inputs in a row.
        wanted: Positions of the outputs in a row among those of the network.
        lessons: One for each of them.
    """

    inputs: Tensor
    targets: Tensor
    inputs_held: tuple[Port, ...]
    wanted: tuple[int, ...]
    lessons: tuple[Lesson, ...]

    def __len__(self) -> int:
        return len(self.inputs)

    def given(self, samples: Tensor) -> dict[str, np.ndarray[Any, Any]]:
        """The inputs (n, ...) of samples, by name."""
        return {port.name: port.of(self.inputs[samples]).numpy() for port in self.inputs_held}

    def loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """The sum over all outputs, a scalar."""
        return torch.stack([lesson.loss(answers, targets) for lesson in self.lessons]).sum()

    def right(self, answers: Tensor, targets: Tensor) -> float:
        """The share of answers that name the class that the label does; NaN without labels."""
        for lesson in self.lessons:
            if lesson.labelled:
                found, wanted = (lesson.port.of(rows).argmax(dim=1) for rows in (answers, targets))
                return float((found == wanted).double().mean())
        return float("nan")

    def errors(self, answers: Tensor, targets: Tensor) -> dict[str, float]:
        """Root mean square difference from the float network over its standard deviation, of each output without labels."""
        return {
            lesson.port.name: float(
                ((lesson.port.of(answers) - lesson.port.of(targets)).double() ** 2).mean() / lesson.spread
            )
            ** 0.5
            for lesson in self.lessons
            if not lesson.labelled
        }

    @property
    def answers(self) -> AnswerDistribution:
        """What a row of outputs says: each output independently."""
        parts = [(lesson.port, lesson.distribution()) for lesson in self.lessons]

        def surprise(outputs: Tensor, generator: torch.Generator) -> Tensor:
            return torch.stack([p.surprise(port.of(outputs), generator) for port, p in parts]).sum()

        def divergence(before: Tensor, after: Tensor) -> Tensor:
            return torch.stack([p.divergence(port.of(before), port.of(after)) for port, p in parts]).sum()

        return AnswerDistribution(surprise, divergence)


def lessons(source: gs.Graph, data: DataSet) -> Lessons:
    """All of ``data``, in memory: labels for the first output that is one row of scores a sample, else what ``source`` answers.

    Raises:
        ConversionError: no output is a float for each sample.
        InputError: there are no samples; labels for a network that has no row of scores, or outside its classes.
    """
    inputs, outputs = ([t.name for t in ports] for ports in (source.inputs, source.outputs))
    batches = list(data.batches(_BATCH))
    if not batches:
        raise InputError("the data holds no samples", remedy="add some")
    run = make_runner(to_model(source))
    given = {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in inputs}
    found = [run(dict(batch.inputs)) for batch in batches]
    told = {name: np.concatenate([one[name] for one in found]) for name in outputs}
    learned = {
        n: v for n, v in told.items() if v.dtype.kind == "f" and v.ndim and len(v) == len(data) and v.size
    }
    if not learned:
        raise ConversionError(
            "no output of this network can be learned: each would have to be a float for every sample",
            found=", ".join(f"{name} {value.dtype.name} {value.shape}" for name, value in told.items()),
            remedy="let the network end before what makes whole numbers of its scores",
        )
    ports = ports_of(learned)
    labelled = None if data.labels is None else _labelled(ports, data.labels)
    taught = tuple(_lesson(port, learned[port.name], port is labelled) for port in ports)
    if labelled is not None and data.labels is not None:
        learned[labelled.name] = np.eye(labelled.shape[0], dtype=np.float32)[data.labels]
    wanted = tuple(outputs.index(name) for name in learned)
    return Lessons(rows_of(given), rows_of(learned), ports_of(given), wanted, taught)


def _lesson(port: Port, answers: np.ndarray[Any, Any], labelled: bool) -> Lesson:
    axis = _axis_of_probabilities(answers)
    variance, spread = _variances(answers), max(float(np.var(answers, dtype=np.float64)), _SMALLEST)
    return Lesson(port, labelled, 1 if labelled else axis, axis is None, variance, spread)


def _axis_of_probabilities(answers: np.ndarray[Any, Any]) -> int | None:
    """The axis along which answers are shares of 1; None where there is none."""
    if not (answers >= 0).all():
        return None
    axes = (axis for axis in range(1, answers.ndim) if answers.shape[axis] > 1)
    return next((a for a in axes if np.allclose(answers.sum(axis=a), 1, atol=1e-3)), None)


def _variances(answers: np.ndarray[Any, Any]) -> Tensor:
    """What squared errors are divided by: the variance, or along one axis each index's own where they are of different sizes.

    A detector's output may hold pixels and probabilities side by side: one variance for both would leave the second out.
    """
    whole = np.asarray(max(np.var(answers, dtype=np.float64), _SMALLEST))
    best, apart = whole, _ALIKE
    for axis in range(1, answers.ndim if answers.ndim > 2 else 1):
        others = tuple(a for a in range(answers.ndim) if a != axis)
        own = np.var(answers, axis=others, dtype=np.float64, keepdims=True)[0]
        own = np.maximum(own, max(_LEAST * float(own.max()), _SMALLEST))
        ratio = float(own.max() / own.min())
        if ratio > apart:
            best, apart = own, ratio
    return torch.as_tensor(best, dtype=torch.float32)


def _labelled(ports: Sequence[Port], labels: np.ndarray[Any, Any]) -> Port:
    """The output whose classes ``labels`` name."""
    scores = [port for port in ports if len(port.shape) == 1 and port.shape[0] > 1]
    if not scores:
        raise InputError(
            "labels need a network with one row of scores a sample",
            found=", ".join(f"an output of shape {('N', *port.shape)}" for port in ports),
            remedy="leave the labels out: the network then learns from its own answers",
        )
    classes = max(port.shape[0] for port in scores)
    if labels.min() < 0 or labels.max() >= classes:
        found = f"labels {labels.min()} to {labels.max()}, {classes} classes"
        raise InputError(
            "a label names no class of the network",
            found=found,
            remedy="number the classes from 0 on, or leave the labels out",
        )
    return next(port for port in scores if labels.max() < port.shape[0])
