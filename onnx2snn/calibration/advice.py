"""What to tell somebody whose network has an activation that is not quantised: whether, and how, it can be calibrated."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import onnx

from onnx2snn.analysis.non_spiking import NonSpiking, obstacles
from onnx2snn.calibration.preparing import Prepared, prepare
from onnx2snn.errors import ConversionError
from onnx2snn.remedies import CALIBRATE, KEEP, KEEP_TOO, QUANTISE, RELU, either


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
        remedy=either(QUANTISE, RELU),
    )


def of_obstacle(source: onnx.ModelProto, first: NonSpiking) -> NonSpiking:
    """An obstacle of a network that has neurons, told to be calibrated only where that helps."""
    if first.remedy != CALIBRATE:
        return first
    for hybrid in (False, True):
        with contextlib.suppress(ConversionError):
            kept = prepare(source, hybrid=hybrid).kept
            if first.name not in [other.name for other in kept]:
                return replace(first, remedy=f"{CALIBRATE} {KEEP_TOO}" if kept else CALIBRATE)
    return replace(first, remedy=either(QUANTISE, KEEP))


def _to_calibrate(prepared: Prepared) -> ConversionError:
    line, count = prepared.lines[0], len(prepared.lines)
    kept = next(iter(obstacles(prepared.kept)), None)
    others = "" if kept is None else f"; {kept.name} ({kept.operator}) has no staircase"
    return ConversionError(
        f"no activation of this network is quantised: it is a float network ({count} to calibrate{others})",
        node=line.node,
        operator=line.operator,
        remedy=CALIBRATE if kept is None else f"{CALIBRATE} {KEEP_TOO}",
    )
