"""Energy of an inference, from operations counted (METHOD 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.layer_records import LayerEntry


@dataclass(frozen=True)
class EnergyTable:
    """Joules per operation.

    Attributes:
        multiply_accumulate: One multiply-accumulate.
        accumulate: One accumulate: a synaptic operation.
    """

    multiply_accumulate: float
    accumulate: float


#: 45 nm, 0.9 V (Horowitz, ISSCC 2014): 32-bit float.
FLOAT32 = EnergyTable(4.6e-12, 0.9e-12)
#: The same source: 8-bit products, 32-bit sums.
INT8 = EnergyTable(0.3e-12, 0.1e-12)


@dataclass(frozen=True)
class Energy:
    """Joules for each sample, shape (N,); NaN where it was not counted.

    Attributes:
        snn: SynOps · E_AC + multiply-accumulates of analog layers · E_MAC + what dendrites compute of potentials, an operation
            counted as a multiply-accumulate.
        ann: Multiply-accumulates of the source network · E_MAC.
        analog: The part of both that analog layers spend, the input layer among them.
        snn_layers: By layer of neurons: the synaptic operations that its spikes caused · E_AC.
        ann_layers: By layer: the multiply-accumulates that the source network spends in their place · E_MAC.
    """

    snn: NDArray[np.float64]
    ann: NDArray[np.float64]
    analog: NDArray[np.float64]
    snn_layers: dict[str, NDArray[np.float64]]
    ann_layers: dict[str, NDArray[np.float64]]


def energy_of(
    synops: Mapping[str, NDArray[np.int64]], layer_table: Mapping[str, Any], table: EnergyTable, samples: int
) -> Energy:
    """Energy of N samples.

    Args:
        synops: By layer, synaptic operations of each sample, (N,); empty where they were not counted.
        layer_table: Of the network.
        table: Joules per operation.
        samples: N.
    """
    layers: Sequence[LayerEntry] = layer_table["layers"]
    names = [layer["name"] for layer in layers]
    by_layer: Mapping[str, int | None] = layer_table.get("layer_macs", {})

    def dense(macs: int | None) -> NDArray[np.float64]:
        return np.full(samples, np.nan if macs is None else macs * table.multiply_accumulate)

    spent = {
        name: np.asarray(synops[name] * table.accumulate) if name in synops else np.full(samples, np.nan)
        for name in names
    }
    macs: Mapping[str, int | None] = layer_table.get("macs", {})
    analog = dense(macs.get("analog"))
    dendrites = dense(sum(sum(layer.get("analog", {}).values()) for layer in layers))
    return Energy(
        snn=sum(spent.values(), analog + dendrites),
        ann=dense(macs.get("ann")),
        analog=analog,
        snn_layers=spent,
        ann_layers={name: dense(by_layer.get(name)) for name in names},
    )
