"""Executing spiking networks; needs NumPy and onnxruntime, and nothing else of onnx2snn's dependencies.

from onnx2snn.runtime import SpikingSession

session = SpikingSession("snn.onnx", execution="fused")
result = session.run({"image": x})
"""

from onnx2snn.runtime.energy import FLOAT32, INT8, Energy, EnergyTable
from onnx2snn.runtime.result import Result
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.runtime.stream import Stream
from onnx2snn.runtime.trace import Trace

__all__ = ["FLOAT32", "INT8", "Energy", "EnergyTable", "Result", "SpikingSession", "Stream", "Trace"]
