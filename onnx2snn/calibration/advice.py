"""What to tell somebody whose network has no quantised activation at all: whether, and how, it can be calibrated."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import onnx

from onnx2snn.calibration.preparing import Prepared, prepare
from onnx2snn.errors import ConversionError
from onnx2snn.passes.refuse import QUANTISE, NonSpiking, obstacles
from onnx2snn.staircases.recognise import CALIBRATE


def of_float_network(source: onnx.ModelProto, kept: Sequence[NonSpiking]) -> ConversionError | None:
    """The refusal of a network without any neuron, whatever stands in front of its activations.

    1. All of its activations can be calibrated.
    2. Some can; what is left between them has no staircase, and would be kept.
    3. None can, and an activation is what keeps it from converting: nothing but training helps.
    4. Something else does: None, and it is said as of any network.

    Args:
        source: The network.
        kept: What does not spike in it.
    """
    for hybrid in (False, True):
        with contextlib.suppress(ConversionError):
            return _to_calibrate(prepare(source, hybrid=hybrid))
    first = next(iter(obstacles(kept)), None)
    if first is None or not (first.remedy == CALIBRATE or first.remedy.startswith(QUANTISE)):
        return None
    return ConversionError(
        f"no activation of this network is quantised, and calibration has no staircase for this one: {first.reason}",
        node=first.name,
        operator=first.operator,
        remedy=f"{QUANTISE} (QCFS or similar), or with ReLU and calibrate it",
    )


def _to_calibrate(prepared: Prepared) -> ConversionError:
    line, count = prepared.lines[0], len(prepared.lines)
    kept = next(iter(obstacles(prepared.kept)), None)
    others = "" if kept is None else f" --hybrid (which keeps {kept.name} ({kept.operator}) as it is)"
    return ConversionError(
        f"no activation of this network is quantised: it is a float network ({count} to calibrate)",
        node=line.node,
        operator=line.operator,
        remedy=CALIBRATE + others,
    )
