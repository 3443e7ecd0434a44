"""Accuracy and cost of a spiking network on a data set of any size."""

from onnx2snn.evaluation.evaluation import Evaluation, evaluate
from onnx2snn.evaluation.tally import Moments, Tally

__all__ = ["Evaluation", "Moments", "Tally", "evaluate"]
