"""The spiking network, each of whose layers is given the levels that the source has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnx2snn.certificate.batch_findings import Mask, any_of, replaced, unequal
from onnx2snn.certificate.outputs import has_samples, in_whole_batches, must_be_of_samples
from onnx2snn.data import Batch
from onnx2snn.graph.core import Array

if TYPE_CHECKING:
    from onnx2snn.certificate.compare import Comparison
    from onnx2snn.certificate.source_network import Answer


@dataclass(frozen=True)
class Forced:
    """What the spiking network answers on the source's levels.

    Attributes:
        differing: By source tensor, where its own levels are others; None where nowhere.
        rows: Samples with any such level.
        outputs: What it answers, in all samples.
    """

    differing: Mapping[str, Mask | None]
    rows: Mask
    outputs: Mapping[str, Array]


def on_levels_of_source(
    comparison: Comparison, batch: Batch, answer: Answer, snn: Mapping[str, Array]
) -> Forced:
    """What the spiking network answers where each layer gets the source's levels; as it answered where they are its own.

    Args:
        comparison: Of both networks.
        batch: Samples.
        answer: The source's.
        snn: Levels and outputs of the spiking network.
    """
    differing = {p.source: unequal(snn[p.name], answer.levels[p.source]) for p in comparison.pairs}
    rows = np.zeros(len(batch), bool)
    for name, mask in differing.items():
        if mask is not None and mask.any():
            must_be_of_samples(name, mask, len(batch))
            rows |= any_of(mask)
    outputs = {name: snn[name] for name in comparison.source.outputs}
    if not rows.any():
        return Forced(differing, rows, outputs)
    rows = in_whole_batches(np.flatnonzero(rows), len(batch), comparison.unit(len(batch)))
    apart = [name for name, value in outputs.items() if has_samples(value, len(batch))]
    joint = [name for name in outputs if name not in apart]  # all samples of a batch make such an output
    some = comparison.forced_outputs(apart, batch.inputs, answer.levels, np.flatnonzero(rows))
    outputs |= {name: replaced(outputs[name], rows, value) for name, value in some.items()}
    whole = np.minimum(np.arange(comparison.source.batch or len(batch)), len(batch) - 1)
    outputs |= comparison.forced_outputs(joint, batch.inputs, answer.levels, whole)
    return Forced(differing, rows, outputs)
