"""Entrywise operators between two tensors, run as they are: what a source makes of a potential, bit for bit."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.distinct_places import Places, one_place, together
from onnx2snn.activations.entrywise import Opsets, copied, is_parameter, read_by_place, sample_of
from onnx2snn.graph.core import Array, signals, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.graph.walks import reached
from onnx2snn.model.reference import Reference
from onnx2snn.model.weights import SplitModel

Single = NDArray[np.float32]
#: Potentials at which channels that share constants are compared with all.
_TRIED = 16
#: Potentials that are run at a time.
_AT_A_TIME = 1 << 21


@dataclass(frozen=True)
class Chain:
    """Entrywise operators between two tensors.

    Attributes:
        root: What all are made of.
        output: What the last one writes.
        nodes: They, in topological order.
    """

    root: gs.Tensor
    output: gs.Tensor
    nodes: tuple[gs.Node, ...]


def between(root: gs.Tensor, output: gs.Tensor, order: Mapping[int, int]) -> Chain:
    """The operators that make ``output`` of ``root``; ``order`` numbers nodes by id."""

    def makers(tensor: gs.Tensor) -> list[gs.Node]:
        return [] if tensor is root else list(tensor.inputs)

    found = reached(makers(output), lambda node: [maker for t in signals(node) for maker in makers(t)])
    return Chain(root, output, tuple(sorted(found, key=lambda n: order[id(n)])))


class Sharing:
    """Which places of a sample have the same parameters: a chain is evaluated once for each of them.

    Attributes:
        sample: The shape of one, 1 along axes on which nothing depends.
        shape: Of a sample with one place of each kind.
        channels: How many kinds C there are.
        copies: Parameters of such a sample, by the id of those that they stand for.

    Args:
        tensors: What a chain reads.
        root: What it is made of.
    """

    def __init__(self, tensors: Sequence[gs.Tensor], root: gs.Tensor) -> None:
        sample = sample_of(tensors, root.shape)
        if sample is None:
            raise AssertionError("entrywise operators keep samples apart")
        own = {id(t): t for t in tensors if is_parameter(t, root.shape)}
        values = {i: _of_sample(value_of(t), len(sample)) for i, t in own.items()}
        places = functools.reduce(together, map(_kinds, values.values()), one_place(sample))
        first = np.unique(places.inverse, return_index=True)[1]
        self._first = np.sort(first)  # kinds are numbered as they occur
        self._inverse = np.argsort(np.argsort(first))[places.inverse]
        self.sample, self.channels, self.shape = sample, places.count, sample
        self.copies: dict[int, gs.Tensor] = {}
        if self.is_less:
            varied = [axis for axis, size in enumerate(sample) if size > 1]
            self.shape = tuple(self.channels if axis in varied[:1] else 1 for axis in range(len(sample)))
            for number, (i, v) in enumerate(values.items()):
                held = np.broadcast_to(v, sample).reshape(-1)[self._first].reshape(self.shape)
                self.copies[i] = gs.Constant(f"{own[i].name}#{number}", held)

    @property
    def is_less(self) -> bool:
        """Whether places share anything."""
        return 1 <= self.channels < len(self._inverse)

    def spread(self, values: Array) -> Array:
        """(J, C) at the places of one sample, (J, ...)."""
        return values[:, self._inverse].reshape(len(values), *self.sample)

    def gathered(self, values: Array) -> Array:
        """Parameters (J, ...) of one sample by kind, (J, C)."""
        ranked = values.reshape(len(values), *(1,) * (len(self.sample) + 1 - values.ndim), *values.shape[1:])
        return np.broadcast_to(ranked, (len(values), *self.sample)).reshape(len(values), -1)[:, self._first]


def _of_sample(values: Array, rank: int) -> Array:
    return values.reshape(values.shape[max(0, values.ndim - rank) :])


def _kinds(values: Array) -> Places:
    """Which of ``values`` are the same, bit for bit."""
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    kinds, inverse = np.unique(bits, return_inverse=True)
    return Places(values.shape, inverse.reshape(-1), len(kinds))


@dataclass(frozen=True)
class Part:
    """Operators that are run beside others.

    Attributes:
        root: What they are made of.
        nodes: They, in topological order.
        outputs: What is asked of them.
        shape: Of a sample of the root.
        copies: Constants in place of others, by the id of those.
    """

    root: gs.Tensor
    nodes: Sequence[gs.Node]
    outputs: Sequence[gs.Tensor]
    shape: tuple[int, ...]
    copies: Mapping[int, gs.Tensor]


def side_by_side(parts: Sequence[Part], opsets: Opsets) -> SplitModel:
    """One model: of part i, float32 from ``zi`` to ``zi/0``, ``zi/1`` ..."""
    inputs: list[gs.Tensor] = []
    outputs: list[gs.Tensor] = []
    nodes: list[gs.Node] = []
    for i, part in enumerate(parts):
        inputs.append(gs.Variable(f"z{i}", np.float32, [f"P{i}", *part.shape]))
        copies: dict[int, gs.Tensor] = {
            k: gs.Constant(f"{t.name}/{i}", value_of(t)) for k, t in part.copies.items()
        }
        copies[id(part.root)] = inputs[-1]
        nodes += [copied(node, copies, f"{i}_{number}") for number, node in enumerate(part.nodes)]
        for j, tensor in enumerate(part.outputs):
            sizes = [f"z{i}_{j}_{axis}" for axis in range(len(part.root.shape))]
            outputs.append(gs.Variable(f"z{i}/{j}", np.float32, sizes))
            nodes.append(gs.Node("Cast", f"z{i}/{j}", {"to": 1}, [copies[id(tensor)]], [outputs[-1]]))
    return to_split_model(gs.Graph(nodes, inputs, outputs, name="chains", **opsets.of_graph()))


class ChainEvaluation:
    """A chain in onnxruntime, for the channels of one sample that differ in its constants.

    Attributes:
        channels: Their number C.
        key: Of its operators and constants: equal ones answer equally.

    Args:
        chain: It.
        inner: A tensor of the chain whose values are wanted, too.
        opsets: Of the graph.
    """

    def __init__(self, chain: Chain, inner: gs.Tensor, opsets: Opsets) -> None:
        self._sharing = Sharing([t for node in chain.nodes for t in read_by_place(node)], chain.root)
        self.gathered = self._sharing.gathered
        if self._sharing.is_less:
            self._load(chain, inner, opsets)
            z = np.random.default_rng(0).normal(0, 4, (_TRIED, 1)).astype(np.float32)
            whole = self.run(z)
        self._load(chain, inner, opsets, self._sharing)
        if self._sharing.is_less:
            for one, other in zip(whole, self.run(z), strict=True):
                if not np.array_equal(one, self._sharing.spread(other).reshape(one.shape), equal_nan=True):
                    raise AssertionError("what channels share is not all that they are made of")

    def _load(self, chain: Chain, inner: gs.Tensor, opsets: Opsets, sharing: Sharing | None = None) -> None:
        copies = {} if sharing is None else sharing.copies
        self._shape = self._sharing.sample if sharing is None else sharing.shape
        self.channels = int(np.prod(self._shape))
        part = Part(chain.root, chain.nodes, (inner, chain.output), self._shape, copies)
        model = side_by_side([part], opsets)
        self.key = hashlib.blake2b(model.whole().SerializeToString(deterministic=True)).digest()
        self._reference = Reference(model)

    def run(self, z: Single) -> tuple[Single, Single]:
        """The inner tensor and the output (P, C) at potentials (P, C), or (P, 1) for all channels."""
        rows = self.at_a_time
        if len(z) <= rows:
            return self._some(z)
        inner, output = (np.empty((len(z), self.channels), np.float32) for _ in range(2))
        for first in range(0, len(z), rows):
            at = slice(first, first + rows)
            inner[at], output[at] = self._some(z[at])
        return inner, output

    @property
    def at_a_time(self) -> int:
        """How many potentials are run at a time."""
        return max(1, _AT_A_TIME // self.channels)

    def _some(self, z: Single) -> tuple[Single, Single]:
        whole = np.broadcast_to(z, (len(z), self.channels)).reshape(len(z), *self._shape)
        answer = self._reference.run({"z0": np.ascontiguousarray(whole)})
        inner, output = (
            np.broadcast_to(answer[name], whole.shape).reshape(len(z), self.channels)
            for name in ("z0/0", "z0/1")
        )
        return inner, output

    def spread(self, values: Array) -> Array:
        """(J, C) as parameters (J, ...) of one sample."""
        return values.reshape(len(values)) if self.channels == 1 else self._sharing.spread(values)
