"""Vectors of sizes, with other entries: constants where all is known, operators on the vector where it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Names, origin
from onnx2snn.operators.symbolic_sizes import spelled_sizes


@dataclass(frozen=True)
class SizeEditor:
    """Writes sizes for nodes of ``graph``."""

    graph: gs.Graph
    names: Names

    def constant(self, node: gs.Node, kind: str, values: Any) -> gs.Constant:
        """Sizes of ``node`` that are known; a list holds integers."""
        held = values if isinstance(values, np.ndarray) else np.array(values, np.int64)
        return make_constant(self.names, f"{node.name}/{kind}", held)

    def replaced(
        self, node: gs.Node, kind: str, sizes: gs.Tensor, at: tuple[int, int], value: int
    ) -> gs.Tensor:
        """``sizes`` with ``value`` in place of one entry: ``at`` says which, of how many.

        sizes ─▶ Gather the others ─▶ Concat with value      or a constant, where all others are numbers
        """
        axis, length = at
        spelled = spelled_sizes(sizes)
        if spelled is not None and all(isinstance(s, int) for i, s in enumerate(spelled) if i != axis):
            return self.constant(node, kind, [value if i == axis else s for i, s in enumerate(spelled)])
        parts: list[gs.Tensor] = []
        if axis:
            parts.append(self.taken(node, f"{kind}/before", sizes, list(range(axis))))
        parts.append(make_constant(self.names, f"{node.name}/{kind}/batch", np.array([value], np.int64)))
        if axis + 1 < length:
            parts.append(self.taken(node, f"{kind}/behind", sizes, list(range(axis + 1, length))))
        return self.add("Concat", f"{node.name}/{kind}", parts, length, node, axis=0)

    def taken(self, node: gs.Node, kind: str, sizes: gs.Tensor, entries: Sequence[int]) -> gs.Tensor:
        """The given entries of ``sizes``."""
        index = make_constant(self.names, f"{node.name}/{kind}/entries", np.array(entries, np.int64))
        return self.add("Gather", f"{node.name}/{kind}", [sizes, index], len(entries), node, axis=0)

    def add(
        self,
        op: str,
        name: str,
        inputs: list[gs.Tensor],
        length: int,
        stands_for: gs.Node | None = None,
        *,
        dtype: object = None,
        **attrs: Any,
    ) -> gs.Variable:
        """A new node that writes a vector of ``length`` entries, of the type that it reads, or another."""
        result = gs.Variable(self.names.fresh(name), dtype or inputs[0].dtype, [length])
        fresh = gs.Node(op=op, name=self.names.fresh(name), attrs=attrs, inputs=inputs, outputs=[result])
        if stands_for is not None:
            fresh.attrs[ORIGIN] = origin(stands_for)
        self.graph.nodes.append(fresh)
        return result
