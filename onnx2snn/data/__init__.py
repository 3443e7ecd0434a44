"""Data sets of any size: arrays by input name, streamed in batches with bounded memory.

    source (.npz, .npy, folder of shards, folder of images, mapping)
        ─▶ columns      one per input, and ``labels``: shape and type known, rows read in order
        ─▶ DataSet      checked against the model's inputs, handed out as batches

Nothing is ever unpickled, and no file is trusted: what a header announces is checked before it is read.
"""

from onnx2snn.data.columns import Column
from onnx2snn.data.dataset import Batch, DataSet
from onnx2snn.data.images import ImageOptions
from onnx2snn.data.result_writer import ResultWriter
from onnx2snn.data.sources import Source, open_data
from onnx2snn.data.specs import InputSpec, batch_of, input_specs

__all__ = [
    "Batch",
    "Column",
    "DataSet",
    "ImageOptions",
    "InputSpec",
    "ResultWriter",
    "Source",
    "batch_of",
    "input_specs",
    "open_data",
]
