"""What lies between neurons, in the words of NIR: convolutions, affine maps, pools, sums as edges."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from onnx2snn.compile.draft import attributes
from onnx2snn.errors import ConversionError
from onnx2snn.exchange.nir_package import NirPackage
from onnx2snn.graph.core import Array

if TYPE_CHECKING:
    from nir import NIRNode

#: What to do about an operator that NIR has no word for.
REMEDY = "exchange the .onnx file instead, or what compile makes of it"


@dataclasses.dataclass
class Tensor:
    """A tensor of the network, as NIR has it: the sum of what some nodes send, and a constant.

    Attributes:
        sources: Names of the nodes; a sum of tensors is all of their edges.
        shape: Of one sample.
        bias: The constant, which broadcasts to the shape; None for zero.
        share: What the nodes send is so many times the tensor: the next synapses divide it out.
    """

    sources: tuple[str, ...]
    shape: tuple[int, ...]
    bias: Array | None = None
    share: float = 1.0


@dataclasses.dataclass
class NirDraft:
    """A graph of NIR in the making.

    Attributes:
        nir: The package, an extra.
        nodes: By name.
        edges: From, to.
        average: Whether pools are AvgPool2d: some readers know that alone, others SumPool2d alone.
    """

    nir: NirPackage
    nodes: dict[str, NIRNode] = dataclasses.field(default_factory=dict)
    edges: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    average: bool = False

    def add(self, name: str, node: NIRNode, *sources: str) -> str:
        """A node that reads the sum of ``sources``; its name, in which NIR's files allow no slashes."""
        plain = name.replace("/", ".")
        while plain in self.nodes:
            plain += "_"
        self.nodes[plain] = node
        self.edges += [(source, plain) for source in sources]
        return plain


@dataclasses.dataclass(frozen=True)
class Translation:
    """A node of ONNX that is to be said in the words of NIR.

    Attributes:
        draft: Where.
        node: The node.
        read: Its signals.
        held: Its constants, by place.
        shape: Of what it writes, of one sample.
    """

    draft: NirDraft
    node: onnx.NodeProto
    read: Sequence[Tensor]
    held: dict[int, Array]
    shape: tuple[int, ...]

    @property
    def nir(self) -> NirPackage:
        """The package."""
        return self.draft.nir

    def sent(self, made: NIRNode, tensor: Tensor, suffix: str = "") -> str:
        """The name of the node ``made``, which reads ``tensor``."""
        return self.draft.add(f"{self.node.name}{suffix}", made, *tensor.sources)


#: Writes a node of ONNX.
Writer = Callable[[Translation], Tensor]


def refusal(node: onnx.NodeProto, message: str, found: object = None) -> ConversionError:
    """That NIR cannot say this."""
    return ConversionError(message, node=node.name, operator=node.op_type, found=found, remedy=REMEDY)


def _paddings(node: onnx.NodeProto, held: dict[str, Any], rank: int) -> list[int]:
    pads = list(held.get("pads", [0] * 2 * rank))
    automatic = held.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    if automatic or pads[:rank] != pads[rank:]:
        raise refusal(node, "NIR pads both ends of an axis alike", pads)
    return pads[:rank]


def _nothing_in_front(node: onnx.NodeProto, tensor: Tensor) -> None:
    if tensor.bias is not None:
        raise refusal(node, "a constant that stands in front of this operator has no place in NIR")


def settled(draft: NirDraft, tensor: Tensor) -> Tensor:
    """``tensor`` as it is: where no synapses are to come, a Scale divides."""
    if tensor.share == 1:
        return tensor
    scale = draft.nir.Scale(np.full(tensor.shape, 1 / tensor.share, np.float32))
    return Tensor(
        (draft.add(f"{tensor.sources[0]}.share", scale, *tensor.sources),), tensor.shape, tensor.bias
    )


def _convolution(call: Translation) -> Tensor:
    (tensor,), options = call.read, attributes(call.node)
    weight = np.asarray(call.held[1] / np.float32(tensor.share), np.float32)
    rank = weight.ndim - 2
    _nothing_in_front(call.node, tensor)
    if rank not in (1, 2):
        raise refusal(call.node, "NIR has convolutions along one axis and along two", f"{rank} axes")
    padding = _paddings(call.node, options, rank)
    strides, dilations = (list(options.get(key, [1] * rank)) for key in ("strides", "dilations"))
    groups, zeros = int(options.get("group", 1)), np.zeros(len(weight), np.float32)
    if rank == 1:
        made: NIRNode = call.nir.Conv1d(
            tensor.shape[1], weight, strides[0], padding[0], dilations[0], groups, zeros
        )
    else:
        sizes = (tuple(strides), tuple(padding), tuple(dilations))
        made = call.nir.Conv2d(tensor.shape[1:], weight, *sizes, groups, zeros)
    bias = call.held.get(2)
    sent = call.sent(made, tensor)
    return Tensor((sent,), call.shape, None if bias is None else bias.reshape(-1, *[1] * rank))


def _affine(call: Translation) -> Tensor:
    (tensor,), options = call.read, attributes(call.node)
    _nothing_in_front(call.node, tensor)
    if 1 not in call.held or call.held[1].ndim != 2 or len(tensor.shape) != 1 or options.get("transA"):
        raise refusal(call.node, "NIR multiplies a vector of each sample by a constant matrix", tensor.shape)
    weight = (
        np.ascontiguousarray(call.held[1] if options.get("transB") else call.held[1].T)
        * options.get("alpha", 1.0)
        / tensor.share
    )
    zeros = np.zeros(len(weight), np.float32)
    sent = call.sent(call.nir.Affine(weight.astype(np.float32), zeros), tensor)
    bias = None if 2 not in call.held else call.held[2].reshape(-1) * np.float32(options.get("beta", 1.0))
    return Tensor((sent,), call.shape, bias)


def _pool(call: Translation) -> Tensor:
    (tensor,), options = call.read, attributes(call.node)
    _nothing_in_front(call.node, tensor)
    if len(tensor.shape) != 3:
        raise refusal(call.node, "NIR pools along two axes", tensor.shape)
    whole = list(tensor.shape[1:])
    kernel = list(options.get("kernel_shape", whole))
    strides = list(options.get("strides", [1, 1] if "kernel_shape" in options else whole))
    padding = _paddings(call.node, options, 2)
    inside = any(padding) and not options.get("count_include_pad", 0)
    sizes = [
        (s + 2 * p - k) // stride + 1 for s, p, k, stride in zip(whole, padding, kernel, strides, strict=True)
    ]
    spread = any(d != 1 for d in options.get("dilations", []))
    if inside or spread or sizes != list(call.shape[1:3] or [1, 1]):
        raise refusal(call.node, "NIR adds up whole windows, inside of the image and its padding")
    average = call.draft.average
    pool, weight = (call.nir.AvgPool2d, 1) if average else (call.nir.SumPool2d, math.prod(kernel))
    made, share = pool(np.array(kernel), np.array(strides), np.array(padding)), tensor.share * weight
    pooled = Tensor((call.sent(made, tensor),), (tensor.shape[0], *sizes), share=share)
    return pooled if len(call.shape) == 3 else _flattened(call, pooled)


def _mean(call: Translation) -> Tensor:
    axes = sorted(int(axis) % 4 for axis in call.held[1].ravel()) if 1 in call.held else []
    if axes != [2, 3]:
        raise refusal(call.node, "NIR pools along two axes", f"axes {axes}")
    whole = onnx.NodeProto(name=call.node.name, op_type=call.node.op_type)
    return _pool(dataclasses.replace(call, node=whole, held={}))


def _reshape(call: Translation) -> Tensor:
    (tensor,) = call.read
    return tensor if tensor.shape == call.shape else _flattened(call, tensor)


def _flattened(call: Translation, tensor: Tensor) -> Tensor:
    _nothing_in_front(call.node, tensor)
    if len(call.shape) != 1:
        raise refusal(call.node, "NIR flattens, and reshapes nothing else", call.shape)
    made = call.nir.Flatten({"input": np.array(tensor.shape)}, start_dim=0, end_dim=-1)
    return Tensor((call.sent(made, tensor, ".flat"),), call.shape, share=tensor.share)


def _sum(call: Translation) -> Tensor:
    first = call.read[0].share
    read = [tensor if tensor.share == first else settled(call.draft, tensor) for tensor in call.read]
    if len({tensor.share for tensor in read}) > 1:
        read = [settled(call.draft, tensor) for tensor in read]
    if call.held or any(tensor.shape != call.shape for tensor in read):
        raise refusal(call.node, "NIR adds what has one shape", [tensor.shape for tensor in read])
    biases = [tensor.bias for tensor in read if tensor.bias is not None]
    sources = [source for tensor in read for source in tensor.sources]
    if len(set(sources)) < len(sources):
        raise refusal(call.node, "NIR has no two edges between the same nodes")
    return Tensor(tuple(sources), call.shape, sum(biases[1:], biases[0]) if biases else None, read[0].share)


def _scale(call: Translation) -> Tensor:
    if len(call.read) != 1 or not call.held or call.read[0].shape != call.shape:
        raise refusal(call.node, "NIR scales by constants of a sample's shape", call.shape)
    (tensor,), (factor,) = call.read, call.held.values()
    if factor.ndim > len(call.shape):
        factor = factor.reshape(factor.shape[-len(call.shape) :])
    whole = np.ascontiguousarray(np.broadcast_to(factor.astype(np.float32), call.shape))
    sent = call.sent(call.nir.Scale(whole), tensor)
    return Tensor((sent,), call.shape, None if tensor.bias is None else tensor.bias * whole, tensor.share)


#: NIR's vocabulary: what each operator of ONNX becomes.
WRITERS: dict[str, Writer] = {
    "Conv": _convolution,
    "Gemm": _affine,
    "MatMul": _affine,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool,
    "ReduceMean": _mean,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Squeeze": _reshape,
    "Identity": _reshape,
    "Mul": _scale,
    "Add": _sum,
    "Sum": _sum,
}
