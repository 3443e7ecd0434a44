"""The report: one self-contained page that shows what a network does, and proves that nothing was lost.

gather      two networks and data ─▶ ReportFacts: numbers only (facts, topology, tally, sample, sweep)
figures     ReportFacts ─▶ drawings, each with its numbers in words
write       drawings ─▶ one page
"""

from onnx2snn.report.gather import gather
from onnx2snn.report.report_facts import ReportFacts, SweepPoint
from onnx2snn.report.sweep import read_sweep, run_sweep, sweep_size
from onnx2snn.report.write import require_libraries, write_page, write_report

__all__ = [
    "ReportFacts",
    "SweepPoint",
    "gather",
    "read_sweep",
    "require_libraries",
    "run_sweep",
    "sweep_size",
    "write_page",
    "write_report",
]
