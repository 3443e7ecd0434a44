"""Energy with memory accesses: the analytical model of Lemaire et al. (ICONIP 2022, arXiv 2210.13107).

Reads and writes are counted by its equations, as its authors' own implementation has them (``EnergyEstimationMetric`` of LEAT's
qualia-plugin-snn): a multiply-accumulate reads an input (3) and a weight (6); a synaptic operation reads a weight (7, 8), and
reads and writes a potential (9, 10, 14, 15), as each time step does for each neuron, here in T steps of integration and T of
generation; spikes, and the ANN's activations, are written (11 to 13) and read (5). Each layer has memories of its own, and an
access costs what a line through 8 kB (10 pJ), 32 kB (20 pJ) and 1 MB (100 pJ) gives, by least squares.

What is simpler here: all layers' memories are as large as the mean one; dense layers read an input for each product, as
convolutions do; biases and addressing are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx2snn.evaluation.neurobench import Structure
from onnx2snn.runtime.layer_records import LayerEntry

NAME = "Lemaire et al. 2022"
#: Joules of an access to an empty memory, and what each byte of it adds.
_BASE, _BYTE = 13.2563e-12, 8.2816e-17


def access(size: float) -> float:
    """Joules of one access to a memory of ``size`` bytes, 45 nm.

    >>> [round(1e12 * access(size), 1) for size in (8192, 32768, 2**20)]
    [13.9, 16.0, 100.1]
    """
    return _BASE + _BYTE * size


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
    macs: Mapping[str, float | None] = table.get("macs", {})
    layers: Sequence[LayerEntry] = table.get("layers", ())
    dense, analog = macs.get("ann"), macs.get("analog")
    if not layers:
        return {"snn": None, "ann": None}
    count = sum(neurons.values())
    each = count / len(layers)
    weights, activations = access(widths.weight * structure.mean_weights), access(widths.weight * each)
    ann = None if dense is None else dense * (weights + activations) + count * activations
    if analog is None or not {"spikes", "synops"} <= set(means):
        return {"snn": None, "ann": ann}
    potentials, train = access(widths.potential * each), access(each / 8)
    steps = sum(2 * layer["timesteps"] * neurons[layer["name"]] for layer in layers)
    snn = (means["synops"] + analog) * weights + analog * activations
    snn += 2 * (means["synops"] + steps) * potentials + 2 * means["spikes"] * train
    return {"snn": snn, "ann": ann}
