"""One converted network, written for one execution."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import onnx

from onnx2snn.compile.counts import Counting
from onnx2snn.compile.draft import Draft
from onnx2snn.compile.fused import FusedWriter
from onnx2snn.compile.int8 import Int8Writer
from onnx2snn.compile.int8_kernels import integer_kernels_are_exact
from onnx2snn.compile.network import Network
from onnx2snn.compile.neuron_writer import Writer
from onnx2snn.compile.spiking import SpikingWriter
from onnx2snn.compile.step import write_step
from onnx2snn.compile.tracing import TracingWriter
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.dialect.layer_table import METADATA_KEY, described_as
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime.layer_records import COMPILED_KEY
from onnx2snn.runtime.open_sizes import open_tensors


def write_execution(
    network: Network,
    execution: str,
    *,
    count: str = "nothing",
    growth: float = 2.0,
    plain: bool = False,
    blocked: bool = False,
) -> SplitModel:
    """The network in plain operators.

    Args:
        network: What is compiled; not changed.
        execution: ``spiking``, ``fused``, ``int8``, ``step`` or ``trace``.
        count: ``nothing``, ``spikes``, ``synops`` (and spikes), or ``levels``: outputs ``levels/<layer>``.
        growth: How many times its kernel's 8-bit weights a matrix may hold that is faster; 0: weights stay as they are.
        plain: Nothing is rewritten for speed.
        blocked: Levels are rounded in onnxruntime's blocked layout: faster there on CPUs, and slower elsewhere.

    Raises:
        InvalidModelError: it contradicts itself.
    """
    try:
        return _written(network, execution, count, growth, plain=plain, blocked=blocked)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InvalidModelError(
            "this network cannot be compiled", found=str(error), remedy="convert the network again"
        ) from error


def _written(
    network: Network, execution: str, count: str, growth: float, *, plain: bool, blocked: bool
) -> SplitModel:
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
        counting.add_spikes()
        counting.add_sizes(open_tensors(table))
    if count == "synops":
        counting.add_synops(draft.value)
    draft = Draft(SplitModel(wider, network.split.weights), growth=growth)
    form = str(table.get("bias", "once"))
    if execution == "step":
        made, facts = write_step(draft, table, form=form)
    else:
        made, facts = _whole(draft, execution, table, blocked=blocked, bias=form, plain=plain)
    facts |= {"execution": execution, "count": count, "alike": sorted(network.alike)}
    _describe(made.structure, network.split.structure, table, facts)
    return made


def _whole(
    draft: Draft, execution: str, table: Mapping[str, Any], *, blocked: bool, **options: Any
) -> tuple[SplitModel, dict[str, Any]]:
    """An execution that takes all time steps at once, and which of its tensors are trains."""
    if execution == "int8" and (
        options["plain"] or options["bias"] != "once" or not integer_kernels_are_exact()
    ):
        execution = "fused"
    writer: Writer
    if execution == "trace":
        writer = TracingWriter(draft, coding=table.get("coding", "binary"), **options)
        writer.run()
        return draft.finished(outputs=writer.outputs), {}
    if execution == "spiking":
        writer = SpikingWriter(draft, coding=table.get("coding", "binary"), **options)
    else:
        writer = {"fused": FusedWriter, "int8": Int8Writer}[execution](draft, blocked=blocked, **options)
    writer.run()
    return draft.finished(), {
        "trains": {layer["name"]: writer.stands_as(layer["output"]) for layer in table["layers"]}
    }


def _describe(
    model: onnx.ModelProto, source: onnx.ModelProto, table: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """What a runtime has to know stands in the metadata, beside what its author has written there."""
    described_as(model, source)
    for key, value in ((METADATA_KEY, table), (COMPILED_KEY, facts)):
        model.metadata_props.add(key=key, value=json.dumps(value, sort_keys=True))
    if any(node.domain == DOMAIN for node in model.graph.node):
        raise AssertionError("an operator of the dialect is left")
    del model.functions[:]
    model.producer_name = "onnx2snn"
