"""Statistics of the float network's activations, in one pass over data of any size, and samples spread over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.calibration.histogram import Histogram, channels_first
from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.data import DataSet
from onnx2snn.graph.core import Array
from onnx2snn.graph.exporter import with_outputs

#: What the tensors of one batch may take, in bytes.
BATCH_BYTES = 1 << 28
LARGEST_BATCH = 64


def batch_size(graph: gs.Graph, names: Sequence[str]) -> int:
    """How many samples go through the network at a time, if ``names`` are looked at."""
    tensors = graph.tensors()
    values = sum(_values(tensors[name]) for name in names)
    return int(np.clip(BATCH_BYTES // max(4 * values, 1), 1, LARGEST_BATCH))


def _values(tensor: gs.Tensor) -> int:
    """Of one sample; an open size is taken for 64."""
    return math.prod(int(s) if isinstance(s, (int, np.integer)) else 64 for s in tensor.shape[1:])


def gather(
    graph: gs.Graph, lines: Sequence[QuantiserPlace], data: DataSet, *, progress: Callable[[int], None]
) -> dict[str, Histogram]:
    """Histograms of all clipped lines above their smallest value, by channel; keys are the tensors that hold them."""
    lines = [line for line in lines if not line.ranged]
    roots = [line.root for line in lines]
    network = with_outputs(graph, roots)
    found: dict[str, Histogram] = {}
    for batch in data.batches(batch_size(graph, roots)):
        answer = network.run(batch.inputs, list(dict.fromkeys(roots)))
        for line in lines:
            clipped = np.clip(line.driven(answer[line.root]), 0, line.span.astype(np.float32))
            values = channels_first(clipped, line.axis)
            found.setdefault(line.output, Histogram(len(values))).add(values, values)
        progress(len(batch))
    return found


def spread(data: DataSet, count: int, *, progress: Callable[[int], None]) -> dict[str, Array]:
    """``count`` samples at equal distances over the whole data set: it may be sorted by class."""
    chosen = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).round().astype(np.int64))
    parts: dict[str, list[Array]] = {}
    for batch in data.batches(LARGEST_BATCH):
        here = chosen[(chosen >= batch.start) & (chosen < batch.start + len(batch))] - batch.start
        for name, value in batch.inputs.items():
            parts.setdefault(name, []).append(value[here])
        progress(len(batch))
    return {name: np.concatenate(values) for name, values in parts.items()}
