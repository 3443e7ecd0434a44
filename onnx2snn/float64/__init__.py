"""Models evaluated in float64: the stand-in for exact arithmetic, 29 bits finer than what networks compute in."""

from onnx2snn.float64.evaluator import Float64Network
from onnx2snn.float64.one_by_one import streamed

__all__ = ["Float64Network", "streamed"]
