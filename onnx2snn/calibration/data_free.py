"""Thresholds without any data: batch norm remembers the mean and variance of what it saw.

Pre-activations behind a batch norm are distributed as N(β, γ²) in each channel (Nagel et al., ICCV 2019, section 4.2.1).
Noise is sent through the network; at each of these places it is moved and scaled to the mean and deviation that the training
data had, so that what follows sees plausible values, correlated as the network correlates them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.calibration.histogram import Histogram, channels_first
from onnx2snn.calibration.layerwise import forget
from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.calibration.stages import make_stages
from onnx2snn.data import InputSpec
from onnx2snn.errors import InputError
from onnx2snn.graph.core import Array, producer_of
from onnx2snn.operators import of

#: Noise samples.
SAMPLES = 32

_REMEDY = "give some data: 32 samples without labels are enough"


def imagine(
    graph: gs.Graph, lines: Sequence[QuantiserPlace], specs: Sequence[InputSpec], *, seed: int = 0
) -> dict[str, Histogram]:
    """Histograms of the activations that the training data is likely to have caused.

    Raises:
        InputError: there is no batch norm to go by, a range has to be seen in data, or an input has an open size or is no float.
    """
    if (place := next((line for line in lines if line.ranged), None)) is not None:
        raise InputError(
            f"the range of what '{place.node}' ({place.operator}) computes has to be seen in data",
            remedy=_REMEDY,
        )
    tensors = graph.tensors()
    known = {line.root: statistics_of(tensors[line.root]) for line in lines}
    if not any(known.values()):
        raise InputError(
            "this network has no batch norm whose statistics could stand in for data", remedy=_REMEDY
        )
    random = np.random.default_rng(seed)
    held: dict[str, Array] = {spec.name: _noise(spec, random) for spec in specs}
    stages = make_stages(graph, [[line.root] for line in lines], [line.output for line in lines], [])
    found = {}
    for stage, line in zip(stages, lines, strict=False):
        held |= stage.run(graph, held, SAMPLES)
        moments = known[line.root]
        if moments is not None:
            held[line.root] = matched(held[line.root], *moments)
        held[line.output] = line.value(held[line.root])
        values = channels_first(held[line.output] - line.low.astype(np.float32), line.axis)
        found[line.output] = Histogram(len(values))
        found[line.output].add(values, values)
        forget(held, stage)
    return found


def statistics_of(tensor: gs.Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Mean β and deviation |γ| of each channel of what a batch norm writes; None for any other tensor."""
    node = producer_of(tensor)
    rule = None if node is None else of(node).normalises
    constants = None if node is None or rule is None else rule(node)
    if constants is None:
        return None
    scale, shift, *_ = constants
    return shift.astype(np.float64), np.abs(scale.astype(np.float64))


def matched(z: Array, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float32]:
    """``z`` (N, C, ...) moved and scaled, channel by channel, to the given moments."""
    axes = (0, *range(2, z.ndim))
    shape = (1, -1) + (1,) * (z.ndim - 2)
    centred = z - z.mean(axis=axes, keepdims=True)
    spread = np.maximum(centred.std(axis=axes, keepdims=True), 1e-12)
    result: NDArray[np.float32] = (centred / spread * deviation.reshape(shape) + mean.reshape(shape)).astype(
        np.float32
    )
    return result


def _noise(spec: InputSpec, random: np.random.Generator) -> Array:
    sizes = spec.shape
    if sizes is None or any(s is None for s in sizes) or np.dtype(spec.dtype).kind != "f":
        raise InputError(f"nothing can be drawn for input '{spec.name}'", found=str(spec), remedy=_REMEDY)
    drawn = random.normal(0, 1, (SAMPLES, *(int(s) for s in sizes if s is not None)))
    return np.asarray(drawn, spec.dtype)
