"""Trains and levels in bytes, and as float32 only for those who read them so."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import TensorProto

from onnx2snn.compile.draft import Draft, attributes, is_neuron
from onnx2snn.operators import of


def moves_bytes(node: onnx.NodeProto) -> bool:
    """Whether ``node`` only moves values, or takes the largest in windows: runtimes have kernels of bytes for these."""
    return of(node).moves or takes_largest(node)


def takes_largest(node: onnx.NodeProto) -> bool:
    """Whether ``node`` takes the largest value in windows."""
    return bool(of(node).compares and of(node).windows)


def highest_levels(draft: Draft) -> dict[str, int]:
    """The highest level of every train, and of what only moves it."""
    found: dict[str, int] = {}
    for node in draft.nodes:
        if is_neuron(node):
            found[node.output[0]] = int(attributes(node)["levels"])
        elif moves_bytes(node) and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


class ByteTrains:
    """Which tensors of a network stand in a draft as bytes; each is converted at most once, when it is first asked for."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._bytes: dict[str, str] = {}
        self._floats: set[str] = set()

    def hold(self, tensor: str, in_bytes: str) -> None:
        """``tensor`` of the network stands in the draft as ``in_bytes``, and not as float32."""
        self._bytes[tensor] = in_bytes

    def get(self, tensor: str) -> str:
        """The name of ``tensor`` in bytes."""
        if tensor not in self._bytes:
            self._bytes[tensor] = self._draft.at(tensor).add("Cast", [tensor], to=TensorProto.UINT8)
            self._floats.add(tensor)
        return self._bytes[tensor]

    def stands_as(self, tensor: str) -> str:
        """The name under which ``tensor`` stands in the draft, whatever its type."""
        return tensor if tensor in self._floats else self._bytes.get(tensor, tensor)

    def read_as_floats(self, tensors: Iterable[str]) -> None:
        """Make float32 of those of ``tensors`` that stand in the draft as bytes alone."""
        for name in tensors:
            if name in self._bytes and name not in self._floats:
                self._draft.at(name).end("Cast", [self._bytes[name]], to=TensorProto.FLOAT)
                self._floats.add(name)

    def move(self, node: onnx.NodeProto) -> bool:
        """Let an operator that only moves values, or takes the largest, work on bytes; False if it is none, or reads none."""
        moves = moves_bytes(node) and len(node.output) == 1
        if not moves or node.input[0] not in self._bytes or node.input[0] in self._floats:
            return False
        moved = self._draft.fresh(node.output[0])
        self._draft.keep(node, [self._bytes[node.input[0]], *node.input[1:]], [moved])
        self._bytes[node.output[0]] = moved
        return True
