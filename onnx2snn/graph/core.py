"""The graph that passes work on: onnx-graphsurgeon's, with the few things it leaves to its users.

Two rules make passes short. *Constants are private*: every constant belongs to one node input (the importer copies
the tensor, never its values), so changing a weight changes one node. *Nodes stand in topological order*, which
:func:`tidy` restores after each pass; no pass has to care where it inserts.
"""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx_graphsurgeon.logger import G_LOGGER

from onnx2snn.graph.walks import reached

#: What goes wrong is raised as an error; the library need not print it too.
G_LOGGER.severity = G_LOGGER.CRITICAL + 1

Array: TypeAlias = NDArray[Any]
Pass: TypeAlias = Callable[[gs.Graph], gs.Graph]

#: Attribute under which a node keeps the names of the user's nodes that it stands for (comma-free list).
ORIGIN = "_onnx2snn_origin"

#: Attribute of a node with subgraphs: what they read from outside is among its inputs, the last ones; under these names inside.
INSIDE = "_onnx2snn_inside"

#: Attribute of the node that writes the scale of a quantiser from the range of a sample.
DYNAMIC = "_onnx2snn_dynamic"

#: Attribute of a node that is no operator of the source: it computes a bias that depends on the sample.
TWIN = "_onnx2snn_twin"


#: Attribute of a graph under which facts of it are kept, until it changes.
KNOWN = "_onnx2snn_facts"


def graph_pass(function: Pass) -> Pass:
    """Make ``function`` a pure pass: it receives a copy, and what it returns is tidied.

    The copy shares the values of constants (never their tensors), so it costs nodes, not weights.
    """

    @functools.wraps(function)
    def pure(graph: gs.Graph) -> gs.Graph:
        return tidy(function(graph.copy()))

    return pure


def tidy(graph: gs.Graph) -> gs.Graph:
    """Drop nodes that no output needs and restore topological order; linear, without recursion. What was known is forgotten."""
    vars(graph).pop(KNOWN, None)
    needed = needed_for(graph.outputs)
    for node in graph.nodes:
        if id(node) not in needed:
            node.inputs.clear()
            node.outputs.clear()
    graph.nodes = _sorted([node for node in graph.nodes if id(node) in needed])
    return graph


def needed_for(tensors: Sequence[gs.Tensor]) -> set[int]:
    """The nodes, by ``id``, on which ``tensors`` depend."""

    def makers(tensors: Iterable[gs.Tensor]) -> list[gs.Node]:
        return [producer for tensor in tensors for producer in tensor.inputs]

    return {id(node) for node in reached(makers(tensors), lambda node: makers(node.inputs))}


def _sorted(nodes: Sequence[gs.Node]) -> list[gs.Node]:
    """Kahn's algorithm; nodes that are ready keep the order in which they were listed."""
    inside = {id(node) for node in nodes}
    readers: dict[int, list[gs.Node]] = {}
    waiting: Counter[int] = Counter()
    for node in nodes:
        for producer in {id(p): p for t in node.inputs for p in t.inputs if id(p) in inside}.values():
            readers.setdefault(id(producer), []).append(node)
            waiting[id(node)] += 1
    ready = deque(node for node in nodes if not waiting[id(node)])
    ordered = []
    while ready:
        node = ready.popleft()
        ordered.append(node)
        for reader in readers.get(id(node), ()):
            waiting[id(reader)] -= 1
            if not waiting[id(reader)]:
                ready.append(reader)
    if len(ordered) != len(nodes):
        raise AssertionError("a pass made a cycle")  # the importer refuses files that hold one
    return ordered


def is_constant(tensor: object) -> TypeGuard[gs.Constant]:
    """Whether ``tensor`` holds values of its own."""
    return isinstance(tensor, gs.Constant)


def is_float(tensor: gs.Tensor) -> bool:
    """Whether ``tensor`` is known to hold floating-point numbers."""
    return tensor.dtype is not None and np.issubdtype(np.dtype(tensor.dtype), np.floating)


def value_of(tensor: gs.Tensor) -> Array:
    """The values of a constant."""
    if not isinstance(tensor, gs.Constant):
        raise TypeError(f"'{tensor.name}' holds no values")
    return tensor.values


def producer_of(tensor: gs.Tensor) -> gs.Node | None:
    """The node that writes ``tensor``; None for graph inputs and constants."""
    return tensor.inputs[0] if tensor.inputs else None


def is_read_once(graph: gs.Graph, tensor: gs.Tensor) -> bool:
    """Whether one node reads ``tensor``, and whoever runs the graph does not."""
    return len(tensor.outputs) == 1 and not is_answered(graph, tensor)


def is_answered(graph: gs.Graph, tensor: gs.Tensor) -> bool:
    """Whether ``tensor`` is an output: its values have to stay."""
    return any(tensor is output for output in graph.outputs)


def is_operator(node: gs.Node | None, *operators: str) -> TypeGuard[gs.Node]:
    """Whether ``node`` is one of these operators, of ONNX's own."""
    return node is not None and node.op in operators and not node.domain


def nodes_of(graph: gs.Graph, *operators: str) -> list[gs.Node]:
    """The nodes that are now one of these operators, of ONNX's own: for passes that spell an operator."""
    return [node for node in graph.nodes if is_operator(node, *operators)]


def signals(node: gs.Node) -> list[gs.Tensor]:
    """The inputs of ``node`` that are neither constant nor left out."""
    return [t for t in node.inputs if not t.is_empty() and not is_constant(t)]


def constant_input(node: gs.Node, position: int) -> Array | None:
    """The values at input ``position``; None if it is left out or not constant."""
    if position < len(node.inputs) and is_constant(node.inputs[position]):
        return value_of(node.inputs[position])
    return None


def origin(node: gs.Node) -> list[str]:
    """Names of the user's nodes that ``node`` stands for."""
    kept = node.attrs.get(ORIGIN)
    return list(kept) if kept else ([node.name] if node.name else [])


class Names:
    """Fresh names for tensors and nodes: ``stem``, or ``stem_1``, ``stem_2`` ... where it is taken."""

    def __init__(self, graph: gs.Graph) -> None:
        self._taken = set[str]()
        for one in (graph, *graph.subgraphs(recursive=True)):
            self._taken.update(one.tensors(), (node.name for node in one.nodes))
        self._next: Counter[str] = Counter()

    def fresh(self, stem: str) -> str:
        """A name that no tensor or node has, and that is taken from now on."""
        name = stem
        while name in self._taken or not name:
            self._next[stem] += 1
            name = f"{stem}_{self._next[stem]}"
        self._taken.add(name)
        return name


def replace_uses(graph: gs.Graph, old: gs.Tensor, new: gs.Tensor) -> None:
    """Every reader of ``old``, graph outputs included, reads ``new`` instead.

    A graph output keeps its name: ``new`` takes it over, unless ``new`` is itself an input or output of the graph
    or a constant; then an Identity carries the name.
    """
    for reader in list(old.outputs):
        for position, tensor in enumerate(reader.inputs):
            if tensor is old:
                reader.inputs[position] = new
    if is_answered(graph, old):
        _take_over_output(graph, old, new)


def _take_over_output(graph: gs.Graph, old: gs.Tensor, new: gs.Tensor) -> None:
    old.inputs.clear()
    pinned = is_constant(new) or any(new is t for t in [*graph.inputs, *graph.outputs])
    if pinned:
        graph.nodes.append(gs.Node(op="Identity", name=f"{old.name}_copy", inputs=[new], outputs=[old]))
        return
    position = next(i for i, output in enumerate(graph.outputs) if output is old)
    old_name, new_name = old.name, new.name
    old.name, new.name = f"{old_name}__was__{new_name}", old_name
    new.dtype, new.shape = old.dtype, old.shape
    graph.outputs[position] = new
