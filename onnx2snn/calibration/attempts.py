"""Attempts to quantise a network, and what each costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.calibration import ranges
from onnx2snn.calibration.histogram import Histogram
from onnx2snn.calibration.layerwise import Fitted, Layerwise
from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.calibration.measure import Loss, measure
from onnx2snn.calibration.preparing import Prepared
from onnx2snn.calibration.statistics import gather, spread
from onnx2snn.calibration.step_choice import StepChoice, largest, least_squares, percentile, plain
from onnx2snn.calibration.writing import staircase_of, write_staircase
from onnx2snn.data import DataSet
from onnx2snn.graph.core import Array
from onnx2snn.operators import of
from onnx2snn.passes.importer import import_model

Method = Literal["auto", "mse", "percentile", "max"]
#: Called with the number of samples done and of those there will be, over all passes.
Progress = Callable[[float, float], None]

#: How thresholds are chosen: of clipped lines, and of ranges.
RULES: Mapping[str, tuple[Callable[[Histogram, int], StepChoice], ranges.Rule]] = {
    "max": (largest, ranges.largest),
    "percentile": (percentile, ranges.percentile),
    "mse": (least_squares, ranges.least_squares),
}


@dataclass(frozen=True)
class Outcome:
    """One way to quantise the network, and what it costs.

    Attributes:
        graph: The quantised network.
        fitted: Its staircases.
        loss: Against the float network; None without data.
    """

    graph: gs.Graph
    fitted: list[Fitted]
    loss: Loss | None


class Work:
    """A network, what is known of its activations, and attempts to quantise it."""

    def __init__(self, prepared: Prepared, method: Method, per_channel: bool | None, samples: int) -> None:
        self.prepared = prepared
        selects = any(of(node).selects for node in prepared.graph.nodes)
        #: What is quantised selects other rows than the float network: there is nothing to fit one to the other by.
        self.method: Method = "mse" if method == "auto" and selects else method
        self.names = [place.output for place in prepared.places]
        self.looked_at: dict[str, Array] = {}
        self._per_channel = per_channel
        self._samples = samples
        self._found: dict[str, Histogram] = {}
        self._data: DataSet | None = None
        self._step: Callable[[float], None] = lambda _done: None

    def look(self, data: DataSet, progress: Progress) -> None:
        """One pass over the data: statistics of all of it, or samples spread over it."""
        done, total = (
            0.0,
            float(2 * len(data) + (min(self._samples, len(data)) if self.method == "auto" else 0)),
        )

        def step(more: float) -> None:
            nonlocal done
            done += more
            progress(min(done, total), total)

        self._data, self._step = data, step
        self.looked_at = spread(
            data, self._samples, progress=step if self.method == "auto" else lambda _n: None
        )
        if self.method != "auto":
            self._found = gather(self.prepared.graph, self.prepared.places, data, progress=step)

    def imagine(self, found: dict[str, Histogram]) -> None:
        """Take statistics as they are given."""
        self.method = "mse" if self.method == "auto" else self.method
        self._found = found

    def trial(self, levels: Mapping[str, int]) -> Outcome:
        """Quantise a copy of the network to K levels each, and measure what is lost."""
        graph = self.prepared.graph.copy()
        rule = RULES["mse" if self.method == "auto" else self.method][1]
        places = ranges.ranged(self.prepared.places, self.prepared.seen, levels, rule)
        if self.method == "auto":
            layerwise = Layerwise(graph, places)
            inputs = _first(self.looked_at, layerwise.samples(self.looked_at))
            count = len(next(iter(inputs.values())))
            fitted = layerwise.run(
                inputs,
                levels,
                per_channel=self._per_channel,
                progress=lambda share: self._step(share * count),
            )
        else:
            fitted = [self._thresholds(graph, line, levels[line.output]) for line in places]
        if self._data is None:
            return Outcome(graph, fitted, None)
        loss = measure(self.prepared.source, graph, places, self._data, progress=self._step)
        return Outcome(graph, fitted, loss)

    def measured(self, model: onnx.ModelProto) -> Loss | None:
        """What a network made of an outcome loses against the float one; None without data."""
        if self._data is None:
            return None
        return measure(self.prepared.source, import_model(model), [], self._data)

    def _thresholds(self, graph: gs.Graph, line: QuantiserPlace, levels: int) -> Fitted:
        if line.ranged:
            steps, channels = plain(line.span.reshape(1) / levels, levels), 1
        else:
            found = self._found[line.output]
            channels = len(found.top)
            steps = RULES[self.method][0](found.joined() if self._per_channel is False else found, levels)
        rank = len(graph.tensors()[line.root].shape)
        staircase = staircase_of(line, steps, np.zeros(channels), rank)
        write_staircase(graph, line, staircase)
        return Fitted(line, staircase)


def _first(inputs: Mapping[str, Array], count: int) -> dict[str, Array]:
    """``count`` samples at equal distances."""
    samples = len(next(iter(inputs.values())))
    at = np.unique(np.linspace(0, samples - 1, min(count, samples)).round().astype(np.int64))
    return {name: value[at] for name, value in inputs.items()}
