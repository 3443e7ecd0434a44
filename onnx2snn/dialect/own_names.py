"""Layers of a file whose names another tool has changed: found again by their neurons' names, or by their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from onnx2snn.dialect.functions import COUNT, DOMAIN, NEURONS, SYNOPS


@dataclass(frozen=True)
class FoundLayer:
    """A layer and the neuron that stands for it.

    Attributes:
        name: In the layer table.
        train: Likewise.
        node: The neuron, under the names that it has now.
    """

    name: str
    train: str
    node: onnx.NodeProto

    @property
    def changed(self) -> bool:
        """Whether the table has other names."""
        return (self.name, self.train) != (self.node.name, self.node.output[0])


def found_layers(graph: onnx.GraphProto, layers: Iterable[Mapping[str, Any]]) -> list[FoundLayer]:
    """The neuron of each layer, in their order; nothing where there is any doubt.

    1. By the names of neurons: tools that simplify a file name tensors after those that they remove, and keep operators' names.
    2. Where these are others too: by what the table says of each layer (its place behind other layers, levels, rounding) as
       long as no two have all of that in common.
    """
    entries = list(layers)
    nodes = [n for n in graph.node if n.domain == DOMAIN and n.op_type in NEURONS and len(n.output) == 1]
    if len(nodes) != len(entries):
        return []
    names = {node.name: node for node in nodes}
    if set(names) == {entry["name"] for entry in entries} and len(names) == len(nodes):  # 1
        return [FoundLayer(e["name"], e["output"], names[e["name"]]) for e in entries]
    stages = _stages(graph)
    there = [(_described(node, stages), node) for node in nodes]  # 2
    listed = [(e["phase"], e["levels"], _text(e["rounding"])) for e in entries if "phase" in e]
    by_facts: dict[Hashable, onnx.NodeProto] = dict(there)
    if Counter(facts for facts, _ in there) != Counter(listed) or len(by_facts) != len(nodes):
        return []
    return [
        FoundLayer(e["name"], e["output"], by_facts[facts]) for e, facts in zip(entries, listed, strict=True)
    ]


def with_own_names(table: dict[str, Any], graph: onnx.GraphProto) -> dict[str, Any]:
    """The layer table in the names that the file has now; itself where it has them already, or where there is doubt."""
    changed = {one.name: one.node for one in found_layers(graph, table["layers"]) if one.changed}
    if not changed:
        return table
    names = {old: node.name for old, node in changed.items()}
    trains = {e["output"]: changed[e["name"]].output[0] for e in table["layers"] if e["name"] in changed}
    layers = [
        entry
        | {
            "name": names.get(entry["name"], entry["name"]),
            "output": trains.get(entry["output"], entry["output"]),
        }
        for entry in table["layers"]
    ]
    renamed: dict[str, Any] = {"layers": layers}
    if isinstance(table.get("layer_macs"), dict):
        renamed["layer_macs"] = {names.get(name, name): count for name, count in table["layer_macs"].items()}
    if isinstance(table.get("open_macs"), list):
        renamed["open_macs"] = [
            one
            | {
                "layer": names.get(one["layer"], one["layer"]),
                "tensor": trains.get(one["tensor"], one["tensor"]),
            }
            for one in table["open_macs"]
        ]
    return table | renamed


def counted_by_own_names(
    fragment: onnx.GraphProto, written: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]]
) -> onnx.GraphProto:
    """A counting graph in the names that the layers have now, in place.

    Args:
        fragment: It.
        written: Layers as the file's metadata have them.
        own: The same as they are called now.
    """
    names: dict[str, str] = {}
    for old, new in zip(written, own, strict=True):
        names[COUNT.format(old["output"])] = COUNT.format(new["output"])
        names[SYNOPS.format(old["name"])] = SYNOPS.format(new["name"])
    for node in fragment.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]
    for info in (*fragment.input, *fragment.output, *fragment.value_info):
        info.name = names.get(info.name, info.name)
    return fragment


def _stages(graph: onnx.GraphProto) -> dict[str, int]:
    """By tensor, how many layers of neurons lie before it, itself counted; nodes stand in any order, and in circles none is."""
    made = {name for node in graph.node for name in node.output if name}
    stages: dict[str, int] = {}
    waiting, left = list[onnx.NodeProto](graph.node), 0
    while waiting and len(waiting) != left:
        left, later = len(waiting), []
        for node in waiting:
            if any(name in made and name not in stages for name in node.input):
                later.append(node)
                continue
            before = max((stages.get(name, 0) for name in node.input), default=0)
            stage = before + (node.domain == DOMAIN and node.op_type in NEURONS)
            stages.update((name, stage) for name in node.output)
        waiting = later
    return stages


def _described(node: onnx.NodeProto, stages: Mapping[str, int]) -> Hashable:
    held = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return stages.get(node.output[0]), held.get("levels"), _text(held.get("rounding", b"table"))


def _text(rule: Any) -> Hashable:
    if isinstance(rule, list):
        return tuple(map(_text, rule))
    return rule.decode() if isinstance(rule, bytes) else rule
