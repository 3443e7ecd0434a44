"""Certificates: each conversion validated as a translation."""

from onnx2snn.certificate.certificate import Certificate, Defect, LayerCounts
from onnx2snn.certificate.verification import verify

__all__ = ["Certificate", "Defect", "LayerCounts", "verify"]
