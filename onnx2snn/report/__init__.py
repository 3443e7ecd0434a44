"""The report: one self-contained page that shows what a network does, and proves that nothing was lost."""

from onnx2snn.report.write import write_report

__all__ = ["write_report"]
