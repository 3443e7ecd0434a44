"""A network that a tool wrote, in an order and under names of its own making: the same whenever it is written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import onnx

from onnx2snn.model.subgraphs import names_read, subgraphs

#: What tools count up behind the name of what they add: ``Relu__12:0``, ``conv_prequant__3_DequantizeLinear__14``.
_NUMBER = re.compile(r"(?<=__)\d+(?![0-9A-Za-z])")


def settled(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model``, ordered and numbered as its outputs need what is in it.

        Relu__9, Conv__7, Relu__12      becomes      Conv__1, Relu__2, Relu__3

    A tool that walks over sets counts up in another order each time, and of equal constants keeps another. What outputs need,
    input by input, has one order: nodes are written in it, and the numbers in names go up in it. A constant is named after its
    first reader. Names of inputs and outputs stay; their numbers are given to nothing else.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    nodes = _in_order(graph)
    _name_constants(graph, nodes)
    ends = {info.name for info in (*graph.input, *graph.output)}
    kept = {number for name in ends for number in _NUMBER.findall(name)}
    fresh = (number for number in map(str, itertools.count(1)) if number not in kept)
    given = dict[str, str]()
    for name in (name for node in nodes for name in _names(node) if name not in ends):
        for number in _NUMBER.findall(name):
            if number not in given:
                given[number] = next(fresh)
    del graph.node[:]
    graph.node.extend(nodes)
    there = {name for node in nodes for name in _names(node)} | ends
    _hold(
        graph,
        [tensor for tensor in graph.initializer if tensor.name in there],
        [info for info in graph.value_info if info.name in there],
    )
    _rename(graph, given, ends)
    _hold(
        graph,
        sorted(graph.initializer, key=lambda tensor: tensor.name),
        sorted(graph.value_info, key=lambda info: info.name),
    )
    return copy


def _hold(graph: onnx.GraphProto, tensors: list[onnx.TensorProto], values: list[onnx.ValueInfoProto]) -> None:
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(tensors)
    graph.value_info.extend(values)


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes, each behind those that it reads, first those that the first output needs; what no output needs is left out."""
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    order = dict[int, None]()
    left = [(makers[info.name], False) for info in reversed(graph.output) if info.name in makers]
    while left:
        i, done = left.pop()
        if done:
            order.setdefault(i)
        elif i not in order:
            left.append((i, True))
            read = [makers[name] for name in names_read(graph.node[i]) if name in makers]
            left.extend((j, False) for j in reversed(read) if j not in order)
    return [graph.node[i] for i in order]


def _name_constants(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """After the first output of the first node that reads it, and the position; what subgraphs read, inputs and outputs stay."""
    inside = {name for node in nodes for name in names_read(node) if name not in node.input}
    ends = {info.name for info in (*graph.input, *graph.output)}
    own = {tensor.name for tensor in graph.initializer} - inside - ends
    named: dict[str, str] = {}
    for node in nodes:
        for position, name in enumerate(node.input):
            if name in own:
                node.input[position] = named.setdefault(name, f"{node.output[0]}/constant{position}")
    for tensor in graph.initializer:
        tensor.name = named.get(tensor.name, tensor.name)


def _names(node: onnx.NodeProto) -> Iterator[str]:
    yield from (*node.input, *node.output, node.name)
    for graph in subgraphs(node):
        for inner in graph.node:
            yield from _names(inner)


def _renamed(name: str, given: dict[str, str], ends: set[str]) -> str:
    if name in ends:
        return name
    return _NUMBER.sub(lambda found: given.get(found.group(), found.group()), name)


def _rename(graph: onnx.GraphProto, given: dict[str, str], ends: set[str]) -> None:
    for node in graph.node:
        node.name = _renamed(node.name, given, ends)
        for names in (node.input, node.output):
            names[:] = [_renamed(name, given, ends) for name in names]
        for inner in subgraphs(node):
            _rename(inner, given, ends)
    for tensor in graph.initializer:
        tensor.name = _renamed(tensor.name, given, ends)
    for info in (*graph.value_info, *graph.input, *graph.output):
        info.name = _renamed(info.name, given, ends)
