"""What a calibration gives."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import onnx

from onnx2snn.listings import calibration_listing
from onnx2snn.model.savable import Savable
from onnx2snn.units import percent, steps_in_words, things

if TYPE_CHECKING:
    from onnx2snn.exact.snapping import Exact


@dataclass(frozen=True)
class CalibratedLayer:
    """One activation that became a staircase.

    Attributes:
        name: The user's node.
        operator: What it was.
        levels: K.
        timesteps: T of the layer: ceil(log2(K + 1)); in a rate code K.
        thresholds: Number of thresholds: one, or one per channel.
        correction: ``none``, ``mean`` (each channel's mean) or ``weights`` (of the synapses in front, and the mean).
        signal_to_noise: Of its activations in the finished network against the float network's, in decibels; None where
            there is nothing to compare.
    """

    name: str
    operator: str
    levels: int
    timesteps: int
    thresholds: int
    correction: str
    signal_to_noise: float | None


@dataclass(frozen=True, repr=False)
class Calibration(Savable):
    """A float network made a quantised one.

    Attributes:
        model: An ordinary ONNX network whose activations are staircases.
        layers: In order.
        timesteps: T of the network.
        method: How thresholds were chosen.
        samples: How many were looked at; 0 without data.
        output_error: Root mean square difference of the first output from the float network's, over its standard
            deviation; None without data.
        top1_agreement: Share of the samples with the same first class; None where outputs are no scores.
        accuracy: Of the ``float`` and of the ``quantised`` network, where the data has labels.
        non_spiking: Operators between activations that were kept (``hybrid``): names of the user's nodes.
        exact: The grids of its constants, and what is proved of them; None where weights stayed as they were fitted.
        error_on_grids: The output error with all constants on grids, where that was too much (products and quotients of many
            bits), so that they stayed as they were fitted; None elsewhere.
        unrounded: Why they stayed so, in words; empty elsewhere.
    """

    model: onnx.ModelProto
    layers: tuple[CalibratedLayer, ...]
    timesteps: int
    method: str
    samples: int
    output_error: float | None
    top1_agreement: float | None
    accuracy: dict[str, float] | None
    non_spiking: tuple[str, ...] = ()
    exact: Exact | None = None
    error_on_grids: float | None = None
    unrounded: str = ""

    def __repr__(self) -> str:
        return f"Calibration({self._told()})"

    def _repr_html_(self) -> str:
        return calibration_listing(self.to_dict()["layers"]).html(self._told())

    def summary(self) -> str:
        """The staircases that were chosen, and what was lost, as text."""
        return calibration_listing(self.to_dict()["layers"]).text(self._told())

    def _told(self) -> str:
        lost = "" if self.output_error is None else f", output error {percent(self.output_error)}"
        agreed = "" if self.top1_agreement is None else f", top-1 agreement {percent(self.top1_agreement)}"
        return (
            f"{things(len(self.layers), 'activation')}, {steps_in_words(self.timesteps, None)}{lost}{agreed}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the model, as JSON values."""
        return {
            "timesteps": self.timesteps,
            "method": self.method,
            "samples": self.samples,
            "output_error": self.output_error,
            "top1_agreement": self.top1_agreement,
            "accuracy": self.accuracy,
            "layers": [asdict(layer) for layer in self.layers],
            "non_spiking": list(self.non_spiking),
            "exact": None if self.exact is None else self.exact.to_dict(),
            "error_on_grids": self.error_on_grids,
            "unrounded": self.unrounded,
        }


def decibels(value: float) -> float | None:
    """A ratio as JSON can hold it."""
    return value if math.isfinite(value) else None
