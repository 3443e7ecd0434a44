"""NeuroBench's complexity metrics (Yik et al., *The neurobench framework*, Nature Communications 16, 1545, 2025), by definition.

=================== =====================================================================================================
footprint           bytes of parameters and states: weights as the file stores them, a potential of 4 bytes a neuron
connection sparsity share of zeros among the weights of layers of synapses
activation sparsity share of zeros among what neurons send, over all time steps and samples
effective MACs      products of an input and a weight, neither of them zero, where the input is no spike
effective ACs       accumulates that spikes cause at weights that are not zero: synaptic operations
dense               the same of layers of synapses, zeros and all, in every time step; what padding adds is none
=================== =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2snn.dialect.train_shapes import train_names
from onnx2snn.graph.core import Array
from onnx2snn.graph.walks import forward
from onnx2snn.model.reference import make_runner
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of
from onnx2snn.runtime.batches import by_sample

#: Bytes of a membrane potential: float32.
_POTENTIAL = 4
_COUNT = "counted/{}"

#: Inputs by name in, what was counted by name out.
Runner: TypeAlias = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass(frozen=True)
class Structure:
    """What can be said of a network without running it.

    Attributes:
        parameters: Bytes of its weights and other constants.
        weights: Numbers in layers of synapses.
        zeros: Those of them that are zero.
        synapses: How many such layers there are.
    """

    parameters: int
    weights: int
    zeros: int
    synapses: int = 1

    @property
    def mean_weights(self) -> float:
        """Numbers in a layer of synapses."""
        return self.weights / max(self.synapses, 1)

    @classmethod
    def of(cls, model: SplitModel) -> Structure:
        """That of ``model``."""
        held = {tensor.name: tensor for tensor in model.structure.graph.initializer}
        synapses = {weights for _, weights in _layers(model.structure.graph)}
        constants = model.constants
        found = [constants[name] for name in sorted(synapses)]
        parameters = sum(
            model.weights[n].nbytes if n in model.weights else t.ByteSize() for n, t in held.items()
        )
        zeros = sum(int(np.count_nonzero(values == 0)) for values in found)
        return cls(parameters, sum(values.size for values in found), zeros, len(found))


def _layers(graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, str]]:
    """Layers of synapses, and their weights: operators that hold some, and read what comes from the network's inputs.

    Biases that follow open sizes only know how large these are: they are none. Of several constants the first are weights.
    """
    held = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    given = {value.name for value in graph.input if value.name not in held}
    carried = forward(graph.node, lambda node, read: any(read) and not of(node).sizes, given)
    found = []
    for node in graph.node:
        if of(node).weights is not None and carried.intersection(node.input):
            found += [(node, name) for name in node.input if held.get(name, 0) > 1][:1]
    return found


class Operations:
    """Counts operations of layers of synapses, by running each of them again on ones.

    Args:
        model: A converted network, or one that does not spike.
    """

    def __init__(self, model: SplitModel) -> None:
        self._model = model
        self._nodes = [node for node, _ in _layers(model.structure.graph) if not node.domain]
        self._dense: dict[tuple[tuple[int, ...], ...], float] = {}

    def of(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Of each sample, (N,): ``macs/effective`` and ``macs/dense``, under the names of a tally."""
        samples = len(next(iter(inputs.values())))
        sizes = tuple(value.shape[1:] for value in inputs.values())
        if sizes not in self._dense:
            self._dense[sizes] = (
                sum(float(v.sum(dtype=np.float64)) for v in self._all(inputs).values()) / samples
            )
        found = map(np.atleast_1d, self._effective(inputs).values())
        rows = (v.reshape(len(v), -1).sum(axis=1, dtype=np.float64) for v in found)
        effective = sum((by_sample(counts, samples) for counts in rows), np.zeros(samples)).astype(np.int64)
        return {"macs/effective": effective, "macs/dense": np.full(samples, self._dense[sizes])}

    @cached_property
    def _effective(self) -> Runner:
        """What reads no spikes, on ones where numbers are not zero."""
        trains = train_names(self._model.structure)
        return self._counting([node for node in self._nodes if node.output[0] not in trains], zeros=False)

    @cached_property
    def _all(self) -> Runner:
        """Everything, in every time step, zeros and all."""
        return self._counting(self._nodes, zeros=True)

    def _counting(self, nodes: Sequence[onnx.NodeProto], *, zeros: bool) -> Runner:
        if not nodes:
            return lambda _inputs: {}
        structure = onnx.ModelProto()
        structure.CopyFrom(self._model.structure)
        del structure.graph.output[:]
        for number, node in enumerate(nodes):
            _count(structure.graph, node, number, zeros=zeros)
        return make_runner(SplitModel(structure, self._model.weights))


def _count(graph: onnx.GraphProto, node: onnx.NodeProto, number: int, *, zeros: bool) -> None:
    """The operator again, on ones where numbers are not zero, or everywhere, and without its bias."""
    prefix = _COUNT.format(number)
    ones = []
    for place, name in enumerate(node.input[:2]):
        truth, one = f"{prefix}/{place}/truth", f"{prefix}/{place}"
        graph.node.append(helper.make_node("Cast", [name], [truth], to=TensorProto.BOOL))
        if zeros:
            graph.node.append(helper.make_node("Equal", [truth, truth], [f"{truth}/any"]))
            truth = f"{truth}/any"
        graph.node.append(helper.make_node("Cast", [truth], [one], to=TensorProto.FLOAT))
        ones.append(one)
    fresh = onnx.NodeProto()
    fresh.CopyFrom(node)
    fresh.name = prefix
    del fresh.input[:], fresh.output[:]
    fresh.input.extend(ones)
    fresh.output.append(prefix)
    graph.node.append(fresh)
    graph.output.append(helper.make_tensor_value_info(prefix, TensorProto.FLOAT, None))


def neurobench(
    structure: Structure, table: Mapping[str, Any], means: Mapping[str, float], neurons: Mapping[str, float]
) -> dict[str, Any]:
    """All metrics of a network on some data.

    Args:
        structure: Of the network.
        table: Its layer table.
        means: Of a sample: ``spikes``, ``synops``, ``macs/effective``, ``macs/dense``, as far as they were counted.
        neurons: By layer.
    """
    layers = table.get("layers", ())
    slots = sum(neurons[layer["name"]] * layer["timesteps"] for layer in layers)
    return {
        "footprint": structure.parameters + _POTENTIAL * round(sum(neurons.values())),
        "connection_sparsity": structure.zeros / structure.weights if structure.weights else None,
        "activation_sparsity": 1 - means["spikes"] / slots if slots and "spikes" in means else None,
        "synaptic_operations": {
            "effective_macs": means.get("macs/effective"),
            "effective_acs": means.get("synops", None if layers else 0),
            "dense": means.get("macs/dense"),
        },
    }
