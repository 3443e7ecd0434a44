"""Certificates: each conversion validated as a translation."""

from onnx2snn.certificate.result import Certificate, Defect, LayerCounts
from onnx2snn.certificate.samples import COUNT as DRAWN
from onnx2snn.certificate.verify import drawn_samples, verify

__all__ = ["DRAWN", "Certificate", "Defect", "LayerCounts", "drawn_samples", "verify"]
