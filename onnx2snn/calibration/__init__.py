"""Calibration: float ReLU networks become quantised ones of T time steps, before any spike."""

from onnx2snn.calibration.calibrate import CalibratedLayer, Calibration, calibrate

__all__ = ["CalibratedLayer", "Calibration", "calibrate"]
