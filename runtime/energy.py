"""Energy of an inference, from operations counted (METHOD 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
    """Joules for each sample, shape (N,).

    Attributes:
        snn: SynOps · E_AC + multiply-accumulates of analog layers · E_MAC.
        ann: Multiply-accumulates of the source network · E_MAC; NaN where a size of the network is dynamic.
    """

    snn: NDArray[np.float64]
    ann: NDArray[np.float64]


def energy_of(synops: NDArray[np.int64], macs: dict[str, int | None], table: EnergyTable) -> Energy:
    """Energy of samples with ``synops`` (N,) synaptic operations each."""
    analog, dense = (np.nan if macs.get(key) is None else float(macs[key] or 0) for key in ("analog", "ann"))
    snn = np.asarray(synops * table.accumulate + analog * table.multiply_accumulate, np.float64)
    return Energy(snn, np.full(synops.shape, dense * table.multiply_accumulate))
