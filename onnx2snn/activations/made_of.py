"""What tensors are made of, entry by entry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.chains import Chain, between
from onnx2snn.activations.entrywise import Opsets, acts_entrywise, leaves_float32
from onnx2snn.graph.core import is_float, signals
from onnx2snn.graph.walks import carried
from onnx2snn.operators.linear import from_sizes, is_linear

#: What a tensor is made of: the nearest first, the root last.
Path: TypeAlias = tuple[gs.Tensor, ...]


class MadeOf:
    """A tensor is made of another if nothing but entrywise operators lies between, and nothing else takes part.

    Args:
        graph: In topological order, with inferred shapes.
        stops: Tensors that are named on the way, by id: quantised ones.
    """

    def __init__(self, graph: gs.Graph, stops: Collection[int] = ()) -> None:
        self.opsets = Opsets.of(graph)
        self.order = {id(node): i for i, node in enumerate(graph.nodes)}
        self._sized = from_sizes(graph)
        self._entrywise: set[int] = set()

        def paths_to(node: gs.Node, known: dict[int, Path]) -> list[tuple[int, Path]]:
            common = self._common(node, known)
            if common:
                self._entrywise.add(id(node))
            stopped = [(t, not common or id(t) in stops) for t in node.outputs]
            return [(id(t), (t, *common) if stop else common) for t, stop in stopped]

        self._paths: dict[int, Path] = carried(graph.nodes, paths_to)

    def _common(self, node: gs.Node, known: Mapping[int, Path]) -> Path:
        """What all that an entrywise operator reads is made of; nothing of others."""
        read = signals(node)
        if not read or leaves_float32(node) or any(id(t) in self._sized for t in node.outputs):
            return ()
        paths = [known.get(id(t), (t,)) for t in read]
        shared = set.intersection(*({id(t) for t in path} for path in paths))
        root = paths[0][-1]
        if not shared or not is_float(root) or np.dtype(root.dtype) != np.float32:
            return ()
        if not acts_entrywise(node, self.opsets):
            return ()
        first = next(i for i, t in enumerate(paths[0]) if id(t) in shared)
        return paths[0][first:]

    def path(self, tensor: gs.Tensor) -> Path:
        """What ``tensor`` is made of, the nearest first, the root last: itself where it is made of nothing else."""
        return self._paths.get(id(tensor), (tensor,))

    def is_entrywise(self, node: gs.Node) -> bool:
        """Whether ``node`` is an operator of such functions."""
        return id(node) in self._entrywise

    def between(self, root: gs.Tensor, tensor: gs.Tensor) -> Chain:
        """The operators from ``root`` to ``tensor``, which is made of it."""
        return between(root, tensor, self.order)

    def chain(self, tensor: gs.Tensor) -> Chain:
        """From its root, lines at the beginning left out, to ``tensor``."""
        chain = self.between(self.path(tensor)[-1], tensor)
        while chain.nodes:
            first, *others = [n for n in chain.nodes if any(t is chain.root for t in n.inputs)]
            if others or not is_linear(first) or first.outputs[0] is tensor:
                break
            chain = Chain(first.outputs[0], tensor, tuple(n for n in chain.nodes if n is not first))
        return chain
