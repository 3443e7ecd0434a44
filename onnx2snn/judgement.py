"""Whether a network converts: one judgement, which ``convert`` raises and ``inspect`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import onnx
import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.activations.recognise import Rejected
from onnx2snn.analysis.non_spiking import NonSpiking, dynamic_quantisation, non_spiking, obstacles, refusal
from onnx2snn.analysis.reach import rounds
from onnx2snn.analysis.unrolled import unrolled_neurons
from onnx2snn.calibration.advice import Advice
from onnx2snn.errors import ConversionError
from onnx2snn.operators.linear import is_neuron

Told = TypeVar("Told", NonSpiking, Rejected)


@dataclass(frozen=True)
class Judgement:
    """What is said of a network whose activations have been recognised.

    Attributes:
        kept: Operators evaluated on decoded values, each with a remedy that helps this network.
        rejected: Activations that no neuron stands for, with such a remedy.
        refusal: Why it does not convert; None where it does.
    """

    kept: tuple[NonSpiking, ...]
    rejected: tuple[Rejected, ...]
    refusal: ConversionError | None

    @property
    def obstacles(self) -> list[NonSpiking]:
        """Of what is kept, that which has to change for the network to convert."""
        return obstacles(self.kept)


def judge(source: onnx.ModelProto, graph: gs.Graph, *, hybrid: bool) -> Judgement:
    """Judge ``source``, whose recognised graph is ``graph``; with ``hybrid`` nothing that is kept is an obstacle."""
    rejected = recognise_checked(graph).rejected  # of what is left
    advice = Advice(source)
    written = {node.name or node.output[0]: node.op_type for node in source.graph.node if node.output}
    kept = tuple(_as_written(advice.on(found), found.name, written) for found in non_spiking(graph, rejected))
    misses = tuple(_as_written(advice.on(miss), miss.node, written) for miss in rejected.values())
    return Judgement(kept, misses, _refusal(graph, kept, misses, advice, hybrid=hybrid))


def _as_written(found: Told, name: str, operators: Mapping[str, str]) -> Told:
    """By the operator that the user's node is, whatever a pass made of it."""
    return replace(found, operator=operators.get(name, found.operator))


def _refusal(
    graph: gs.Graph,
    kept: tuple[NonSpiking, ...],
    rejected: tuple[Rejected, ...],
    advice: Advice,
    *,
    hybrid: bool,
) -> ConversionError | None:
    if spiking := unrolled_neurons(graph):
        return spiking
    spikes = any(map(is_neuron, graph.nodes))
    if spikes and (hybrid or not obstacles(kept)):
        return None
    if dynamic := dynamic_quantisation(graph):
        return dynamic
    if not spikes and not any(map(rounds, graph.nodes)) and (of_floats := advice.of_float_network(kept)):
        return of_floats
    return refusal(kept, rejected, spikes=spikes, hybrid=hybrid)
