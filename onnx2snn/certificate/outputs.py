"""What rounding may do to an output, where all levels before it are equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnx2snn.certificate.judge import CONSTANTS, UNBOUNDED
from onnx2snn.certificate.potentials import Potentials, Wide
from onnx2snn.certificate.rounding import EXACT, UNIT, UNIT64, gamma


@dataclass(frozen=True)
class OutputJudge:
    """The readout of one output.

    Attributes:
        timesteps: T.
    """

    timesteps: int

    def maps(self, p: Potentials) -> Wide:
        """How far both outputs may be apart in exact arithmetic, for the rounding of constants (N, ...)."""
        if p.magnitude is None:
            return self._measured(p)
        m = (CONSTANTS + p.rounding.constants) * UNIT + 2 * (p.rounding.terms + 4) * UNIT64
        return m * p.magnitude

    def allowed(self, p: Potentials) -> Wide:
        """How far the outputs that both networks answered may be apart, (N, ...)."""
        if p.magnitude is None:
            return self._measured(p)
        n = p.rounding.terms
        source = np.where(p.magnitude <= EXACT * p.rounding.quantum, 0.0, gamma(n + 1))
        spiking = np.where(p.magnitude <= EXACT * p.spiking_quantum, 0.0, gamma(n + 2 * self.timesteps + 6))
        return (source + spiking) * p.magnitude + self.maps(p)

    def _measured(self, p: Potentials) -> Wide:
        largest = np.max(np.abs(p.source), axis=tuple(range(1, p.source.ndim)), keepdims=True, initial=0)
        return np.broadcast_to(UNBOUNDED * largest, p.source.shape)
