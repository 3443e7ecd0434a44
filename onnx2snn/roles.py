"""What becomes of each node of a source: neurons, synapses, moves of spikes, work on analog values; told to viewers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
import onnx_graphsurgeon as gs

from onnx2snn.activations.findings import Rejected
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import Kind
from onnx2snn.graph.core import origin
from onnx2snn.operators.linear import is_neuron, is_weighted

#: What spikes do comes first: a node that stands for several things is what the first of them is.
ROLES = ("obstacle", "neuron", "synapses", "spikes", "analog", "constant")
SPIKING = ("neuron", "synapses", "spikes")

_SAID = {
    "neuron": "spiking: part of a neuron",
    "synapses": "spiking: synapses",
    "spikes": "spiking: moves, adds or selects spikes",
    "analog": "analog: works on values of the input, on potentials, or on the readout",
    "constant": "computed once",
}


@dataclass(frozen=True)
class Share:
    """How much of a network spikes.

    Attributes:
        nodes: Of the source, by role (``ROLES``); those of ``constant`` carry no signal.
        macs: Multiply-accumulates of one sample: ``ann``, and the ``analog`` among them; None where a size is open.
    """

    nodes: Mapping[str, int]
    macs: Mapping[str, int | None]

    @property
    def of_nodes(self) -> float:
        """Between 0 and 1."""
        signals = sum(count for role, count in self.nodes.items() if role != "constant")
        return sum(self.nodes.get(role, 0) for role in SPIKING) / max(signals, 1)

    @property
    def of_macs(self) -> float | None:
        """Between 0 and 1; None where a size is open."""
        ann, analog = self.macs["ann"], self.macs["analog"]
        return None if ann is None or analog is None else 1 - analog / max(ann, 1)


def roles_of(graph: gs.Graph) -> dict[str, str]:
    """By name of the user's node, what ``graph`` makes of it."""
    kinds = facts(graph).kinds

    def role_of(node: gs.Node) -> str:
        if is_neuron(node):
            return "neuron"
        spikes = any(kinds.get(id(tensor)) is Kind.TRAIN for tensor in node.outputs)
        return "analog" if not spikes else "synapses" if is_weighted(node) else "spikes"

    roles = [(name, role_of(node)) for node in graph.nodes for name in origin(node)]
    return dict(sorted(roles, key=lambda told: ROLES.index(told[1]), reverse=True))  # the first of them stays


def share_of(
    model: onnx.ModelProto,
    roles: Mapping[str, str],
    obstacles: Sequence[Rejected],
    macs: Mapping[str, int | None],
) -> Share:
    """Of the nodes of ``model``, and of its multiply-accumulates."""
    named = _named(model, roles, obstacles)
    counts = Counter(named.values())
    held = {key: macs.get(key) for key in ("ann", "analog")}
    return Share({role: counts[role] for role in ROLES if counts[role]}, held)


def tagged(
    model: onnx.ModelProto, roles: Mapping[str, str], obstacles: Sequence[Rejected]
) -> onnx.ModelProto:
    """A copy of ``model``; the description of each node says what becomes of it, which viewers (Netron) show."""
    reasons = {miss.node: f"not spiking: {miss.reason}; {miss.remedy}" for miss in obstacles}
    named = _named(model, roles, obstacles)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        name = _name(node)
        said = reasons.get(name) or _SAID[named[name]]
        node.doc_string = f"{said}\n{node.doc_string}".strip()
    return copy


def _named(model: onnx.ModelProto, roles: Mapping[str, str], obstacles: Sequence[Rejected]) -> dict[str, str]:
    known = {**roles, **{miss.node: "obstacle" for miss in obstacles}}
    return {_name(node): known.get(_name(node), "constant") for node in model.graph.node}


def _name(node: onnx.NodeProto) -> str:
    return node.name or next(iter(node.output), "")
