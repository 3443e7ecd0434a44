"""What calibration costs: the quantised network against the float one, on every sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.calibration.statistics import batch_size
from onnx2snn.data import Batch, DataSet
from onnx2snn.evaluation.batch_job import predicted_classes, right_answers
from onnx2snn.exact.rounded_network import Difference
from onnx2snn.graph.core import Array
from onnx2snn.graph.exporter import with_outputs


@dataclass
class Loss:
    """What was lost.

    Attributes:
        samples: Compared.
        output: Of the first output.
        layers: Of the activations, by the tensor that holds them.
        same: Samples with the same first class; None where outputs are no scores.
        right: Correct answers, of the float and of the quantised network.
        labelled: Samples with labels.
        margins: By which the first class of the float network leads the second, and how much quantisation moved that lead;
            two numbers a sample.
    """

    samples: int = 0
    output: Difference = field(default_factory=Difference)
    layers: dict[str, Difference] = field(default_factory=dict)
    same: int | None = 0
    right: dict[str, int] = field(default_factory=lambda: {"float": 0, "quantised": 0})
    labelled: int = 0
    margins: list[NDArray[np.float64]] = field(default_factory=list)

    @property
    def top1_agreement(self) -> float | None:
        """Share of the samples with the same first class."""
        return None if self.same is None or not self.samples else self.same / self.samples

    @property
    def accuracy(self) -> dict[str, float] | None:
        """Of both, where there are labels."""
        return {name: n / self.labelled for name, n in self.right.items()} if self.labelled else None

    @property
    def percent(self) -> float:
        """Percentage points of accuracy lost; without labels, of samples that answer another class; else output error.

        Few samples that all answer the same do not say that none ever will: without labels, the share that is expected of
        normally distributed changes of the lead counts, where it is larger than the share that was seen.
        """
        accuracy = self.accuracy
        if accuracy is not None:
            return 100 * max(0.0, accuracy["float"] - accuracy["quantised"])
        agreement = self.top1_agreement
        if agreement is None:
            return 100 * self.output.relative
        return 100 * max(1 - agreement, self.expected_changes)

    @property
    def expected_changes(self) -> float:
        """The mean of Φ(−lead/σ), σ the root mean square change of a lead: samples expected to answer another class."""
        if not self.margins:
            return 0.0
        lead, moved = np.concatenate(self.margins, axis=1)
        deviation = float(np.sqrt(np.mean(moved**2)))
        if deviation == 0:
            return 0.0
        return float(np.mean([0.5 * math.erfc(m / deviation / math.sqrt(2)) for m in lead]))

    def classes(self, batch: Batch, expected: Array, found: Array) -> None:
        """Compare the answered classes of one batch."""
        ann, snn = predicted_classes(expected), predicted_classes(found)
        scores = len(expected) == len(found) == len(batch)
        if ann is None or snn is None or self.same is None or not scores:
            self.same = None
            return
        self.same += int(np.sum(ann == snn))
        self._lead(expected.reshape(len(expected), -1), found.reshape(len(found), -1))
        right = right_answers(expected, batch), right_answers(found, batch)
        if right[0] is not None and right[1] is not None:
            self.labelled += len(batch)
            self.right["float"] += right[0]
            self.right["quantised"] += right[1]

    def _lead(self, expected: Array, found: Array) -> None:
        if expected.shape[1] < 2:
            return
        rows, order = np.arange(len(expected)), np.argsort(expected, axis=1)[:, -2:]
        lead, now = (_floats(v[rows, order[:, 1]]) - v[rows, order[:, 0]] for v in (expected, found))
        self.margins.append(np.stack([lead, now - lead]))


def measure(
    exact: gs.Graph,
    quantised: gs.Graph,
    lines: Sequence[QuantiserPlace],
    data: DataSet,
    *,
    progress: Callable[[int], None] = lambda _done: None,
) -> Loss:
    """Run both networks on all of ``data``; one batch is in memory."""
    known = exact.tensors()
    names = [line.output for line in lines if line.output in known]
    first, size = exact.outputs[0].name, max(1, batch_size(exact, names) // 2)
    ann, snn = with_outputs(exact, names), with_outputs(quantised, names)
    loss = Loss(layers={name: Difference() for name in names})
    for batch in data.batches(size):
        expected, found = ann.run(batch.inputs), snn.run(batch.inputs)
        loss.samples += len(batch)
        loss.output.add(_floats(expected[first]), _floats(found[first]))
        loss.classes(batch, expected[first], found[first])
        for name in names:
            loss.layers[name].add(expected[name], found[name])
        progress(len(batch))
    return loss


def _floats(values: Array) -> NDArray[np.float64]:
    return values.astype(np.float64)
