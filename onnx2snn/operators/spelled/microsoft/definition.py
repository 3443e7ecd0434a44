"""What a definition is written with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import DTypeLike

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Array, Names, constant_input, is_constant, value_of

#: Writes the nodes of one operator, or nothing where its definition does not cover the node.
Definition: TypeAlias = Callable[["Operands"], None]


class Operands:
    """What an operator reads, and where its definition is written.

    Args:
        graph: Where the nodes go.
        names: Fresh names.
        node: The operator.
    """

    def __init__(self, graph: gs.Graph, names: Names, node: gs.Node) -> None:
        self.node = node
        self._outputs = list(node.outputs)
        self._kept = {id(t) for t in graph.outputs}
        self._spelling = Spelling(graph, names, node)
        self._taken: set[int] = set()

    def read(self, position: int) -> gs.Tensor | None:
        """The input there; None if it is left out."""
        given = self.node.inputs[position : position + 1]
        return given[0] if given and not given[0].is_empty() else None

    def must(self, position: int) -> gs.Tensor:
        """The input there, which no valid node leaves out."""
        return self.node.inputs[position]

    def constant(self, position: int) -> Array | None:
        """The values there; None if it is left out or not constant."""
        return constant_input(self.node, position)

    def rank(self, position: int) -> int | None:
        """Of the input there; None where it is left out or not known."""
        tensor = self.read(position)
        return None if tensor is None or tensor.shape is None else len(tensor.shape)

    def only(self, *inputs: int, outputs: tuple[int, ...] = (0,)) -> bool:
        """Whether the node has no other inputs than these, and nothing reads other outputs."""
        given = {i for i in range(len(self.node.inputs)) if self.read(i) is not None}
        return given <= set(inputs) and {i for i in range(len(self._outputs)) if self.wanted(i)} <= set(
            outputs
        )

    def wanted(self, position: int) -> bool:
        """Whether something reads the output there."""
        tensors = self._outputs[position : position + 1]
        return any(not t.is_empty() and (t.outputs or id(t) in self._kept) for t in tensors)

    def number(self, name: str, default: float) -> float:
        """An attribute."""
        return float(self.node.attrs.get(name, default))

    def flag(self, name: str) -> bool:
        """An attribute that is 0 where it is not given."""
        return bool(self.node.attrs.get(name, 0))

    def attrs(self, *names: str) -> dict[str, Any]:
        """Those of these attributes that are given."""
        return {name: self.node.attrs[name] for name in names if name in self.node.attrs}

    def apply(
        self,
        op: str,
        *inputs: Any,
        output: int | None = None,
        kind: DTypeLike = np.float32,
        **attrs: Any,
    ) -> gs.Tensor:
        """One operator of ONNX.

        Args:
            op: Its name.
            inputs: Tensors, or numbers, which become constants.
            output: The output of the node that it writes; None: a tensor whose shape is inferred later.
            kind: The type of that tensor.
            attrs: Its attributes.
        """
        read = [self._private(i) for i in inputs]
        if output is not None:
            return self._spelling.apply(op, *read, output=self._outputs[output], **attrs)
        result = self._spelling.apply(op, *read, **attrs)
        result.shape, result.dtype = None, np.dtype(kind)
        return result

    def several(self, op: str, *inputs: Any, kinds: Sequence[DTypeLike], **attrs: Any) -> list[gs.Tensor]:
        """One operator with as many results as ``kinds``."""
        first = self.apply(op, *inputs, kind=kinds[0], **attrs)
        more = [gs.Variable(f"{first.name}/{i}", np.dtype(kind)) for i, kind in enumerate(kinds[1:], 1)]
        first.inputs[0].outputs.extend(more)
        return [first, *more]

    def _private(self, value: Any) -> Any:
        """A constant that something reads already is there once more."""
        if not is_constant(value):
            return value
        taken = id(value) in self._taken
        self._taken.add(id(value))
        return value_of(value) if taken else value

    def sum(self, *positions: int, output: int | None = None) -> gs.Tensor:
        """The inputs there that are given, added in this order."""
        first, *others = [t for t in map(self.read, positions) if t is not None]
        if output is not None and not others:
            return self.apply("Identity", first, output=output)
        for i, other in enumerate(others, 1):
            first = self.apply("Add", first, other, output=output if i == len(others) else None)
        return first


def integers(*values: int) -> Array:
    """A list of integers, as operators take them."""
    return np.array(values, np.int64)
