"""What a network answered, and what it spent on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.energy import Energy, EnergyTable, energy_of

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Result:
    """What the network answered to N samples, and what it spent.

    Attributes:
        outputs: By output name, (N, ...), as in the source model.
        spikes: By layer, spikes of each sample, (N,); empty unless counted.
        synops: By layer, synaptic operations that its spikes caused, (N,); empty unless counted.
        energy: Joules of each sample, of the SNN and of its ANN, in all and by layer; NaN unless counted.
        neurons: By layer, neurons of one sample; where the network leaves sizes open, by those of the samples.
    """

    outputs: dict[str, Array]
    spikes: dict[str, NDArray[np.int64]]
    synops: dict[str, NDArray[np.int64]]
    energy: Energy
    neurons: dict[str, int] = field(default_factory=dict)


def result_of(
    answers: Mapping[str, Array], samples: int, layer_table: Mapping[str, Any], energies: EnergyTable
) -> Result:
    """The result of a network with its counting nodes.

    Args:
        answers: By name: outputs, ``spikes/<layer>`` and, where they were counted, ``synops/<layer>``.
        samples: N.
        layer_table: Of the network, its open sizes filled in.
        energies: Of single operations.
    """
    names = [layer["name"] for layer in layer_table["layers"]]
    spikes = _counted(answers, "spikes", names)
    synops = _counted(answers, "synops", names)
    outputs: Sequence[str] = layer_table["outputs"]
    energy = energy_of(synops, layer_table, energies, samples)
    neurons = {layer["name"]: int(layer["neurons"]) for layer in layer_table["layers"]}
    return Result({name: answers[name] for name in outputs}, spikes, synops, energy, neurons)


def _counted(answers: Mapping[str, Array], kind: str, layers: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    return {
        layer: answers[f"{kind}/{layer}"].astype(np.int64) for layer in layers if f"{kind}/{layer}" in answers
    }
