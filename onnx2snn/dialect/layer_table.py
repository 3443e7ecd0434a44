"""The SNN dialect: ONNX functions of the domain ``onnx2snn``, and the layer table in the model's metadata.

The bodies themselves live in :mod:`onnx2snn.runtime.bodies`, so that a device without the onnx package can swap them.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from typing import Any

import onnx

from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime.bodies import function_body
from onnx2snn.runtime.layer_table import read_table

DOMAIN = "onnx2snn"
VERSION = 1
METADATA_KEY = "onnx2snn"
COUNTING_KEY = "onnx2snn.counting"


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of neurons: one IF node (METHOD 3), as the layer table describes it.

    Attributes:
        name: The IF node's name in the converted model.
        output: The train it writes there, (T·N, ...).
        source_nodes: The user's nodes that it replaces.
        source_tensor: The source's tensor whose values are ``scale``·k + ``offset``.
        neurons: Neurons for one sample; of size one along axes that are open.
        shape: Their shape, without the batch axis; None for a size that is dynamic.
        timesteps: ceil(log2(levels + 1)), the steps in which this layer can spike; in a rate code T = K.
        levels: K, the highest level.
        rounding: R of METHOD 1; one rule, or one per channel.
        threshold: θ in units of the source's pre-activation; one value, or one per channel.
        scale: α.
        offset: o.
        fan_out: Synapses that a spike reaches, on average, borders not subtracted.
    """

    name: str
    output: str
    source_nodes: list[str]
    source_tensor: str
    neurons: int
    shape: list[int | None]
    timesteps: int
    levels: int
    rounding: str | list[str]
    threshold: float | list[float]
    scale: float | list[float]
    offset: float | list[float]
    fan_out: float


@dataclasses.dataclass(frozen=True)
class NonSpikingOperator:
    """An operator between neurons that is evaluated on decoded values (``--hybrid``)."""

    name: str
    operator: str
    reason: str


def attach_functions(
    model: onnx.ModelProto, *, bias: str = "once", execution: str = "spiking", coding: str = "binary"
) -> None:
    """Give ``model`` the bodies of the dialect's functions that its nodes call, in place."""
    used = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    if not used:
        return
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    kept = [f for f in model.functions if f.domain != DOMAIN]
    del model.functions[:]
    model.functions.extend(kept)
    for name in sorted(used):
        body = function_body(name, execution=execution, bias=bias, opset=opset, coding=coding)
        model.functions.append(onnx.FunctionProto.FromString(body))
    if not any(o.domain == DOMAIN for o in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))


def write_layer_table(model: onnx.ModelProto, table: dict[str, Any]) -> None:
    """Put the layer table into ``model``'s metadata, in place."""
    _write(model, METADATA_KEY, json.dumps(table, sort_keys=True))


def write_counting_graph(model: onnx.ModelProto, fragment: onnx.GraphProto) -> None:
    """Put the counting graph into ``model``'s metadata, in place (see :mod:`onnx2snn.dialect.synops`)."""
    _write(model, COUNTING_KEY, base64.b64encode(fragment.SerializeToString(deterministic=True)).decode())


def _write(model: onnx.ModelProto, key: str, value: str) -> None:
    for entry in list(model.metadata_props):
        if entry.key == key:
            model.metadata_props.remove(entry)
    entry = model.metadata_props.add()
    entry.key = key
    entry.value = value


def is_snn(model: onnx.ModelProto) -> bool:
    """Whether ``model`` holds operators of the dialect."""
    return any(node.domain == DOMAIN for node in model.graph.node)


def check_pair(source: tuple[object, onnx.ModelProto], snn: tuple[object, onnx.ModelProto]) -> None:
    """Refuse a network and its spiking twin that are the wrong way round, or are not one of each.

    Args:
        source: What names the network that was converted (its path, or the model itself), and the model.
        snn: Likewise of the converted network.

    Raises:
        InvalidModelError: it names the files, and what to type.
    """
    first, second = (
        name if isinstance(name, (str, os.PathLike)) else "the model" for name, _ in (source, snn)
    )
    if not is_snn(source[1]):
        return
    if not is_snn(snn[1]):
        raise InvalidModelError(
            f"{first} is the spiking network and {second} is none: they are swapped",
            remedy=f"the network that was converted comes first: {second} {first}",
        )
    raise InvalidModelError(
        f"{first} is a spiking network already", remedy="give the network that it was made from"
    )


def read_layer_table(model: onnx.ModelProto) -> dict[str, Any]:
    """The layer table of a converted model.

    Raises:
        InvalidModelError: it has none, or one that a newer version wrote.
    """
    text = next((e.value for e in model.metadata_props if e.key == METADATA_KEY), None)
    remedy = "give the file that onnx2snn wrote"
    if text is None and not is_snn(model):
        raise InvalidModelError(
            "this model is no spiking network of onnx2snn",
            remedy="convert it first: onnx2snn in.onnx out.onnx",
        )
    if text is None:
        found = "none of its metadata: another tool has dropped it"
        raise InvalidModelError("this spiking network has lost its layer table", found=found, remedy=remedy)
    if not is_snn(model):
        found = "plain operators: another tool has written its functions out"
        raise InvalidModelError("this spiking network has lost its neurons", found=found, remedy=remedy)
    try:
        table = read_table(text, VERSION)
    except ValueError as error:
        raise InvalidModelError(
            "the layer table of this model is damaged", found=str(error), remedy=remedy
        ) from error
    if table["dialect"] > VERSION:
        found = f"version {table['dialect']}"
        raise InvalidModelError(
            "this model was written in a newer dialect", found=found, remedy="upgrade onnx2snn"
        )
    return table
