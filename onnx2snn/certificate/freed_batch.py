"""A file for any number of samples, where its source fixes a batch of 1: declared so once it has been seen to be so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnx2snn.certificate.as_written import near
from onnx2snn.certificate.finished import LoadedFile, Witness
from onnx2snn.data import batch_of, input_specs
from onnx2snn.errors import SelfCheckError
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel

#: The name of the open axis.
BATCH = "N"


def with_open_batch(network: SplitModel, witness: Witness) -> SplitModel | None:
    """The network with an open batch; None where its source fixes none of 1, or two samples do not answer as each alone.

    What is kept between neurons, or stands behind the last of them, may mix what lies on axis 0: a softmax of the one sample
    that was squeezed there, say. So it is tried on two samples.

    1. An output has the rows of each sample, one after the other: its first axis is open too.
    2. It is the same for all samples: it stays as it is declared.
    """
    specs = input_specs(witness.source.structure)
    if not witness.outputs or batch_of(specs) != 1:
        return None
    samples = [witness.inputs, {name: np.roll(value, 1, axis=-1) for name, value in witness.inputs.items()}]
    opened = _opened(network, {output.name: 1 for output in network.structure.graph.output})
    try:
        alone = [LoadedFile(network)(sample) for sample in samples]
        both = LoadedFile(opened)({n: np.concatenate([s[n] for s in samples]) for n in samples[0]})
    except SelfCheckError:
        return None
    growing = {}
    for name, found in both.items():
        one, other = (answer[name] for answer in alone)
        if one.ndim and found.shape == (2 * len(one), *one.shape[1:]) and near(found, _joined(one, other)):
            growing[name] = len(one)
        elif not (found.shape == one.shape and near(found, one) and near(found, other)):
            return None
    return _opened(network, growing)


def _joined(one: Array, other: Array) -> Array:
    return np.concatenate([one, other])


def _opened(network: SplitModel, growing: Mapping[str, int]) -> SplitModel:
    """Inputs of any number of samples, and outputs with so many rows of each."""
    model = onnx.ModelProto()
    model.CopyFrom(network.structure)
    for value in model.graph.input:
        if value.name not in network.weights:
            _open(value, 1)
    for value in model.graph.output:
        if value.name in growing:
            _open(value, growing[value.name])
    return SplitModel(model, network.weights)


def _open(value: onnx.ValueInfoProto, rows: int) -> None:
    dims = value.type.tensor_type.shape.dim
    if dims:
        dims[0].dim_param = BATCH if rows == 1 else f"{rows}*{BATCH}"
