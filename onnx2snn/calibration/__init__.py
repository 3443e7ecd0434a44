"""Calibration: float networks become quantised ones of T time steps, before any spike.

1. :mod:`.preparing` finds the places of staircases in the float network: clipped lines (:mod:`.lines`), and what enters synapses
   or products (:mod:`.quantiser_places`);
2. :mod:`.statistics` and :mod:`.ranges` look at the data, in one pass;
3. :mod:`.layerwise` fits their staircases, one after the other, or :mod:`.thresholds` alone are chosen;
4. :mod:`.measure` says what is lost.
"""

from onnx2snn.calibration.calibrated import CalibratedLayer, Calibration
from onnx2snn.calibration.calibration import calibrate

__all__ = ["CalibratedLayer", "Calibration", "calibrate"]
