"""Certificates: each conversion validated as a translation."""

from onnx2snn.certificate.result import Certificate, Defect, LayerCounts
from onnx2snn.certificate.verify import drawn_samples, verify

__all__ = ["Certificate", "Defect", "LayerCounts", "drawn_samples", "verify"]
