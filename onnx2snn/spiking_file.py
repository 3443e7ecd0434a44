"""The file of a graph of neurons: functions, layer table, counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnx_graphsurgeon as gs

import onnx2snn
from onnx2snn.compile.schedule import make_schedule
from onnx2snn.dialect.functions import VERSION, attach_functions
from onnx2snn.dialect.layer_table import (
    Layer,
    NonSpikingOperator,
    described_as,
    write_counting_graph,
    write_layer_table,
)
from onnx2snn.dialect.macs import Macs, macs_of
from onnx2snn.dialect.neuron_layers import layers_of
from onnx2snn.dialect.synops import counting_graph
from onnx2snn.graph.exporter import declared_as, to_split_model
from onnx2snn.model.qonnx_definition import inlined
from onnx2snn.model.weights import SplitModel
from onnx2snn.pass_driver import Form
from onnx2snn.passes.rewrite.spike import network_timesteps


@dataclasses.dataclass(frozen=True)
class SpikingFile:
    """A converted network, and what is written of it.

    Attributes:
        network: With functions and metadata.
        layers: Its neurons.
        timesteps: T of the network.
        depth: D, layers on the longest way from an input to an output.
        macs: Multiply-accumulates of its ANN, by kind; None where sizes are open.
    """

    network: SplitModel
    layers: tuple[Layer, ...]
    timesteps: int
    depth: int
    macs: Mapping[str, int | None]


def spiking_file(
    graph: gs.Graph,
    source: onnx.ModelProto,
    form: Form,
    kept: Sequence[NonSpikingOperator],
    exact: frozenset[str],
    *,
    sample_axes: Mapping[str, int],
) -> SpikingFile:
    """Write ``graph``, whose neurons are IF nodes.

    Args:
        graph: Which.
        source: Whose inputs, outputs and descriptions the file has.
        form: How its neurons are written.
        kept: Operators between neurons that do not spike.
        exact: Tensors of the source whose neurons are proved to be exact (METHOD 14).
        sample_axes: By output of the source, where its samples lie; see :func:`onnx2snn.analysis.batch_axis.axes_of_outputs`.
    """
    network = to_split_model(graph)
    # What was kept of QONNX runs nowhere.
    network = dataclasses.replace(network, structure=inlined(network.structure))
    model = network.structure
    attach_functions(model, bias=form.bias, execution=form.execution, coding=form.coding)
    declared_as(model, source)
    described_as(model, source)
    schedule = make_schedule(model.graph.node, [info.name for info in model.graph.input])
    layers = tuple(
        dataclasses.replace(layer, phase=schedule.stages[layer.output], exact=layer.source_tensor in exact)
        for layer in layers_of(graph, form.coding)
    )
    write_counting_graph(model, counting_graph(model, layers))
    macs = macs_of(graph, layers)
    written = SpikingFile(network, layers, network_timesteps(graph, form.coding), schedule.depth, macs.total)
    table = _table(written, form, macs, kept)
    if sample_axes:
        table["sample_axes"] = dict(sample_axes)
    write_layer_table(model, table)
    model.producer_name = "onnx2snn"
    model.producer_version = onnx2snn.__version__
    return written


def _table(
    written: SpikingFile, form: Form, macs: Macs, kept: Sequence[NonSpikingOperator]
) -> dict[str, Any]:
    """What the file's metadata say of it."""
    opened = None in (*macs.total.values(), *macs.by_layer.values())
    return {
        "dialect": VERSION,
        "producer": f"onnx2snn {onnx2snn.__version__}",
        "timesteps": written.timesteps,
        "depth": written.depth,
        **dataclasses.asdict(form),
        "layers": [dataclasses.asdict(layer) for layer in written.layers],
        "outputs": [output.name for output in written.network.structure.graph.output],
        "macs": macs.total,
        "layer_macs": macs.by_layer,
        **({"open_macs": macs.unknown} if opened else {}),
        "non_spiking": [dataclasses.asdict(operator) for operator in kept],
    }
