"""Training source networks for few time steps and few spikes; needs torch (extra ``train``)."""

from onnx2snn.training.exporting import export_onnx
from onnx2snn.training.qcfs import QCFS

__all__ = ["QCFS", "export_onnx"]
