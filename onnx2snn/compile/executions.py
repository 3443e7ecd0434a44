"""One converted network, written for one execution."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx

from onnx2snn.compile.counts import Counting
from onnx2snn.compile.draft import Draft
from onnx2snn.compile.fused import FusedWriter
from onnx2snn.compile.int8 import Int8Writer
from onnx2snn.compile.int8_kernels import has_exact_integers
from onnx2snn.compile.network import Network
from onnx2snn.compile.neuron_writer import Writer
from onnx2snn.compile.silent_constants import without_silence
from onnx2snn.compile.spike_sums import SPIKE_SUMS
from onnx2snn.compile.spiking import SpikingWriter
from onnx2snn.compile.step import write_step
from onnx2snn.compile.tracing import TracingWriter
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.dialect.layer_table import METADATA_KEY, described_as
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime.layer_records import COMPILED_KEY
from onnx2snn.runtime.open_sizes import open_tensors
from onnx2snn.runtime.target import ANYWHERE, Target


def write_execution(
    network: Network,
    execution: str,
    *,
    count: str = "nothing",
    target: Target = ANYWHERE,
) -> SplitModel:
    """The network in plain operators.

    Args:
        network: What is compiled; not changed.
        execution: ``spiking``, ``fused``, ``int8``, ``step`` or ``trace``.
        count: ``nothing``, ``spikes``, ``synops`` (and spikes), or ``levels``: outputs ``levels/<layer>``.
        target: Where it will run.

    Raises:
        InvalidModelError: it contradicts itself.
    """
    try:
        return _written(network, execution, count, target)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InvalidModelError(
            "this network cannot be compiled", found=str(error), remedy="convert the network again"
        ) from error


def _written(network: Network, execution: str, count: str, target: Target) -> SplitModel:
    network = replace(network, split=without_silence(network.split))
    table = network.table
    rate = table.get("coding", "binary") == "rate"
    if execution == "step" and rate:
        remedy = "compile it spiking, or convert it with the binary code"
        raise InvalidModelError("a rate-coded network is not streamed in phases", remedy=remedy)
    if rate and execution in ("fused", "int8"):
        execution = "spiking"  # a rate code has no shorter way
    wider = onnx.ModelProto()
    wider.CopyFrom(network.split.structure)
    draft = Draft(SplitModel(wider, network.split.weights))
    counting = Counting(wider, table, execution)
    if count == "levels":
        counting.add_levels()
    if count in ("spikes", "synops"):
        counting.add(draft.value, synops=count == "synops")
        counting.add_sizes(open_tensors(table))
    form = str(table.get("bias", "once"))
    # What is traced, and biases that enter at every step, are there to be studied.
    studied = execution == "trace" or form != "once"
    target = replace(target, plain=target.plain or studied)
    draft = Draft(SplitModel(wider, network.split.weights), target)
    if execution == "step":
        made, facts = write_step(draft, table, form=form)
    else:
        made, facts = _whole(draft, execution, table, form)
    facts |= {"execution": execution, "count": count, "alike": sorted(network.alike)}
    _describe(made.structure, network.split.structure, table, facts)
    left = {node.op_type for node in made.structure.graph.node if node.domain == DOMAIN}
    if left - ({SPIKE_SUMS} if target.sums else set()):
        raise AssertionError("an operator of the dialect is left")
    return made


def _whole(
    draft: Draft, execution: str, table: Mapping[str, Any], form: str
) -> tuple[SplitModel, dict[str, Any]]:
    """An execution that takes all time steps at once, and which of its tensors are trains."""
    if execution == "int8" and (draft.target.plain or not has_exact_integers(draft.target)):
        execution = "fused"
    writer: Writer
    if execution == "trace":
        writer = TracingWriter(draft, coding=table.get("coding", "binary"), bias=form)
        writer.run()
        return draft.finished(outputs=writer.outputs), {}
    if execution == "spiking":
        writer = SpikingWriter(draft, coding=table.get("coding", "binary"), bias=form)
    else:
        writer = {"fused": FusedWriter, "int8": Int8Writer}[execution](draft, bias=form)
    writer.run()
    trains = {layer["name"]: writer.stands_as(layer["output"]) for layer in table["layers"]}
    return draft.finished(), {"trains": {name: train for name, train in trains.items() if train is not None}}


def _describe(
    model: onnx.ModelProto, source: onnx.ModelProto, table: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """What a runtime has to know stands in the metadata, beside what its author has written there."""
    described_as(model, source)
    for key, value in ((METADATA_KEY, table), (COMPILED_KEY, facts)):
        model.metadata_props.add(key=key, value=json.dumps(value, sort_keys=True))
    del model.functions[:]
    model.producer_name = "onnx2snn"
