"""Calibration: float ReLU networks become quantised ones of T time steps, before any spike.

1. :mod:`.preparing` finds the clipped lines of the float network;
2. :mod:`.statistics` looks at the data, in one pass;
3. :mod:`.layerwise` fits their staircases, one after the other, or :mod:`.thresholds` alone are chosen;
4. :mod:`.measure` says what is lost.
"""

from onnx2snn.calibration.calibrated import CalibratedLayer, Calibration
from onnx2snn.calibration.calibration import calibrate

__all__ = ["CalibratedLayer", "Calibration", "calibrate"]
