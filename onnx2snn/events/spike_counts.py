"""Spikes and synaptic operations of a layer, in one reading of its levels."""

from __future__ import annotations

import math

import numpy as np

from onnx2snn.compile.spike_sums import SpikeSums
from onnx2snn.events import count_kernels
from onnx2snn.events.programs import Spelled

#: Axes of tensors that have no axis behind their channels.
_PLAIN = 2


def counted(sums: SpikeSums) -> Spelled:
    """A loop from levels (N·rows, ..., C) to the J sums (N,) float64."""
    last = sums if len(sums.sizes) <= _PLAIN else sums.channels_last()
    places = last.sizes[:-1]
    columns = last.columns
    if any(size > 1 for size in columns.shape[1:-1]):
        columns = np.broadcast_to(columns, (len(columns), *places, columns.shape[-1]))
    weights = np.ascontiguousarray(columns.reshape(len(columns), -1, columns.shape[-1]))
    alike = weights.shape[2] == 1
    rows = weights.shape[1] if alike else math.prod(places)
    if alike:
        function = count_kernels.summed_by_row
    else:
        function = (
            count_kernels.summed_by_channel if weights.shape[1] < rows else count_kernels.summed_by_entry
        )
    lines = [
        f"sums = {{k0}}({{r0}}.reshape(-1, {rows}, {math.prod(last.sizes) // rows}), {{k1}})",
        *(f"{{w{column}}} = sums[{column}]" for column in range(len(weights))),
    ]
    return Spelled("\n".join(lines), (function, weights))
