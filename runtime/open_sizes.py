"""Sizes that a network leaves open, by the data that it is given: neurons and multiply-accumulates of one sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.layer_records import LayerEntry, OpenEntry

Array: TypeAlias = NDArray[Any]


def open_tensors(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the tensors whose sizes decide what ``table`` leaves open; none where it leaves nothing open."""
    layers: Sequence[LayerEntry] = table["layers"]
    entries: Sequence[OpenEntry] = table.get("open_macs", ())
    trains = [layer["output"] for layer in layers if None in layer["shape"]]
    weighted = [entry["tensor"] for entry in entries]
    return tuple(dict.fromkeys([*trains, *weighted]))


def with_sizes(
    table: Mapping[str, Any], tensors: Sequence[str], found: Mapping[str, Array]
) -> dict[str, Any]:
    """``table`` with the neurons and multiply-accumulates that its network has for these sizes.

    Args:
        table: Of the network.
        tensors: Its :func:`open_tensors`.
        found: ``sizes/<number>``, the sizes of each of these for one sample.
    """
    sizes = {name: [int(s) for s in found[f"sizes/{i}"]] for i, name in enumerate(tensors)}
    entries: Sequence[OpenEntry] = table.get("open_macs", ())
    macs, by_layer = _known(table.get("macs", {})), _known(table.get("layer_macs", {}))
    for entry in entries:
        spent = math.prod(sizes[entry["tensor"]]) * entry["factor"]
        for key in entry["of"]:
            macs[key] += spent
        if entry["layer"] is not None:
            by_layer[entry["layer"]] += spent
    layers: list[dict[str, Any]] = [_sized(layer, sizes) for layer in table["layers"]]
    return {**table, "layers": layers, "macs": macs, "layer_macs": by_layer}


def _known(macs: Mapping[str, int | None]) -> dict[str, int]:
    """What is not known yet is counted from 0."""
    return {name: known or 0 for name, known in macs.items()}


def _sized(layer: Mapping[str, Any], sizes: Mapping[str, list[int]]) -> dict[str, Any]:
    """Rows of a sample, where it has several, stand in front of the sizes of a row."""
    if None not in layer["shape"]:
        return dict(layer)
    found = sizes[layer["output"]]
    shape = [*layer["shape"][: len(layer["shape"]) - len(found)], *found]
    return {**layer, "shape": shape, "neurons": int(np.prod(shape))}
