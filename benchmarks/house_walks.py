"""Walks over graphs that compute a fact, found in Python's own syntax trees: what benchmarks/house.py counts of them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

#: Here facts are computed for everybody, by these functions.
WALKS = "onnx2snn/graph/walks.py"
_SHARED = ("carried", "values_forward", "forward", "backward", "reached")
#: What joins nodes, by its names in graphs and models.
_EDGES = ("inputs", "outputs", "input", "output")
#: How methods that fill a container are called, and variables that hold a few nodes in a row.
_FILLING = ("add", "append", "appendleft", "extend", "insert", "setdefault", "update")
_CHAINS = ("chain", "value", "one", "found", "region", "part", "v")


def fact_walks(path: str, tree: ast.Module) -> Iterator[str]:
    """Walks that compute a fact, written by hand: what is found at one node is read again at another.

    1. A loop over the nodes of a graph, in whatever order, that remembers something of one node and reads it at another:
       a container that is filled and read in the same loop. A loop that looks at each node by itself (to rewrite or to count
       it) is none, nor is one over the few nodes of a chain.
    2. A worklist, or a function that calls itself, along the edges of nodes. One path followed step by step is none: that is
       how a pattern is matched. Nor is a descent into the subgraphs of nodes.

    Facts that the shared walks of ``onnx2snn/graph/walks.py`` compute are counted apart: :func:`shared_walks`.
    """
    if path == WALKS:
        return
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        for node in ast.walk(function):
            if isinstance(node, ast.For) and _is_of_nodes(node.iter):
                memory = sorted(_filled(node.body) & _read_names(node.body, tree))
                memory = [name for name in memory if name.split(".")[0] not in _bound(node)]
                if memory and _meets_edges(node):
                    yield f"{path}:{node.lineno}: {ast.unparse(node.iter)} remembers {', '.join(memory)}"
            elif isinstance(node, ast.While) and _meets_edges(node) and _takes_off(node):
                yield f"{path}:{node.lineno}: while {ast.unparse(node.test)}"
        if any(_goes_along_edges(call, function) for call in _own_calls(function)):
            yield f"{path}:{function.lineno}: {function.name} calls itself"


def shared_walks(path: str, tree: ast.Module) -> Iterator[str]:
    """Facts that the shared walks compute: calls of them."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    for call in calls if path != WALKS else ():
        if ast.unparse(call.func) in _SHARED:
            yield f"{path}:{call.lineno}: {ast.unparse(call.func)}"


def _is_of_nodes(over: ast.expr) -> bool:
    """Whether a loop goes over the nodes of a graph: ``x.nodes``, ``x.node`` or ``nodes``, but of no chain of operators."""
    while isinstance(over, ast.Call) and over.args:
        over = over.args[0]
    if isinstance(over, ast.Attribute) and over.attr in ("nodes", "node"):
        return ast.unparse(over.value).rsplit(".", 1)[-1] not in _CHAINS
    return isinstance(over, ast.Name) and over.id == "nodes"


def _filled(body: list[ast.stmt]) -> set[str]:
    """What is filled: ``x[...] = ...``, ``x |= ...``, ``x.add(...)``."""
    found = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.add(ast.unparse(node.value))
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr):
            found.add(ast.unparse(node.target))
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FILLING
        ):
            found.add(ast.unparse(node.func.value))
    return found


def _read_names(body: list[ast.stmt], tree: ast.Module) -> set[str]:
    """What is read, but not to fill it; an attribute of ``self`` also by methods that are called, and by those that they call."""
    counts: Counter[str] = Counter()
    methods = {f"self.{n.name}": n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    waiting, further = list(body), set[str]()
    for statement in waiting:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                counts[ast.unparse(node)] += 1
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                counts[ast.unparse(node.value)] -= 1
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                counts[ast.unparse(node.func.value)] -= node.func.attr in _FILLING
                if (method := methods.pop(ast.unparse(node.func), None)) is not None:
                    waiting += method.body
                    further |= {
                        n
                        for inner in method.body
                        for n in map(ast.unparse, ast.walk(inner))
                        if n.startswith("self.")
                    }
    return {name for name, count in counts.items() if count > 0} | further


def _bound(loop: ast.For) -> set[str]:
    """Names that the loop binds anew: no memory."""
    return {n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _meets_edges(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr in _EDGES for n in ast.walk(node))


def _takes_off(loop: ast.While) -> bool:
    calls = (n.func for n in ast.walk(loop) if isinstance(n, ast.Call))
    return any(isinstance(f, ast.Attribute) and f.attr in ("pop", "popleft") for f in calls)


def _own_calls(function: ast.FunctionDef) -> list[ast.Call]:
    """A method calls itself by ``self``: its bare name is that of a function of the module."""
    first = function.args.args[0].arg if function.args.args else ""
    own = f"self.{function.name}" if first == "self" else function.name
    return [n for n in ast.walk(function) if isinstance(n, ast.Call) and ast.unparse(n.func) == own]


def _goes_along_edges(call: ast.Call, function: ast.FunctionDef) -> bool:
    """Whether what ``function`` is called with again is reached by an edge: what a node reads or writes, or who does."""
    given = {n.id for argument in call.args for n in ast.walk(argument) if isinstance(n, ast.Name)}
    assigned = [
        n
        for n in ast.walk(function)
        if isinstance(n, (ast.For, ast.comprehension, ast.Assign, ast.NamedExpr))
    ]
    sources = [n.iter if isinstance(n, (ast.For, ast.comprehension)) else n.value for n in assigned]
    targets = [n.targets[0] if isinstance(n, ast.Assign) else n.target for n in assigned]
    made = [
        s
        for t, s in zip(targets, sources, strict=True)
        if given & {n.id for n in ast.walk(t) if isinstance(n, ast.Name)}
    ]
    inside = any("subgraphs(" in ast.unparse(source) for source in sources)
    return not inside and any(map(_meets_edges, [*call.args, *made]))
