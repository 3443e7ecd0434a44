"""Rows of several to a sample (time or tokens folded into the first axis), apart: (N·S, ...) as (N, S, ...)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from onnx2snn.graph.core import Array


class BySample:
    """Outputs of one network, sample by sample.

    1. Rows of each sample: (N·S, ...) becomes (N, S, ...).
    2. What does not grow with the samples (a mean of all, anchors, a shape) is there once: (1, ...).

    Args:
        growing: Names of the outputs that have rows of each sample.
    """

    def __init__(self, growing: Collection[str]) -> None:
        self._growing = growing

    def outputs(self, values: Mapping[str, Array], samples: int) -> dict[str, Array]:
        """(N, ...) or (1, ...) of outputs, by name."""
        return {n: apart(v, samples) if n in self._growing else v[None] for n, v in values.items()}

    def shapes(self, values: Mapping[str, Array], samples: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one sample of the outputs that are reshaped so."""
        found = {n: v.shape[1:] for n, v in self.outputs(values, samples).items()}
        return {
            n: shape for n, shape in found.items() if shape != values[n].shape[1:] or n not in self._growing
        }


def apart(values: Array, samples: int) -> Array:
    """Case 1; as it is, where each sample has one row, or no whole number of them."""
    if len(values) == samples or not len(values) or len(values) % samples:
        return values
    return values.reshape(samples, -1, *values.shape[1:])


def together(values: Array, rank: int) -> Array:
    """The rows that :func:`apart` took apart, of a tensor of ``rank``."""
    return values if values.ndim == rank else values.reshape(-1, *values.shape[2:])
