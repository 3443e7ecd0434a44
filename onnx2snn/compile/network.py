"""A converted network, read without trusting it: what any file or tool may hand to those that compile it."""

from __future__ import annotations

import dataclasses
import mmap
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from onnx2snn.compile.draft import Array, is_neuron
from onnx2snn.dialect.functions import DOMAIN, OPERANDS
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.files import load_model
from onnx2snn.model.networks import Network as Network_
from onnx2snn.model.networks import named
from onnx2snn.model.reference import sampled_tensors
from onnx2snn.model.weights import SplitModel, element_type, is_large, structure_of
from onnx2snn.runtime.layer_records import COMPILED_KEY

_AGAIN = "convert the network again"


@dataclasses.dataclass(frozen=True)
class Network:
    """A converted network.

    Attributes:
        split: Its structure and its weights, which stay in their file.
        table: Its layer table.
        beside: Whether weights are in a file of their own.
        places: Where weights lie in files, by name.
    """

    split: SplitModel
    table: dict[str, Any]
    beside: bool = False
    places: dict[str, ExternalDataInfo] = dataclasses.field(default_factory=dict)

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        opsets = self.split.structure.opset_import
        return next(int(o.version) for o in opsets if o.domain in ("", "ai.onnx"))

    @cached_property
    def of_samples(self) -> frozenset[str]:
        """Tensors that depend on the samples; the others are the same for all of them, and are there once."""
        return frozenset(sampled_tensors(self.split))

    @property
    def alike(self) -> frozenset[str]:
        """Outputs, and layers by name, that do not depend on the samples."""
        names = {layer["output"]: layer["name"] for layer in self.table["layers"]}
        names |= {output: output for output in self.table["outputs"]}
        return frozenset(name for tensor, name in names.items() if tensor not in self.of_samples)


def is_compiled(model: onnx.ModelProto) -> bool:
    """Whether ``model`` is a compiled network."""
    return any(entry.key == COMPILED_KEY for entry in model.metadata_props)


def read_network(
    model: str | Path | bytes | onnx.ModelProto | SplitModel, *, or_compiled: bool = False
) -> Network:
    """Read a converted network.

    Args:
        model: What names or holds it.
        or_compiled: It may be compiled already.

    Raises:
        InvalidModelError: it is missing, damaged, no spiking network, or of a newer dialect.
    """
    if isinstance(model, SplitModel):
        table = read_layer_table(model.structure, compiled=or_compiled)
        found = Network(model, table)
        return found if or_compiled and is_compiled(model.structure) else _checked(found)
    if isinstance(model, bytes):
        model = _parsed(model)
    loaded = load_model(model, in_place=True)
    table = read_layer_table(loaded, compiled=or_compiled)
    own = os.path.realpath(model) if not isinstance(model, onnx.ModelProto) else ""
    places = {t.name: ExternalDataInfo(t) for t in loaded.graph.initializer if uses_external_data(t)}
    others = any(place.location != own for place in places.values())
    split = SplitModel(structure_of(loaded), _mapped(loaded, places))
    network = Network(split, table, others, {n: p for n, p in places.items() if n in split.weights})
    return network if or_compiled and is_compiled(loaded) else _checked(network)


def held_by(model: Network_) -> str | Path | onnx.ModelProto | SplitModel:
    """What names ``model``, or its structure and weights where it was made here: nothing is copied."""
    split = getattr(model, "network", None)
    changed = "model" in getattr(
        model, "__dict__", {}
    )  # the caller has looked at it, and may have changed it
    return split if isinstance(split, SplitModel) and not changed else named(model)


def _parsed(content: bytes) -> onnx.ModelProto:
    try:
        model = onnx.ModelProto()
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, whatever its implementation
        raise InvalidModelError("this is no ONNX file, or a damaged one", remedy=_AGAIN) from error
    return model


def _mapped(model: onnx.ModelProto, places: dict[str, ExternalDataInfo]) -> dict[str, Array]:
    """Large weights; those that lie in a file are mapped, all of a file at once."""
    maps: dict[str, mmap.mmap] = {}
    weights: dict[str, Array] = {}
    for tensor in model.graph.initializer:
        if not is_large(tensor):
            continue
        dtype = element_type(tensor)
        place = places.get(tensor.name)
        if place is None or dtype is None:
            weights[tensor.name] = numpy_helper.to_array(tensor)
            continue
        if place.location not in maps:
            with Path(place.location).open("rb") as stream:
                maps[place.location] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        count = int(np.prod(tensor.dims))
        flat = np.frombuffer(maps[place.location], dtype.newbyteorder("<"), count, place.offset or 0)
        weights[tensor.name] = flat.reshape(tuple(tensor.dims))
    return weights


def _checked(network: Network) -> Network:
    """Refuse what no converter has written.

    1. Functions of other domains: they could call each other without end.
    2. Neurons and readouts whose operands are not all there.
    3. Other neurons than those of the layer table, or other outputs.
    """
    model = network.split.structure
    foreign = sorted({function.domain for function in model.functions} - {DOMAIN})
    if foreign:
        raise _damaged(f"functions of another domain: {', '.join(foreign)[:80]}")
    for node in model.graph.node:
        if node.domain == DOMAIN:
            operands = OPERANDS.get(node.op_type, ())
            if len(node.input) != 1 + len(operands) or not all(node.input) or len(node.output) != 1:
                raise _damaged(f"{node.op_type[:80]} with {len(node.input)} operands")
    trains = sorted(node.output[0] for node in model.graph.node if is_neuron(node))
    if trains != sorted(layer["output"] for layer in network.table["layers"]):
        raise _damaged("the layer table does not name the network's neurons")
    missing = set(network.table["outputs"]) - {info.name for info in model.graph.output}
    if missing:
        raise _damaged(f"the layer table names outputs that it has not: {', '.join(missing)[:80]}")
    return network


def _damaged(found: str) -> InvalidModelError:
    return InvalidModelError(
        "this is no spiking network of onnx2snn, or a damaged one", found=found, remedy=_AGAIN
    )
