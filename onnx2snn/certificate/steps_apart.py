"""A layer whose synapses see one time step after the other: the trains that they read need not be held whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2snn.dialect.functions import DOMAIN, NEURONS
from onnx2snn.graph.core import Array
from onnx2snn.model.nodes import needed
from onnx2snn.model.reference import make_runner
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SplitModel, without


class StepsApart:
    """What computes the train of a layer (T·N, ...), in two parts.

        trains of step t (N, ...) ─▶ synapses ─▶ I(t)          all I (T·N, ...) ─▶ neuron ─▶ train

    Args:
        synapses: Of the trains that they read.
        neuron: Of all currents, and of what else it reads.
        current: The tensor between them.
        steps: T.
    """

    def __init__(self, synapses: SplitModel, neuron: SplitModel, current: str, steps: int) -> None:
        self._synapses, self._neuron = make_runner(synapses), make_runner(neuron)
        self._current, self._steps = current, steps

    def __call__(
        self, inputs: Mapping[str, Array], spikes: Callable[[int], Mapping[str, Array]]
    ) -> dict[str, Array]:
        """The train by name.

        Args:
            inputs: Of the network.
            spikes: The trains of a time step, (N, ...) each.
        """
        currents: Array = np.empty(0)
        for step in range(self._steps):
            one = self._synapses(spikes(step))[self._current]
            if not step:
                currents = np.empty((self._steps, *one.shape), one.dtype)
            currents[step] = one
        whole = currents.reshape(-1, *currents.shape[2:])
        return self._neuron({**inputs, self._current: whole})


def steps_apart(model: SplitModel, train: str, trains: Collection[str], steps: int) -> StepsApart | None:
    """The two parts of what computes ``train`` of ``trains``.

    None where its neuron reads these themselves, or where its synapses read anything but them and constants: what is held, or
    integrated, beside a train is there once for all steps.
    """
    graph = model.structure.graph
    neurons = [n for n in needed(graph.node, [train]) if n.domain == DOMAIN and n.op_type in NEURONS]
    if len(neurons) != 1:
        return None
    current = neurons[0].input[0]
    synapses, rest = needed(graph.node, [current]), needed(graph.node, [train], given=[current])
    inputs = {info.name for info in graph.input}
    if not synapses or any(node.domain == DOMAIN for node in synapses):
        return None
    if not inputs & _read(synapses) <= set(trains) or _read(rest) & set(trains):
        return None
    between = helper.make_tensor_value_info(current, TensorProto.FLOAT, None)
    written = _part(model, rest, list(graph.output), [between])
    return StepsApart(_part(model, synapses, [between]), written, current, steps)


def _read(nodes: Sequence[onnx.NodeProto]) -> set[str]:
    return {name for node in nodes for name in names_read(node)}


def _part(
    model: SplitModel,
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[onnx.ValueInfoProto],
    inputs: Sequence[onnx.ValueInfoProto] = (),
) -> SplitModel:
    """Some nodes of ``model`` as a model of their own."""
    graph, read = model.structure.graph, _read(nodes)
    part: onnx.ModelProto = without(model.structure, "graph")
    part.graph.CopyFrom(onnx.GraphProto(name=graph.name, node=nodes, output=outputs))
    part.graph.initializer.extend(t for t in graph.initializer if t.name in read)
    part.graph.input.extend([*(info for info in graph.input if info.name in read), *inputs])
    return SplitModel(part, {name: values for name, values in model.weights.items() if name in read})
