"""Facts of a graph, each computed once: until a pass changes it."""

from __future__ import annotations

from functools import cached_property

import onnx_graphsurgeon as gs

from onnx2snn.analysis.batch_axis import sample_axes
from onnx2snn.analysis.dataflow import influenced_by, influencing
from onnx2snn.analysis.trains import Kind, infer_kinds
from onnx2snn.graph.core import KNOWN
from onnx2snn.operators.batch import Samples
from onnx2snn.operators.linear import from_sizes, is_neuron, is_weighted


class Facts:
    """What is known of the tensors of a graph, by ``id`` or by name; asked by passes before they change anything.

    Args:
        graph: Which.
    """

    def __init__(self, graph: gs.Graph) -> None:
        self._graph = graph

    @cached_property
    def kinds(self) -> dict[int, Kind]:
        """Trains, and analog values; whatever is missing is analog."""
        return infer_kinds(self._graph)

    @cached_property
    def samples(self) -> dict[str, Samples]:
        """By name, where tensors count samples; see :func:`onnx2snn.analysis.batch_axis.sample_axes`."""
        return sample_axes(self._graph)

    @cached_property
    def batch_axes(self) -> dict[str, int]:
        """By name, the axis that counts samples, or several entries a sample, sample by sample (N·S of [N·S, C])."""
        return {name: samples.axis for name, samples in self.samples.items() if samples.outer == 1}

    @cached_property
    def from_sizes(self) -> set[int]:
        """Tensors that nothing but sizes and constants decide."""
        return from_sizes(self._graph)

    @cached_property
    def behind_weights(self) -> set[int]:
        """Tensors that a layer of synapses influences."""
        return influenced_by(self._graph, is_weighted)

    @cached_property
    def behind_synapses(self) -> set[int]:
        """Tensors that a layer of synapses, or neurons, influence."""
        return influenced_by(self._graph, lambda node: is_weighted(node) or is_neuron(node))

    @cached_property
    def before_synapses(self) -> set[int]:
        """Tensors that influence a layer of synapses."""
        return influencing(self._graph, is_weighted)

    @cached_property
    def before_neurons(self) -> set[int]:
        """Tensors that influence a layer of synapses, or neurons."""
        return influencing(self._graph, lambda node: is_weighted(node) or is_neuron(node))


def facts(graph: gs.Graph) -> Facts:
    """Those of ``graph`` as it is. They are kept with it, until :func:`forget` is told that it changed."""
    found: Facts = vars(graph).setdefault(KNOWN, Facts(graph))
    return found


def forget(graph: gs.Graph) -> None:
    """A pass has changed ``graph``."""
    vars(graph).pop(KNOWN, None)
