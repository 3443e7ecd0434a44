"""The report's figures: each drawn from facts, with its numbers in words."""

from onnx2snn.report.figures.costs import energy_bars, sweep_lines
from onnx2snn.report.figures.drawing import Drawing
from onnx2snn.report.figures.picture import input_pictures
from onnx2snn.report.figures.spikes import potentials, raster
from onnx2snn.report.figures.spread import bits, levels

__all__ = [
    "Drawing",
    "bits",
    "energy_bars",
    "input_pictures",
    "levels",
    "potentials",
    "raster",
    "sweep_lines",
]
