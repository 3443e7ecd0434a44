"""Sizes that a network leaves open, by the data that it is given: neurons and multiply-accumulates of one sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


def open_tensors(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the tensors whose sizes decide what ``table`` leaves open; none where it leaves nothing open."""
    trains = [layer["output"] for layer in table["layers"] if None in layer["shape"]]
    weighted = [entry["tensor"] for entry in table.get("open_macs", ())]
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
    macs, by_layer = dict(table.get("macs", {})), dict(table.get("layer_macs", {}))
    for held in (macs, by_layer):
        held.update({name: 0 for name, known in held.items() if known is None})
    for entry in table.get("open_macs", ()):
        spent = math.prod(sizes[entry["tensor"]]) * entry["factor"]
        for key in entry["of"]:
            macs[key] += spent
        if entry["layer"] is not None:
            by_layer[entry["layer"]] += spent
    layers = [_sized(layer, sizes) for layer in table["layers"]]
    return {**table, "layers": layers, "macs": macs, "layer_macs": by_layer}


def _sized(layer: Mapping[str, Any], sizes: Mapping[str, list[int]]) -> dict[str, Any]:
    """Rows of a sample, where it has several, stand in front of the sizes of a row."""
    if None not in layer["shape"]:
        return dict(layer)
    found = sizes[layer["output"]]
    shape = [*layer["shape"][: len(layer["shape"]) - len(found)], *found]
    return {**layer, "shape": shape, "neurons": int(np.prod(shape))}
