"""Certificates: each conversion validated as a translation."""

from onnx2snn.certificate.result import Certificate, Defect, LayerCounts
from onnx2snn.certificate.verify import verify

__all__ = ["Certificate", "Defect", "LayerCounts", "verify"]
