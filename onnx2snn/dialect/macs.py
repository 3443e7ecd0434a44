"""Multiply-accumulates of a network: what its ANN spends (METHOD 7)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import is_train
from onnx2snn.dialect.layer_table import Layer
from onnx2snn.graph.core import TWIN, signals
from onnx2snn.graph.walks import values_forward
from onnx2snn.operators import of
from onnx2snn.operators.batch import static
from onnx2snn.operators.linear import is_neuron


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one sample: dense products, as a framework computes them; None where a size is not static.

    Attributes:
        total: Of all weighted operators (``ann``), of those that read analog values (``analog``), and of those among them that
            some neuron influences (``non_spiking``), which only a network converted as a hybrid has.
        by_layer: What the ANN spends where a layer's spikes go. An operator that several layers reach (behind a residual sum)
            belongs to the deepest of them: with those of the analog input, layers add up to the whole ANN.
        unknown: For each operator of a total that is None: ``tensor``, whose sizes for one sample, times ``factor``, are its
            multiply-accumulates; ``of``, the keys of ``total`` that it counts for, and ``layer``, that of ``by_layer`` or None.
    """

    total: Mapping[str, int | None]
    by_layer: Mapping[str, int | None]
    unknown: Sequence[Mapping[str, Any]]


def macs_of(graph: gs.Graph, layers: Sequence[Layer] = ()) -> Macs:
    """Those of a converted network, whose layers are given; or of any other."""
    reached, kinds = _reached(graph, layers), facts(graph).kinds
    total: dict[str, int | None] = {"ann": 0, "analog": 0, "non_spiking": 0}
    by_layer: dict[str, int | None] = {layer.name: 0 for layer in layers}
    spent: list[_Spent] = []
    for node in graph.nodes:
        weights, read = of(node).weights, signals(node)[:1]
        if (
            weights is None or not read or id(read[0]) not in reached
        ):  # what sizes alone decide is no signal, but a bias
            continue
        number = reached[id(read[0])]
        keys = ["ann", "analog", *["non_spiking"] * (number >= 0)]
        if is_train(node.outputs[0], kinds):
            keys = ["ann"]
        elif TWIN in node.attrs:
            keys = ["analog"]  # the ANN's are those of the operator itself
        one = _Spent(keys, layers[number].name if number >= 0 else None, weights.sums(node))
        spent.append(one)
        for totals, held in ((total, keys), (by_layer, [name for name in [one.layer] if name])):
            for key in held:
                known, macs = totals[key], one.macs
                totals[key] = None if known is None or macs is None else known + macs
    entries = (each.entry(total, by_layer) for each in spent)
    return Macs(total, by_layer, [entry for entry in entries if entry is not None])


@dataclass(frozen=True)
class _Spent:
    """By one operator: what it counts for, and its multiply-accumulates as entries of one sample of a tensor, times a factor."""

    keys: Sequence[str]
    layer: str | None
    sums: tuple[gs.Tensor, int] | None

    @property
    def macs(self) -> int | None:
        """None where sizes are not known."""
        if self.sums is None or self.sums[0].shape is None or not static(self.sums[0].shape[1:]):
            return None
        return math.prod(int(size) for size in self.sums[0].shape[1:]) * self.sums[1]

    def entry(
        self, total: Mapping[str, int | None], by_layer: Mapping[str, int | None]
    ) -> dict[str, Any] | None:
        """Of a total that is None."""
        counted = [key for key in self.keys if total[key] is None]
        layer = self.layer if self.layer is not None and by_layer[self.layer] is None else None
        if self.sums is None or not (counted or layer):
            return None
        return {"tensor": self.sums[0].name, "factor": self.sums[1], "of": counted, "layer": layer}


def _reached(graph: gs.Graph, layers: Sequence[Layer]) -> dict[int, int]:
    """By ``id`` of a tensor that samples influence, the number of the deepest layer whose spikes reach it; none: -1."""
    order = {layer.output: number for number, layer in enumerate(layers)}

    def deepest(node: gs.Node, read: list[int | None]) -> int | None:
        if is_neuron(node):
            return order.get(node.outputs[0].name)
        known = [] if of(node).sizes else [number for number in read if number is not None]
        return max(known, default=None)

    return values_forward(graph.nodes, deepest, {id(tensor): -1 for tensor in graph.inputs})
