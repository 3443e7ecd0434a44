"""Trains and levels in bytes, and as float32 only for those who read them so."""

from __future__ import annotations

from collections.abc import Iterable

from onnx2snn.runtime.draft import Draft
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.wire import FLOAT, UINT8

_MOVING = ("Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


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
            self._bytes[tensor] = self._draft.add("Cast", [tensor], output=tensor, to=UINT8)
            self._floats.add(tensor)
        return self._bytes[tensor]

    def read_as_floats(self, tensors: Iterable[str]) -> None:
        """Make float32 of those of ``tensors`` that stand in the draft as bytes alone."""
        for name in tensors:
            if name in self._bytes and name not in self._floats:
                self._draft.add("Cast", [self._bytes[name]], output=name, last=True, to=FLOAT)
                self._floats.add(name)

    def move(self, node: Node) -> bool:
        """Let an operator that only moves values, or takes the largest, work on bytes; False if it is none, or reads none."""
        moves = node.operator in _MOVING and not node.domain and len(node.outputs) == 1
        if not moves or node.inputs[0] not in self._bytes or node.inputs[0] in self._floats:
            return False
        moved = self._draft.fresh(node.outputs[0])
        inputs = [self._bytes[node.inputs[0]], *node.inputs[1:]]
        self._draft.keep(node.with_inputs(inputs).with_outputs([moved]))
        self._bytes[node.outputs[0]] = moved
        return True
