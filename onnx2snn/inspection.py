"""What is in a model: the staircases recognised, the nearest misses, and the neurons that stand for them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations import Staircase
from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.activations.neuron_nodes import SOURCE, SOURCE_TENSOR
from onnx2snn.activations.recognise import Found, Rejected
from onnx2snn.activations.rules import names_of, rules_of
from onnx2snn.activations.tables import TABLE, table_formula
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.analysis.training_mode import refuse_training_mode
from onnx2snn.data.specs import input_specs
from onnx2snn.dialect.layer_table import is_spiking, read_layer_table
from onnx2snn.dialect.macs import macs_of
from onnx2snn.dialect.neuron_layers import layers_of
from onnx2snn.errors import ConversionError, InputError
from onnx2snn.graph.core import origin
from onnx2snn.judgement import judge
from onnx2snn.listings import Listing, activation_listing, layer_listing
from onnx2snn.model.files import load_model, save_model
from onnx2snn.model.networks import Network, named
from onnx2snn.operators.linear import is_neuron
from onnx2snn.passes import PREPARE, RECOGNISE, neurons
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.refuse_undefined import refuse_undefined
from onnx2snn.roles import Share, roles_of, share_of, tagged
from onnx2snn.units import steps_in_words, steps_to_answer, things


@dataclasses.dataclass(frozen=True)
class Activation:
    """One quantised activation: k = clip(R((z + δ) / θ), 0, K), a = α·k + o (METHOD 1).

    Attributes:
        name: The tensor that holds a; in a converted network, the IF node.
        nodes: The user's nodes that compute it.
        formula: The staircase, with numbers where all channels share them.
        levels: K.
        timesteps: T = ceil(log2(K + 1)).
        threshold: θ, one value or one per channel.
        rounding: R, one rule or one per channel.
    """

    name: str
    nodes: list[str]
    formula: str
    levels: int
    timesteps: int
    threshold: float | list[float]
    rounding: str | list[str]


@dataclasses.dataclass(frozen=True, repr=False)
class Inspection:
    """What was found in one model.

    Attributes:
        spiking: Whether it has been converted already.
        timesteps: T of the network; of a source, the largest T of its activations (None where it has none).
        inputs: Name, type and shape of each.
        operators: How many there are of each.
        activations: The staircases, in order.
        rejected: Operators that are no neuron, and why: first each of those that keep the network from converting.
        layers: The layer table of a converted network.
        obstacles: How many those are.
        refusal: What a conversion says, and what to do; None where the network converts.
        steps: Of a converted network, time steps from an input to its answer: (L + 1)·T.
        share: How much of a source spikes, of its nodes and of its multiply-accumulates; None of a converted network.
        tagged: The source, what becomes of each node in its description; no part of :meth:`to_dict`.
    """

    spiking: bool
    timesteps: int | None
    inputs: list[str]
    operators: dict[str, int]
    activations: list[Activation]
    rejected: list[Rejected]
    layers: list[dict[str, Any]]
    obstacles: int = 0
    refusal: Rejected | None = None
    steps: int | None = None

    def __repr__(self) -> str:
        return f"Inspection({self._told()})"

    def _repr_html_(self) -> str:
        return self._listing().html(self._told())

    def summary(self) -> str:
        """The layers of a spiking network, or the activations of another, as text."""
        return self._listing().text(self._told())

    def _listing(self) -> Listing:
        return (
            layer_listing(self.layers)
            if self.spiking
            else activation_listing(map(dataclasses.asdict, self.activations))
        )

    def _told(self) -> str:
        found = things(
            len(self.layers or self.activations), "layer" if self.spiking else "quantised activation"
        )
        kind = (
            "a spiking network"
            if self.spiking
            else "a network to convert"
            if self.refusal is None
            else "does not convert"
        )
        steps = f", {steps_in_words(self.timesteps, self.steps)}" if self.timesteps else ""
        return f"{kind}: {found}{steps}"

    share: Share | None = None
    tagged: onnx.ModelProto | None = dataclasses.field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(dataclasses.replace(self, tagged=None))

    def tag(self, path: str | Path) -> None:
        """Write the source, a description on every node of what becomes of it, which viewers such as Netron show.

        Args:
            path: Where it goes.

        Raises:
            InputError: this is a converted network.
            OutputError: it cannot be written there.
        """
        if self.tagged is None:
            raise InputError("a spiking network has no nodes to tag", remedy="give its source")
        save_model(self.tagged, path)


def inspect_model(model: Network) -> Inspection:
    """Look into a network, before or after conversion.

    Args:
        model: A path, a model in memory, or what holds one.

    Raises:
        InvalidModelError: the file is missing, damaged or no ONNX model.
        ConversionError: it is valid ONNX, but has no form that the recogniser can read.
    """
    proto = load_model(named(model))
    return _inspect_snn(proto) if is_spiking(proto) else _inspect_source(proto)


def _inspect_snn(model: onnx.ModelProto) -> Inspection:
    table = read_layer_table(model, compiled=True)
    activations = [_of_layer(layer) for layer in table["layers"]]
    steps = steps_to_answer(table["timesteps"], table.get("depth"), table.get("coding", "binary"))
    return Inspection(
        True,
        table["timesteps"],
        _inputs(model),
        _operators(model),
        activations,
        [],
        table["layers"],
        steps=steps,
    )


def _inspect_source(model: onnx.ModelProto) -> Inspection:
    graph = import_model(model)
    refuse_training_mode(graph)
    graph = apply_owned(refuse_undefined(graph), PREPARE)
    places = _places(graph)
    activations = [_of_source(found) for found in recognise_checked(graph).found]
    graph = apply_owned(graph, RECOGNISE)
    activations += _encoded(graph, activations)
    activations.sort(
        key=lambda one: max(places.get(name, 0) for name in ([one.name] if one.name in places else one.nodes))
    )
    timesteps = max((activation.timesteps for activation in activations), default=None)
    judgement = judge(model, graph, hybrid=False)
    obstacles = [Rejected(m.name, m.operator, m.reason, m.remedy) for m in judgement.obstacles]
    named = {miss.node for miss in obstacles}
    others = [miss for miss in judgement.rejected if miss.node not in named]
    refusal, roles = judgement.refusal, roles_of(graph)
    macs: Mapping[str, int | None] = {}
    try:
        graph = apply_owned(graph, neurons(bias="once", coding="binary", timesteps=None))
        roles, macs = roles_of(graph), macs_of(graph, layers_of(graph, "binary")).total
    except ConversionError as later:  # neurons that cannot be written
        refusal = refusal or later
    return Inspection(
        False,
        timesteps,
        _inputs(model),
        _operators(model),
        activations,
        [*obstacles, *others],
        [],
        len(obstacles),
        _said(refusal),
        share=share_of(model, roles, obstacles, macs),
        tagged=tagged(model, roles, obstacles),
    )


def _places(graph: gs.Graph) -> dict[str, int]:
    """Where tensors are written, and where the user's nodes end: passes that follow may part what one tensor held."""
    found = {name: place for place, node in enumerate(graph.nodes) for name in origin(node)}
    return found | {tensor.name: place for place, node in enumerate(graph.nodes) for tensor in node.outputs}


def _said(refusal: ConversionError | None) -> Rejected | None:
    if refusal is None:
        return None
    return Rejected(refusal.node or "", refusal.operator or "", refusal.message, refusal.remedy or "")


def _encoded(graph: gs.Graph, activations: Sequence[Activation]) -> list[Activation]:
    """Neurons of ``graph`` that stand for no activation, but for a sum, a maximum or a clip of some."""
    named = {name for activation in activations for name in activation.nodes}
    neurons = [node for node in graph.nodes if is_neuron(node) and named.isdisjoint(origin(node))]
    return [
        _activation(n.attrs[SOURCE_TENSOR], origin(n), n.attrs[SOURCE], n.attrs["timesteps"]) for n in neurons
    ]


def _of_source(found: Found) -> Activation:
    staircase = found.staircase
    return _activation(found.output.name, found.source_nodes, staircase, staircase.timesteps)


def _of_layer(layer: dict[str, Any]) -> Activation:
    """What a layer of neurons computes; its δ is part of the neurons' bias now, thresholds of a table are in its node."""
    theta, scale, shift = (np.asarray(layer[name], np.float64) for name in ("threshold", "scale", "offset"))
    rules, levels = rules_of(layer["rounding"]), int(layer["levels"])
    if layer["rounding"] == TABLE:
        formula = table_formula(levels, scale, shift)
    else:
        ceilings = np.asarray(levels, np.int64)
        formula = Staircase(theta, np.zeros(()), levels, ceilings, scale, shift, rules).formula
    name, nodes, steps = layer["name"], layer["source_nodes"], layer["timesteps"]
    return Activation(name, nodes, formula, levels, steps, _plain(theta), names_of(rules))


def _activation(name: str, nodes: list[str], staircase: Staircase, timesteps: int) -> Activation:
    threshold = _plain(staircase.threshold)
    return Activation(
        name,
        nodes,
        staircase.formula,
        staircase.levels,
        timesteps,
        threshold,
        names_of(staircase.rounding),
    )


def _plain(values: NDArray[np.float64]) -> float | list[float]:
    flat = [float(value) for value in np.ravel(values)]
    return flat[0] if len(set(flat)) == 1 else flat


def _inputs(model: onnx.ModelProto) -> list[str]:
    return [str(spec) for spec in input_specs(model)]


def _operators(model: onnx.ModelProto) -> dict[str, int]:
    names = (f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in model.graph.node)
    return dict(sorted(Counter(names).items()))
