"""The layer table and the counting graph in a converted model's metadata."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from typing import Any

import onnx

from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.dialect.own_names import counted_by_own_names, with_own_names
from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime.layer_records import COMPILED_KEY
from onnx2snn.runtime.layer_records import TABLE_KEY as METADATA_KEY
from onnx2snn.runtime.session_file import table_of

__all__ = [
    "COUNTING_KEY",
    "METADATA_KEY",
    "Layer",
    "NonSpikingOperator",
    "check_pair",
    "described_as",
    "has_layer_table",
    "is_snn",
    "is_spiking",
    "read_counting_graph",
    "read_layer_table",
]
__all__ += ["write_counting_graph", "write_layer_table"]

COUNTING_KEY = "onnx2snn.counting"


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of neurons: one IF or TableIF node (METHOD 3, 11), as the layer table describes it.

    Attributes:
        name: The neuron node's name in the converted model.
        output: The train it writes there, (T·N, ...).
        source_nodes: The user's nodes that it replaces.
        source_tensor: The source's tensor whose values are ``scale``·k + ``offset``.
        neurons: Neurons for one sample; of size one along axes that are open.
        shape: Their shape, without the batch axis; None for a size that is dynamic.
        timesteps: ceil(log2(levels + 1)), the steps in which this layer can spike; in a rate code T = K.
        levels: K, the highest level.
        rounding: R of METHOD 1; one rule, or one per channel; ``table`` where thresholds are those of a table.
        threshold: θ in units of the source's pre-activation; one value, or one per channel; None of a table.
        scale: α.
        offset: o.
        fan_out: Synapses that a spike reaches, on average, borders not subtracted.
        unit: Of a neuron with a table, what stands for θ at its potential; others hold it in their thresholds.
        phase: It spikes in time steps phase·T + 1 … (phase + 1)·T of a pipeline.
        analog: By operator, entries of a sample that its dendrite computes of potentials (exp, sqrt, products): no spike's work.
        exact: Whether it is proved that float32 rounds nothing in front of it (METHOD 14): any execution answers the same levels.
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
    threshold: float | list[float] | None
    scale: float | list[float]
    offset: float | list[float]
    fan_out: float
    unit: float | list[float] | None = None
    phase: int = 0
    analog: dict[str, int] = dataclasses.field(default_factory=dict)
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class NonSpikingOperator:
    """An operator between neurons that is evaluated on decoded values (``--hybrid``)."""

    name: str
    operator: str
    reason: str


def write_layer_table(model: onnx.ModelProto, table: dict[str, Any]) -> None:
    """Put the layer table into ``model``'s metadata, in place."""
    _write(model, METADATA_KEY, json.dumps(table, sort_keys=True))


def write_counting_graph(model: onnx.ModelProto, fragment: onnx.GraphProto) -> None:
    """Put the counting graph into ``model``'s metadata, in place (see :mod:`onnx2snn.dialect.synops`)."""
    _write(model, COUNTING_KEY, base64.b64encode(fragment.SerializeToString(deterministic=True)).decode())


def read_counting_graph(model: onnx.ModelProto) -> onnx.GraphProto | None:
    """The counting graph of a converted model, in the names that its layers have now; None where it has none.

    Raises:
        Exception: whatever the libraries raise at what is damaged.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if COUNTING_KEY not in metadata:
        return None
    fragment = onnx.GraphProto.FromString(base64.b64decode(metadata[COUNTING_KEY], validate=True))
    written = table_of(metadata)
    return counted_by_own_names(fragment, written["layers"], with_own_names(written, model.graph)["layers"])


def described_as(model: onnx.ModelProto, source: onnx.ModelProto) -> None:
    """Let ``model`` say of itself, in place, what the author of ``source`` has: texts, version, metadata of his own."""
    model.doc_string, model.graph.doc_string = source.doc_string, source.graph.doc_string
    model.model_version = source.model_version
    for entry in source.metadata_props:
        if not entry.key.startswith(METADATA_KEY):
            _write(model, entry.key, entry.value)


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


def is_spiking(model: onnx.ModelProto) -> bool:
    """Whether ``model`` is a converted network, or a compiled one, which is no source to convert."""
    return is_snn(model) or any(entry.key == COMPILED_KEY for entry in model.metadata_props)


def has_layer_table(model: onnx.ModelProto) -> bool:
    """Whether its metadata holds one: it was converted, and perhaps compiled."""
    return any(entry.key == METADATA_KEY for entry in model.metadata_props)


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
    if not is_spiking(source[1]):
        return
    if not is_spiking(snn[1]):
        raise InvalidModelError(
            f"{first} is the spiking network and {second} is none: they are swapped",
            remedy=f"the network that was converted comes first: {second} {first}",
        )
    raise InvalidModelError(
        f"{first} is a spiking network already", remedy="give the network that it was made from"
    )


def read_layer_table(model: onnx.ModelProto, *, compiled: bool = False) -> dict[str, Any]:
    """The layer table of a converted model, in the names that its layers have now (:mod:`onnx2snn.dialect.own_names`).

    Args:
        model: The model.
        compiled: Whether it may be a compiled one, too.

    Raises:
        InvalidModelError: it has none, or one that a newer version wrote.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    remedy = "give the file that onnx2snn wrote"
    if METADATA_KEY not in metadata and is_snn(model):
        found = "none of its metadata: another tool has dropped it"
        raise InvalidModelError("this spiking network has lost its layer table", found=found, remedy=remedy)
    table = table_of(metadata)
    if is_snn(model):
        return with_own_names(table, model.graph)
    if compiled and COMPILED_KEY in metadata:
        return table
    if COMPILED_KEY in metadata:
        raise InvalidModelError(
            "this spiking network is compiled for running it",
            remedy="give the file that it was compiled from",
        )
    found = "plain operators: another tool has written its functions out"
    raise InvalidModelError("this spiking network has lost its neurons", found=found, remedy=remedy)
