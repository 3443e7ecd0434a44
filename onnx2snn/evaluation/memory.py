"""Energy with memory accesses: the analytical model of Lemaire et al. (ICONIP 2022, arXiv 2210.13107).

What is read and written is counted by its equations: a multiply-accumulate reads an input and a weight (3, 6); a synaptic
operation reads a weight, and reads and writes a potential (7 to 10); a potential is read and written once a time step, here in T
steps of integration and T of generation; spikes, and activations of the ANN, are written and read. An access to a memory of so
many bytes costs what interpolation gives between 8 kB (10 pJ), 32 kB (20 pJ) and 1 MB (100 pJ). Here one memory holds all
weights, one all potentials, one all activations; addressing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx2snn.evaluation.neurobench import Structure

NAME = "Lemaire et al. 2022"
_SIZES = np.array([0.0, 8192.0, 32768.0, 1048576.0])
_JOULES = 1e-12 * np.array([10.0 * 2 / 3, 10.0, 20.0, 100.0])


def access(size: float) -> float:
    """Joules of one access to a memory of ``size`` bytes; beyond both ends the nearest line goes on.

    >>> [round(1e12 * access(size), 1) for size in (0, 8192, 32768, 2**20, 2**21)]
    [6.7, 10.0, 20.0, 100.0, 182.6]
    """
    if size > _SIZES[-1]:
        slope = (_JOULES[-1] - _JOULES[-2]) / (_SIZES[-1] - _SIZES[-2])
        return float(_JOULES[-1] + slope * (size - _SIZES[-1]))
    return float(np.interp(size, _SIZES, _JOULES))


@dataclass(frozen=True)
class Widths:
    """Bytes of a number.

    Attributes:
        weight: Of a weight, and of an activation of the ANN.
        potential: Of a membrane potential, a sum.
    """

    weight: int
    potential: int = 4


#: By the name of the table of operations beside which it stands.
WIDTHS = {"float32": Widths(4), "int8": Widths(1)}


def memory_energy(
    widths: Widths,
    structure: Structure,
    table: Mapping[str, Any],
    means: Mapping[str, float],
    neurons: Mapping[str, float],
) -> dict[str, float | None]:
    """Joules of a sample that memory accesses cost, of the SNN and of its ANN; None where something is not counted.

    Args:
        widths: Bytes of numbers.
        structure: Of the network.
        table: Its layer table.
        means: Of a sample: ``spikes`` and ``synops``.
        neurons: By layer.
    """
    macs, layers = table.get("macs", {}), table.get("layers", ())
    count = sum(neurons.values())
    weights, activations = access(widths.weight * structure.weights), access(widths.weight * count)
    potentials = access(widths.potential * count)
    dense, analog = macs.get("ann"), macs.get("analog")
    ann = None if dense is None else dense * (weights + activations) + count * activations
    if analog is None or not layers or not {"spikes", "synops"} <= set(means):
        return {"snn": None, "ann": ann}
    steps = sum(2 * layer["timesteps"] * neurons[layer["name"]] for layer in layers)
    train = access(count / 8)
    snn = (means["synops"] + analog) * weights + analog * activations
    snn += 2 * (means["synops"] + steps) * potentials + 2 * means["spikes"] * train
    return {"snn": snn, "ann": ann}
