"""Constants for nodes, and small float expressions in place of a node."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    Pass,
    graph_pass,
    is_constant,
    nodes_of,
    origin,
    value_of,
)

Given = TypeVar("Given")
Made = TypeVar("Made")


def make_constant(names: Names, stem: str, values: Any) -> gs.Constant:
    """A constant for one node input, named after ``stem``; a number becomes a list of one."""
    return gs.Constant(names.fresh(stem), np.ascontiguousarray(values))


def replace_weights(names: Names, node: gs.Node, stem: str, values: Any) -> None:
    """Give ``node`` other weights; the old ones are let go at once."""
    old = node.inputs[1]
    node.inputs[1] = make_constant(names, stem, values)
    if is_constant(old):
        old.values = np.empty(0, np.float32)  # nobody else reads it, but the graph's cycles would keep it


def scale_weights(names: Names, node: gs.Node, factors: NDArray[np.float64]) -> None:
    """Multiply the weights of ``node`` in float64 and round once, without a second copy of them."""
    values = value_of(node.inputs[1])
    scaled = np.empty(np.broadcast_shapes(values.shape, factors.shape), np.float32)
    np.multiply(values, factors, out=scaled, dtype=np.float64, casting="same_kind")
    replace_weights(names, node, f"{node.name}/weight", scaled)


def code_range(dtype: object) -> tuple[float, float]:
    """Smallest and largest number of an integer type, 4-bit ones too."""
    name = str(np.dtype(dtype))  # type: ignore[call-overload]
    bits = int("".join(c for c in name if c.isdigit()))
    return (0.0, 2.0**bits - 1) if name.startswith("u") else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def is_integer_type(dtype: object) -> bool:
    """Whether ``dtype`` is one of integers, of 4 and 2 bits too."""
    return str(np.dtype(dtype)).startswith(("int", "uint"))  # type: ignore[call-overload]


class Once(Generic[Given, Made]):
    """What a pass makes of a tensor, or of a node, for all of its readers: made where it is first asked for.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[Given], Made]) -> None:
        self._make = make
        self._made: dict[int, Made] = {}

    def __call__(self, given: Given) -> Made:
        """It, for ``given``."""
        if id(given) not in self._made:
            self._made[id(given)] = self._make(given)
        return self._made[id(given)]

    def get(self, given: Given) -> Made | None:
        """It, if it was made."""
        return self._made.get(id(given))


class Spelling:
    """Nodes in place of one node; all record its origin.

    Attributes:
        graph: Where the nodes go.
        names: Fresh names.
        node: What they stand for.
    """

    def __init__(self, graph: gs.Graph, names: Names, node: gs.Node) -> None:
        self.graph = graph
        self.names = names
        self.node = node
        self._origin = origin(node)

    def constant(self, values: Any) -> gs.Constant:
        """A constant of its own."""
        return make_constant(self.names, f"{self.node.name}/constant", np.asarray(values))

    def apply(
        self,
        op: str,
        *inputs: Any,
        output: gs.Tensor | None = None,
        sizes: Sequence[int | str] | None = None,
        **attrs: Any,
    ) -> gs.Tensor:
        """One operator; numbers and arrays become constants. Returns what it writes: float32, of ``sizes`` or as its signal."""
        read = [i if isinstance(i, gs.Tensor) else self.constant(i) for i in inputs]
        shape = next((list(t.shape) for t in read if not is_constant(t) and t.shape is not None), None)
        shape = shape if sizes is None else list(sizes)
        out = (
            output
            if output is not None
            else gs.Variable(self.names.fresh(f"{self.node.name}/{op}"), np.float32, shape)
        )
        if output is not None:
            out.inputs.clear()
            out.dtype = np.float32
        name = self.names.fresh(f"{self.node.name}/{op}")
        node = gs.Node(op=op, name=name, domain="", attrs=attrs, inputs=read, outputs=[out])
        node.attrs[ORIGIN] = self._origin
        self.graph.nodes.append(node)
        return out

    def quantise(self, x: gs.Tensor, grid: CodeGrid, *, output: gs.Tensor | None = None) -> gs.Tensor:
        """clip(round(x/s) + z, lo, hi): QuantizeLinear in float32, its integers exact; or clip(round(x/s + z), lo, hi)."""
        level = self.apply("Div", x, grid.scale)
        moved = bool(np.any(grid.zero_point != 0))
        if moved and grid.zero_point_first:
            level = self.apply("Add", level, grid.zero_point)
        level = self.apply(grid.rounding, level)
        if moved and not grid.zero_point_first:
            level = self.apply("Add", level, grid.zero_point)
        return self.apply("Clip", level, np.float32(grid.low), np.float32(grid.high), output=output)

    def dequantise(self, q: gs.Tensor, grid: CodeGrid, *, output: gs.Tensor | None = None) -> gs.Tensor:
        """(q − z)·s: DequantizeLinear."""
        if np.any(grid.zero_point != 0):
            q = self.apply("Sub", q, grid.zero_point)
        return self.apply("Mul", q, grid.scale, output=output)


class CodeGrid:
    """The grid of a quantiser: float32 arrays that broadcast against the tensor.

    Attributes:
        scale: s.
        zero_point: z.
        low: Smallest code.
        high: Largest code.
        rounding: The ONNX operator that rounds.
        zero_point_first: Whether it is added before rounding: with an odd one, ties go to the other side.
    """

    def __init__(
        self,
        scale: Array,
        zero_point: Array,
        low: float,
        high: float,
        rounding: str = "Round",
        *,
        zero_point_first: bool = False,
    ) -> None:
        self.scale = np.asarray(scale, np.float32)
        self.zero_point = np.asarray(zero_point, np.float32)
        self.low = low
        self.high = high
        self.rounding = rounding
        self.zero_point_first = zero_point_first


def spells(*operators: str) -> Callable[[Callable[[Spelling, gs.Node], None]], Pass]:
    """Make a pass of a function that spells one node: it is called for each that is now one of ``operators``, of ONNX's own."""

    def of_nodes(spell: Callable[[Spelling, gs.Node], None]) -> Pass:
        @functools.wraps(spell)
        def of_graph(graph: gs.Graph) -> gs.Graph:
            nodes = nodes_of(graph, *operators)
            if nodes:
                names = Names(graph)
                for node in nodes:
                    spell(Spelling(graph, names, node), node)
            return graph

        return graph_pass(of_graph)

    return of_nodes
