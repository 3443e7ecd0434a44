"""Rows of several to a sample (time or tokens folded into the first axis), apart: (N·S, ...) as (N, S, ...)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnx2snn.graph.core import Array
from onnx2snn.model.reference import sampled_tensors
from onnx2snn.model.weights import SplitModel


class BySample:
    """Outputs and levels of one network, sample by sample.

    1. Rows of each sample: (N·S, ...) becomes (N, S, ...).
    2. What no sample decides (anchors, a grid): it is that of every sample.

    Args:
        source: The network that was converted.
    """

    def __init__(self, source: SplitModel) -> None:
        self._reached = sampled_tensors(source)

    def output(self, name: str, values: Array, samples: int) -> Array:
        """(N, ...) of an output."""
        if self._has_rows(name, values, samples):
            return apart(values, samples)
        return np.broadcast_to(values, (samples, *values.shape))

    def _has_rows(self, name: str, values: Array, samples: int) -> bool:
        return name in self._reached and values.ndim > 0 and len(values) % samples == 0

    def outputs(self, values: Mapping[str, Array], samples: int) -> dict[str, Array]:
        """(N, ...) of outputs, by name."""
        return {name: self.output(name, value, samples) for name, value in values.items()}

    def folded(self, values: Mapping[str, Array], samples: int) -> dict[str, tuple[int, ...]]:
        """Shapes (S, ...) of one sample of the outputs of which several rows belong to each."""
        rows = {
            name: v for name, v in values.items() if self._has_rows(name, v, samples) and len(v) > samples
        }
        return {name: apart(v, samples).shape[1:] for name, v in rows.items()}


def apart(values: Array, samples: int) -> Array:
    """Case 1; as it is, where each sample has one row, or no whole number of them."""
    if len(values) == samples or not len(values) or len(values) % samples:
        return values
    return values.reshape(samples, -1, *values.shape[1:])


def together(values: Array, rank: int) -> Array:
    """The rows that :func:`apart` took apart, of a tensor of ``rank``."""
    return values if values.ndim == rank else values.reshape(-1, *values.shape[2:])
