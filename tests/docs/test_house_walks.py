"""What benchmarks/house.py takes for a walk that computes a fact, and what not."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "house_walks.py"

WALKS = {
    "a loop that remembers": """
def kinds(graph):
    found = {}
    for node in graph.nodes:
        found[node.outputs[0]] = max(found.get(t, 0) for t in node.inputs)
""",
    "an attribute that a method reads": """
class A:
    def __init__(self, graph):
        for node in reversed(graph.node):
            self._paths[node.output[0]] = self._common(node)
    def _common(self, node):
        return self._path(node)
    def _path(self, node):
        return self._paths[node.input[0]]
""",
    "a worklist": """
def needed(tensor):
    waiting = [tensor]
    while waiting:
        waiting.extend(waiting.pop().inputs)
""",
    "a function that calls itself along edges": """
def depth(node):
    return 1 + max((depth(t.inputs[0]) for t in node.inputs), default=0)
""",
}
NONE = {
    "each node by itself": """
def spell(graph):
    names = []
    for node in graph.nodes:
        node.inputs = [t for t in node.inputs if t]
        names.append(node.name)
""",
    "the nodes of a chain": """
def copies(chain):
    made = {}
    for node in chain.nodes:
        made[node.outputs[0]] = [made.get(t, t) for t in node.inputs]
""",
    "one path, step by step": """
def first(node):
    while node.inputs[0].inputs:
        node = node.inputs[0].inputs[0]
""",
    "a descent into subgraphs": """
def rename(graph, names):
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in subgraphs(node):
            rename(body, names)
""",
    "a function of the same name as the method": """
class A:
    def of_samples(self):
        return of_samples((node.op_type, node.input) for node in self.graph.node)
""",
}


@pytest.fixture(scope="module")
def house_walks() -> Any:
    spec = importlib.util.spec_from_file_location("house_walks", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", WALKS.values(), ids=WALKS)
def test_it_is_a_walk(house_walks: Any, text: str) -> None:
    assert len(list(house_walks.fact_walks("some.py", ast.parse(text)))) == 1


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_it_is_none(house_walks: Any, text: str) -> None:
    assert list(house_walks.fact_walks("some.py", ast.parse(text))) == []


def test_facts_of_the_shared_walks_are_counted_apart(house_walks: Any) -> None:
    tree = ast.parse("def kinds(graph):\n    return carried(graph.nodes, rule)\n")
    assert list(house_walks.fact_walks("some.py", tree)) == []
    assert list(house_walks.shared_walks("some.py", tree)) == ["some.py:2: carried"]
