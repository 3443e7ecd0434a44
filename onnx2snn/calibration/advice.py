"""What to tell somebody whose network has an activation that is not quantised: whether, and how, it can be calibrated."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import onnx

from onnx2snn.activations.recognise import Rejected
from onnx2snn.analysis.non_spiking import NonSpiking, obstacles
from onnx2snn.calibration.preparing import Prepared, prepare
from onnx2snn.errors import ConversionError
from onnx2snn.remedies import CALIBRATE, FUNCTIONS, HYBRID, KEEP, KEEP_TOO, QUANTISE, either

Told = TypeVar("Told", NonSpiking, Rejected)


class Advice:
    """Remedies for one network: calibration is advised where it leads on, and it is tried at most once.

    Args:
        source: The network.
    """

    def __init__(self, source: onnx.ModelProto) -> None:
        self._source = source

    @cached_property
    def _prepared(self) -> Prepared | None:
        """Calibrated as far as it goes: without anything kept, or with it; None where there is nothing to calibrate."""
        for hybrid in (False, True):
            with contextlib.suppress(ConversionError):
                return prepare(self._source, hybrid=hybrid)
        return None

    def on(self, told: Told) -> Told:
        """``told``, with a remedy that helps: calibration of whatever it has a place for, and of nothing else."""
        continuous = told.remedy == CALIBRATE
        if not continuous and not told.remedy.startswith(QUANTISE) and told.remedy != HYBRID:
            return told
        if self._prepared is None or _name(told) in [kept.name for kept in self._prepared.kept]:
            return replace(told, remedy=either(QUANTISE, KEEP)) if continuous else told
        calibrate = f"{CALIBRATE} {KEEP_TOO}" if self._prepared.kept else CALIBRATE
        return replace(told, remedy=calibrate if continuous else either(calibrate, HYBRID))

    def of_float_network(self, kept: Sequence[NonSpiking]) -> ConversionError | None:
        """The refusal of a network without any neuron, whatever stands in front of its activations.

        1. All of its activations can be calibrated.
        2. Some can; what is left between them has no staircase, and would be kept.
        3. None can, and an activation is what keeps it from converting: nothing but training helps.
        4. Something else does: None, and it is said as of any network.

        Args:
            kept: What does not spike in it.
        """
        if self._prepared is not None:
            return _to_calibrate(self._prepared)
        first = next(iter(obstacles(kept)), None)
        if first is None or not first.remedy.startswith(QUANTISE):
            return None
        return ConversionError(
            f"no activation of this network is quantised, and calibration has no place for this one: {first.reason}",
            node=first.name,
            operator=first.operator,
            remedy=either(QUANTISE, FUNCTIONS),
        )


def _name(told: NonSpiking | Rejected) -> str:
    return told.node if isinstance(told, Rejected) else told.name


def _to_calibrate(prepared: Prepared) -> ConversionError:
    line, count = prepared.places[0], len(prepared.places)
    kept = next(iter(obstacles(prepared.kept)), None)
    others = "" if kept is None else f"; {kept.name} ({kept.operator}) cannot be"
    return ConversionError(
        f"no activation of this network is quantised: it is a float network ({count} to calibrate{others})",
        node=line.node,
        operator=line.operator,
        remedy=CALIBRATE if kept is None else f"{CALIBRATE} {KEEP_TOO}",
    )
