"""A graph in the making: what rewrites at session time read from a network, and write in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime import wire
from onnx2snn.runtime.network import Network, Node, read_node
from onnx2snn.runtime.step_graphs import serialized
from onnx2snn.runtime.tensors import decoded

Array: TypeAlias = NDArray[Any]

_GRAPH, _INITIALIZER = 7, 5
#: Bytes from which new constants stay out of the serialized model.
_LARGE = 4096
#: Bytes up to which decoded values of the network are kept: more of them would be copies of weights.
_KEPT = 1 << 16


@dataclass(frozen=True)
class Written:
    """A model, but for its large new constants.

    Attributes:
        content: The serialized model; its nodes read the constants, which it does not hold.
        constants: By name.
    """

    content: bytes
    constants: Mapping[str, Array] = field(default_factory=dict)

    def whole(self) -> bytes:
        """The serialized model, which holds them."""
        return self.content + _graph_of(
            wire.tensor_head(values, name) + values.tobytes() for name, values in self.constants.items()
        )

    def hollow(self) -> bytes:
        """The serialized model, which says of them that they lie elsewhere: for who gives them to a runtime himself."""
        return self.content + _graph_of(
            wire.external_tensor(values, name, "memory") for name, values in self.constants.items()
        )


def _graph_of(tensors: Iterable[bytes]) -> bytes:
    """A field that adds initializers to the graph of a model."""
    return wire.message(_GRAPH, b"".join(wire.message(_INITIALIZER, tensor) for tensor in tensors))


class Draft:
    """A network, and the nodes that are to stand in place of its own.

    Args:
        network: What is rewritten; not changed.
        folder: Of its file, for weights in a file of their own.
        growth: A matrix in place of a kernel may hold this many times its weights.
    """

    def __init__(self, network: Network, folder: Path | None = None, *, growth: float = 2.0) -> None:
        self.network = network
        self.growth = growth
        self._folder = folder
        self._nodes: list[bytes] = []
        self._held: dict[str, Array] = {}
        self._values: dict[str, Array | None] = {}
        self._names: Counter[str] = Counter()
        self._readers: dict[str, list[Node]] = {}
        for node in network.nodes:
            for name in node.reads:
                self._readers.setdefault(name, []).append(node)

    def value(self, name: str) -> Array | None:
        """The values of a constant; None of anything else."""
        if name in self._held:
            return self._held[name]
        if name not in self._values:
            stored = self.network.initializers.get(name)
            content = None if stored is None else next(value for _, _, value, _, _ in wire.fields(stored))
            known = content is not None and stored is not None and stored[0] >> 3 == _INITIALIZER
            values = decoded(content, self._folder) if known and content is not None else None
            if values is not None and values.nbytes > _KEPT:
                return values
            self._values[name] = values
        return self._values[name]

    def sample_shape(self, name: str) -> tuple[int, ...] | None:
        """Sizes of one sample, without the first axis; None where one of them is open."""
        shape = self.network.shapes.get(name, (None, None))[1:]
        return None if None in shape else tuple(size for size in shape if size is not None)

    def producer(self, name: str) -> Node | None:
        """The node of the network that writes ``name``."""
        position = self.network.producers.get(name)
        return None if position is None else self.network.nodes[position]

    def only_reader(self, name: str) -> Node | None:
        """The one node that reads ``name``, if nothing else does."""
        found = self._readers.get(name, [])
        return found[0] if len(found) == 1 and name not in self.network.outputs else None

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        self._names[stem] += 1
        return f"{stem}/special{self._names[stem]}"

    def hold(self, stem: str, values: Any, dtype: Any = np.float32) -> str:
        """The name of a new constant."""
        name = self.fresh(stem)
        self._held[name] = np.ascontiguousarray(values, dtype)
        return name

    def add(
        self, operator: str, inputs: Iterable[str], *, output: str, last: bool = False, **attributes: object
    ) -> str:
        """A node of the default domain with one output; its name is ``output`` itself, or a fresh one after it."""
        name = output if last else self.fresh(output)
        self._nodes.append(wire.node(operator, inputs, [name], **attributes))
        return name

    def keep(self, node: Node) -> None:
        """``node`` as it is."""
        self._nodes.append(node.content)

    def model(self, functions: Iterable[bytes]) -> Written:
        """The model, with the constants that it still reads."""
        read = {name for content in self._nodes for name in read_node(memoryview(content)).reads}
        read.update(self.network.outputs)
        initializers: list[bytes | memoryview] = [
            stored for name, stored in self.network.initializers.items() if name in read
        ]
        large = {n: v for n, v in self._held.items() if n in read and v.nbytes >= _LARGE}
        initializers += [
            wire.message(_INITIALIZER, wire.tensor_head(values, name) + values.tobytes())
            for name, values in self._held.items()
            if name in read and name not in large
        ]
        content = serialized(
            self.network,
            nodes=self._nodes,
            initializers=initializers,
            inputs=self.network.inputs.values(),
            outputs=self.network.outputs.values(),
            functions=functions,
        )
        return Written(content, large)
