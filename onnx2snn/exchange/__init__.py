"""Exchange with other spiking frameworks: converted networks in NIR, and a reader that runs them (extra ``nir``)."""

from onnx2snn.exchange.nir_file import export_nir
from onnx2snn.exchange.nir_package import require_nir
from onnx2snn.exchange.nir_reader import run_nir

__all__ = ["export_nir", "require_nir", "run_nir"]
