"""Moves around a node: operators that change places of entries, and keep their type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Names, origin

Sizes: TypeAlias = "list[int | str]"


@dataclass(frozen=True)
class Mover:
    """Adds moves that record the origin of ``node``; each returns what it writes, a new tensor or ``output``."""

    graph: gs.Graph
    names: Names
    node: gs.Node

    def transpose(
        self, source: gs.Tensor, order: Sequence[int], output: gs.Tensor | None = None
    ) -> gs.Tensor:
        """Axes in another order; nothing where it is the same, and no output asks for it."""
        if list(order) == list(range(len(order))) and output is None:
            return source
        sizes = [source.shape[axis] for axis in order]
        return self.apply("Transpose", [source], sizes, output=output, perm=list(order))

    def squeeze(self, source: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
        """Without axes of one entry."""
        sizes = [size for axis, size in enumerate(source.shape) if axis not in axes]
        return self.apply("Squeeze", [source, self._vector("axes", axes)], sizes) if axes else source

    def unsqueeze(self, source: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
        """With axes of one entry, counted in the result."""
        rest = iter(source.shape)
        sizes = [1 if axis in axes else next(rest) for axis in range(len(source.shape) + len(axes))]
        return self.apply("Unsqueeze", [source, self._vector("axes", axes)], sizes) if axes else source

    def reshape(
        self, source: gs.Tensor, target: Sequence[Any], sizes: Sizes, output: gs.Tensor | None = None
    ) -> gs.Tensor:
        """Of other ``sizes``, which ``target`` spells in numbers."""
        return self.apply("Reshape", [source, self._vector("shape", target)], sizes, output=output)

    def apply(
        self,
        op: str,
        inputs: list[gs.Tensor],
        sizes: Sizes,
        *,
        output: gs.Tensor | None = None,
        dtype: object = None,
        **attributes: object,
    ) -> gs.Tensor:
        """One operator; its type is that of its first input."""
        name = self.names.fresh(f"{self.node.name}/{op.lower()}")
        target = output if output is not None else gs.Variable(name, dtype or inputs[0].dtype, list(sizes))
        made = gs.Node(op, name, {**attributes, ORIGIN: origin(self.node)}, inputs, [target])
        self.graph.nodes.append(made)
        return target

    def _vector(self, kind: str, values: Sequence[Any]) -> gs.Constant:
        return make_constant(self.names, f"{self.node.name}/{kind}", np.array(values, np.int64))
