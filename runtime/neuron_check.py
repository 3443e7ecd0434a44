"""The neurons of a file, checked before a runtime gets it: native code forgives a missing operand with a crash."""

from __future__ import annotations

from collections.abc import Iterable

from onnx2snn.runtime.bodies import DOMAIN
from onnx2snn.runtime.wire import fields

#: How many tensors each function of the dialect reads.
OPERANDS = {"IF": 5, "Integrate": 2}

# Field numbers of ModelProto, GraphProto, NodeProto and FunctionProto.
_GRAPH, _FUNCTION, _NODE = 7, 25, 1
_READ, _WRITTEN, _OPERATOR, _NODE_DOMAIN, _FUNCTION_DOMAIN = 1, 2, 4, 7, 10


def check_neurons(content: memoryview, trains: Iterable[str]) -> None:
    """Refuse what no converter has written.

    1. Functions of other domains: they could call each other without end.
    2. Neurons and readouts whose operands are not all there.
    3. Other neurons than those of the layer table.

    Args:
        content: A serialized model.
        trains: What the neurons of the layer table write.

    Raises:
        ValueError: says what is wrong.
    """
    written: list[str] = []
    for number, _, value, _, _ in fields(content):
        if number == _FUNCTION:
            _check_function(value)
        elif number == _GRAPH:
            for part, _, node, _, _ in fields(value):
                if part == _NODE:
                    written += _check_node(node)
    wanted = sorted(trains)
    if wanted and not written:
        raise ValueError("its neurons are no longer there: another tool has written its functions out")
    if sorted(written) != wanted:
        raise ValueError("the layer table does not name the network's neurons")


def _check_function(function: memoryview) -> None:
    domains = [
        bytes(value).decode() for number, _, value, _, _ in fields(function) if number == _FUNCTION_DOMAIN
    ]
    if domains != [DOMAIN]:
        raise ValueError(f"a function of another domain: {', '.join(domains)[:80]}")


def _check_node(node: memoryview) -> list[str]:
    """What a neuron writes; nothing of any other node."""
    held: dict[int, list[str]] = {}
    for number, kind, value, _, _ in fields(node):
        if kind == 2 and number in (_READ, _WRITTEN, _OPERATOR, _NODE_DOMAIN):
            held.setdefault(number, []).append(str(value, "utf-8"))
    if held.get(_NODE_DOMAIN) != [DOMAIN]:
        return []
    operator = (held.get(_OPERATOR) or [""])[0]
    read, written = held.get(_READ, []), held.get(_WRITTEN, [])
    if OPERANDS.get(operator) != len(read) or not all(read) or len(written) != 1:
        raise ValueError(f"{operator[:80] or 'a node'} with {len(read)} operands and {len(written)} results")
    return written if operator == "IF" else []
