"""Entrywise operators between two tensors, run as they are: what a source makes of a potential, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.entrywise import Opsets, copied, is_parameter, sample_of
from onnx2snn.graph.core import Array, signals, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.reference import Reference

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
    found: dict[int, gs.Node] = {}
    waiting = [output]
    while waiting:
        tensor = waiting.pop()
        if tensor is root:
            continue
        for node in tensor.inputs:
            if id(node) not in found:
                found[id(node)] = node
                waiting.extend(signals(node))
    return Chain(root, output, tuple(sorted(found.values(), key=lambda n: order[id(n)])))


class Evaluation:
    """A chain in onnxruntime, for the channels of one sample that differ in its constants.

    Attributes:
        channels: Their number C.

    Args:
        chain: It.
        inner: A tensor of the chain whose values are wanted, too.
        opsets: Of the graph.
    """

    def __init__(self, chain: Chain, inner: gs.Tensor, opsets: Opsets) -> None:
        rank = len(chain.root.shape)
        constants = [t for node in chain.nodes for t in node.inputs]
        sample = sample_of(constants, chain.root.shape)
        if sample is None:
            raise AssertionError("entrywise operators keep samples apart")
        self._sample, self._rank, self._inverse = sample, rank, None
        self._load(chain, inner, opsets, {}, sample)
        copies, shape, inverse = _distinct(constants, sample, chain.root.shape)
        if inverse is not None:
            z = np.random.default_rng(0).normal(0, 4, (_TRIED, 1)).astype(np.float32)
            whole = self.run(z)
            self._load(chain, inner, opsets, copies, shape)
            for one, other in zip(whole, self.run(z), strict=True):
                if not np.array_equal(one, other[:, inverse], equal_nan=True):
                    raise AssertionError("what channels share is not all that they are made of")
            self._inverse = inverse

    def _load(
        self,
        chain: Chain,
        inner: gs.Tensor,
        opsets: Opsets,
        copies: dict[int, gs.Tensor],
        shape: tuple[int, ...],
    ) -> None:
        self._shape, self.channels = shape, int(np.prod(shape))
        entrance = gs.Variable("z", np.float32, ["P", *shape])
        copies[id(chain.root)] = entrance
        nodes = [copied(node, copies, f"{i}") for i, node in enumerate(chain.nodes)]
        outputs = []
        for name, tensor in (("inner", inner), ("output", chain.output)):
            out = gs.Variable(name, np.float32, [f"{name}_{i}" for i in range(self._rank)])
            nodes.append(gs.Node("Cast", name, {"to": 1}, [copies[id(tensor)]], [out]))
            outputs.append(out)
        model = to_split_model(gs.Graph(nodes, [entrance], outputs, name="chain", **opsets.of_graph()))
        self._reference = Reference(model)

    def run(self, z: Single) -> tuple[Single, Single]:
        """The inner tensor and the output (P, C) at potentials (P, C), or (P, 1) for all channels."""
        rows = max(1, _AT_A_TIME // self.channels)
        parts = [self._some(z[first : first + rows]) for first in range(0, max(len(z), 1), rows)]
        inner, output = (np.concatenate(column) for column in zip(*parts, strict=True))
        return inner, output

    def _some(self, z: Single) -> tuple[Single, Single]:
        whole = np.broadcast_to(z, (len(z), self.channels)).reshape(len(z), *self._shape)
        answer = self._reference.run({"z": np.ascontiguousarray(whole)})
        inner, output = (
            np.broadcast_to(answer[name], whole.shape).reshape(len(z), self.channels)
            for name in ("inner", "output")
        )
        return inner, output

    def spread(self, values: Array) -> Array:
        """(J, C) as parameters (J, ...) of one sample."""
        if self._inverse is None:
            return (
                values.reshape(len(values), *self._sample)
                if self.channels > 1
                else values.reshape(len(values))
            )
        return values[:, self._inverse].reshape(len(values), *self._sample)

    def gathered(self, values: Array) -> Array:
        """Parameters (J, ...) of one sample by channel, (J, C)."""
        whole = np.broadcast_to(
            values.reshape(len(values), *(1,) * (self._rank - values.ndim), *values.shape[1:]),
            (len(values), *self._sample),
        ).reshape(len(values), -1)
        if self._inverse is None:
            return whole
        return whole[:, np.unique(self._inverse, return_index=True)[1]]


def _distinct(
    tensors: Sequence[gs.Tensor], sample: tuple[int, ...], shape: Sequence[int | str]
) -> tuple[dict[int, gs.Tensor], tuple[int, ...], NDArray[np.int64] | None]:
    """Constants of one channel each of those that are alike, by id; the shape of these channels; which of them each one is.

    None where parameters differ along several axes, or all channels.
    """
    axes = [axis for axis, size in enumerate(sample) if size > 1]
    if len(axes) != 1:
        return {}, sample, None
    axis, size = axes[0], sample[axes[0]]
    own = [t for t in tensors if is_parameter(t, shape)]
    columns = [np.ascontiguousarray(value_of(t)).view(np.uint8).reshape(size, -1) for t in own]
    _, first, inverse = np.unique(
        np.concatenate(columns, axis=1), axis=0, return_index=True, return_inverse=True
    )
    if len(first) == size:
        return {}, sample, None
    copies: dict[int, gs.Tensor] = {
        id(t): gs.Constant(f"{t.name}#{number}", np.take(value_of(t), first, axis=axis - len(sample)))
        for number, t in enumerate(own)
    }
    return copies, tuple(len(first) if a == axis else 1 for a in range(len(sample))), inverse.reshape(-1)
