"""Training source networks for few time steps and few spikes; needs torch (extra ``train``).

    model = ...                                             any torch module
    replace_activations(model, levels=15)                   its ReLUs become QCFS: T = 4
    calibrate_thresholds(model, batches)
    with FineGrainedL1(model, 1e-5) as penalty:
        loss = cross_entropy(model(x), y) + penalty()       spikes cost something
    export_onnx(model, x, "ann.onnx")                       onnx2snn ann.onnx snn.onnx

or, from an ONNX file of any framework, :func:`finetune`.
"""

from onnx2snn.training.exporting import export_onnx
from onnx2snn.training.finetuning import finetune
from onnx2snn.training.pruning import SynapsePruning
from onnx2snn.training.qcfs import QCFS
from onnx2snn.training.records import Epoch, Finetuned
from onnx2snn.training.replacing import calibrate_thresholds, replace_activations
from onnx2snn.training.sparsity import FineGrainedL1, bit_slopes, cheapest_codes, popcount
from onnx2snn.training.spike_meter import SpikeMeter
from onnx2snn.training.synapse_counts import fan_out, operations, pressure

__all__ = [
    "QCFS",
    "Epoch",
    "FineGrainedL1",
    "Finetuned",
    "SpikeMeter",
    "SynapsePruning",
    "bit_slopes",
    "calibrate_thresholds",
    "cheapest_codes",
    "export_onnx",
    "fan_out",
    "finetune",
    "operations",
    "popcount",
    "pressure",
    "replace_activations",
]
