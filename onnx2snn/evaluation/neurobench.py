"""NeuroBench's complexity metrics (Yik et al., *The neurobench framework*, Nature Communications 16, 1545, 2025), by definition.

=================== =====================================================================================================
footprint           bytes of parameters and states: weights as the file stores them, a potential of 4 bytes a neuron
connection sparsity share of zeros among the weights of layers of synapses
activation sparsity share of zeros among what neurons send, over all time steps and samples
effective MACs      products of an input and a weight, neither of them zero, where the input is no spike
effective ACs       accumulates that spikes cause at weights that are not zero: synaptic operations
dense               the same, zeros and all, in every time step
=================== =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
_COUNT = "effective/{}"


@dataclass(frozen=True)
class Structure:
    """What can be said of a network without running it.

    Attributes:
        parameters: Bytes of its weights and other constants.
        weights: Numbers in layers of synapses.
        zeros: Those of them that are zero.
    """

    parameters: int
    weights: int
    zeros: int

    @classmethod
    def of(cls, model: SplitModel) -> Structure:
        """That of ``model``."""
        graph = model.structure.graph
        held = {tensor.name: tensor for tensor in graph.initializer}
        carried = _carried(graph, held)
        synapses = {
            name
            for node in graph.node
            if of(node).weights is not None and carried.intersection(node.input)
            for name in _weights(node, held)
        }
        constants = model.constants
        found = [constants[name] for name in sorted(synapses)]
        parameters = sum(
            model.weights[n].nbytes if n in model.weights else t.ByteSize() for n, t in held.items()
        )
        zeros = sum(int(np.count_nonzero(values == 0)) for values in found)
        return cls(parameters, sum(values.size for values in found), zeros)


def _carried(graph: onnx.GraphProto, held: Mapping[str, TensorProto]) -> set[str]:
    """Tensors whose entries come from the network's inputs; biases that follow open sizes only know how large these are."""
    given = {value.name for value in graph.input if value.name not in held}
    return forward(graph.node, lambda node, read: any(read) and not of(node).sizes, given)


def _weights(node: onnx.NodeProto, held: Mapping[str, TensorProto]) -> list[str]:
    """The first constant that the operator reads; the second is its bias."""
    return [name for name in node.input if name in held and len(held[name].dims) > 1][:1]


class Effective:
    """Counts the products of numbers that are not zero: each layer of synapses that reads no spikes, run on ones.

    Args:
        model: A converted network, or one that does not spike.
    """

    def __init__(self, model: SplitModel) -> None:
        self._model = model
        graph, trains = model.structure.graph, train_names(model.structure)
        held = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes = [
            node
            for node in graph.node
            if of(node).weights is not None
            and not node.domain
            and node.output[0] not in trains
            and _weights(node, held)
        ]

    @cached_property
    def _run(self) -> Any:
        structure = onnx.ModelProto()
        structure.CopyFrom(self._model.structure)
        del structure.graph.output[:]
        for number, node in enumerate(self._nodes):
            _count(structure.graph, node, number)
        return make_runner(SplitModel(structure, self._model.weights))

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """Effective MACs of each sample, (N,)."""
        samples = len(next(iter(inputs.values())))
        if not self._nodes:
            return np.zeros(samples, np.int64)
        found = self._run(inputs).values()
        rows = (v.reshape(len(v), -1).sum(axis=1, dtype=np.float64) for v in map(np.atleast_1d, found))
        return sum((by_sample(counts, samples) for counts in rows), np.zeros(samples)).astype(np.int64)


def _count(graph: onnx.GraphProto, node: onnx.NodeProto, number: int) -> None:
    """The operator again, on ones where numbers are not zero, and without its bias."""
    prefix = _COUNT.format(number)
    ones = []
    for place, name in enumerate(node.input[:2]):
        truth, one = f"{prefix}/{place}/truth", f"{prefix}/{place}"
        graph.node.append(helper.make_node("Cast", [name], [truth], to=TensorProto.BOOL))
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
        means: Of a sample: ``spikes``, ``synops``, ``macs/effective``, as far as they were counted.
        neurons: By layer.
    """
    layers, macs = table.get("layers", ()), table.get("macs", {})
    slots = sum(neurons[layer["name"]] * layer["timesteps"] for layer in layers)
    dense, analog = macs.get("ann"), macs.get("analog")
    spiking = None if dense is None or analog is None else (dense - analog) * table["timesteps"] + analog
    return {
        "footprint": structure.parameters + _POTENTIAL * round(sum(neurons.values())),
        "connection_sparsity": structure.zeros / structure.weights if structure.weights else None,
        "activation_sparsity": 1 - means["spikes"] / slots if slots and "spikes" in means else None,
        "synaptic_operations": {
            "effective_macs": means.get("macs/effective"),
            "effective_acs": means.get("synops", None if layers else 0),
            "dense": spiking,
        },
    }
