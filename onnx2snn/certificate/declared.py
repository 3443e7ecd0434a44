"""What a converted file declares beside its synapses: the bodies of its neurons, and how to count synaptic operations."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnx2snn.certificate.bodies import same_function
from onnx2snn.data import DataSet
from onnx2snn.dialect.functions import DOMAIN, VERSION, function_body
from onnx2snn.dialect.layer_table import COUNTING_KEY, Layer, read_layer_table, write_counting_graph
from onnx2snn.dialect.synops import counting_graph
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import Array
from onnx2snn.model.files import save_model
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime import Result, SpikingSession

#: Samples on which synaptic operations are counted in two ways.
COUNTED = 4


def check_declared(network: SplitModel, samples: DataSet) -> None:
    """Compare with what the dialect says.

    Raises:
        InvalidModelError: a neuron computes something else in other runtimes than here, or synaptic operations are
            counted of another network.
    """
    table = read_layer_table(network.structure)
    _check_bodies(network.structure, table)
    _check_counting(network, table, samples)


def _check_bodies(converted: onnx.ModelProto, table: dict[str, Any]) -> None:
    """Our runtime puts its own bodies in place of the file's; whoever runs the file as it is has to get the same.

    Dialect 1 wrote other bodies; files of it are held to their answers alone.
    """
    if table["dialect"] < VERSION:
        return
    opset = next(o.version for o in converted.opset_import if o.domain in ("", "ai.onnx"))
    held = {f.name: f for f in converted.functions if f.domain == DOMAIN}
    execution, bias = str(table.get("execution", "spiking")), str(table.get("bias", "once"))
    for name in sorted({node.op_type for node in converted.graph.node if node.domain == DOMAIN}):
        try:
            body = function_body(
                name, timesteps=table["timesteps"], execution=execution, bias=bias, opset=opset
            )
        except ValueError as error:
            raise _foreign(name, str(error)) from error
        if name not in held:
            raise _foreign(name, "no body: another tool has dropped the functions of the file")
        if not same_function(held[name], body):
            raise _foreign(name, "another body than the dialect gives it")


def _foreign(operator: str, found: str) -> InvalidModelError:
    return InvalidModelError(
        "the neurons of this model are not those of the dialect",
        operator=operator,
        found=found,
        remedy="convert the source again",
    )


def _check_counting(network: SplitModel, table: dict[str, Any], samples: DataSet) -> None:
    stored = next((e.value for e in network.structure.metadata_props if e.key == COUNTING_KEY), None)
    if stored is None:
        return
    remedy = "convert the source again"
    try:
        fragment = onnx.GraphProto.FromString(base64.b64decode(stored, validate=True))
        fresh = counting_graph(network.structure, [Layer(**entry) for entry in table["layers"]])
    except Exception as error:  # a damaged file breaks either in its own way
        raise InvalidModelError("the counting graph of this model is damaged", remedy=remedy) from error
    if fragment == fresh:
        return
    inputs = next(samples.batches(COUNTED)).inputs
    other = onnx.ModelProto()
    other.CopyFrom(network.structure)
    write_counting_graph(other, fresh)
    ours, theirs = _counted(SplitModel(other, network.weights), inputs), _counted(network, inputs)
    for name, count in ours.synops.items():
        if not np.array_equal(count, theirs.synops.get(name, np.zeros(0))):
            raise InvalidModelError(
                "the counting graph of this model is not that of its synapses", node=name, remedy=remedy
            )


def _counted(network: SplitModel, inputs: Mapping[str, Array]) -> Result:
    """What a network spends, as its own counting graph has it; written to a file, as large networks have to be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snn.onnx"
        save_model(network, path)
        return SpikingSession(path, execution="fused").run(inputs)
