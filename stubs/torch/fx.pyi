from collections.abc import Iterable, Mapping

from torch import nn

class Node:
    op: str
    target: object
    users: Mapping[Node, None]

class Graph:
    nodes: Iterable[Node]

class GraphModule(nn.Module):
    graph: Graph
