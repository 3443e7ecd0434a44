"""What lies between neurons, in the words of NIR: convolutions, affine maps, pools, sums as edges."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import Array

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
        nodes: By name.
        edges: From, to.
        average: Whether pools are AvgPool2d: some readers know that alone, others SumPool2d alone.
    """

    nodes: dict[str, Any] = dataclasses.field(default_factory=dict)
    edges: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    average: bool = False

    def add(self, name: str, node: Any, *sources: str) -> str:
        """A node that reads the sum of ``sources``; its name, in which NIR's files allow no slashes."""
        plain = name.replace("/", ".")
        while plain in self.nodes:
            plain += "_"
        self.nodes[plain] = node
        self.edges += [(source, plain) for source in sources]
        return plain


#: Writes a node of ONNX: what it reads, its constants by place, the shape of what it writes.
Writer = Callable[[NirDraft, onnx.NodeProto, Sequence[Tensor], dict[int, Array], tuple[int, ...]], Tensor]


def refusal(node: onnx.NodeProto, message: str, found: object = None) -> ConversionError:
    """That NIR cannot say this."""
    return ConversionError(message, node=node.name, operator=node.op_type, found=found, remedy=REMEDY)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _paddings(node: onnx.NodeProto, held: dict[str, Any], rank: int) -> list[int]:
    pads = list(held.get("pads", [0] * 2 * rank))
    automatic = held.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    if automatic or pads[:rank] != pads[rank:]:
        raise refusal(node, "NIR pads both ends of an axis alike", pads)
    return pads[:rank]


def _nothing_in_front(node: onnx.NodeProto, tensor: Tensor) -> None:
    if tensor.bias is not None:
        raise refusal(node, "a constant that stands in front of this operator has no place in NIR")


def settled(draft: NirDraft, tensor: Tensor) -> Tensor:
    """``tensor`` as it is: where no synapses are to come, a Scale divides."""
    import nir  # noqa: PLC0415 - an extra

    if tensor.share == 1:
        return tensor
    scale = nir.Scale(np.full(tensor.shape, 1 / tensor.share, np.float32))
    return Tensor(
        (draft.add(f"{tensor.sources[0]}.share", scale, *tensor.sources),), tensor.shape, tensor.bias
    )


def _convolution(
    draft: NirDraft,
    node: onnx.NodeProto,
    read: Sequence[Tensor],
    held: dict[int, Array],
    shape: tuple[int, ...],
) -> Tensor:
    import nir  # noqa: PLC0415 - an extra

    (tensor,), options = read, _attributes(node)
    weight = np.asarray(held[1] / np.float32(tensor.share), np.float32)
    rank = weight.ndim - 2
    _nothing_in_front(node, tensor)
    if rank not in (1, 2):
        raise refusal(node, "NIR has convolutions along one axis and along two", f"{rank} axes")
    padding = _paddings(node, options, rank)
    strides, dilations = (list(options.get(key, [1] * rank)) for key in ("strides", "dilations"))
    groups, zeros = int(options.get("group", 1)), np.zeros(len(weight), np.float32)
    if rank == 1:
        made = nir.Conv1d(tensor.shape[1], weight, strides[0], padding[0], dilations[0], groups, zeros)
    else:
        sizes = (tuple(strides), tuple(padding), tuple(dilations))
        made = nir.Conv2d(tensor.shape[1:], weight, *sizes, groups, zeros)
    bias = held.get(2)
    sent = draft.add(node.name, made, *tensor.sources)
    return Tensor((sent,), shape, None if bias is None else bias.reshape(-1, *[1] * rank))


def _affine(
    draft: NirDraft,
    node: onnx.NodeProto,
    read: Sequence[Tensor],
    held: dict[int, Array],
    shape: tuple[int, ...],
) -> Tensor:
    import nir  # noqa: PLC0415

    (tensor,), options = read, _attributes(node)
    _nothing_in_front(node, tensor)
    if 1 not in held or held[1].ndim != 2 or len(tensor.shape) != 1 or options.get("transA"):
        raise refusal(node, "NIR multiplies a vector of each sample by a constant matrix", tensor.shape)
    weight = (
        np.ascontiguousarray(held[1] if options.get("transB") else held[1].T)
        * options.get("alpha", 1.0)
        / tensor.share
    )
    zeros = np.zeros(len(weight), np.float32)
    sent = draft.add(node.name, nir.Affine(weight.astype(np.float32), zeros), *tensor.sources)
    bias = None if 2 not in held else held[2].reshape(-1) * np.float32(options.get("beta", 1.0))
    return Tensor((sent,), shape, bias)


def _pool(
    draft: NirDraft,
    node: onnx.NodeProto,
    read: Sequence[Tensor],
    held: dict[int, Array],
    shape: tuple[int, ...],
) -> Tensor:
    import nir  # noqa: PLC0415

    del held
    (tensor,), options = read, _attributes(node)
    _nothing_in_front(node, tensor)
    if len(tensor.shape) != 3:
        raise refusal(node, "NIR pools along two axes", tensor.shape)
    whole = list(tensor.shape[1:])
    kernel = list(options.get("kernel_shape", whole))
    strides = list(options.get("strides", [1, 1] if "kernel_shape" in options else whole))
    padding = _paddings(node, options, 2)
    inside = any(padding) and not options.get("count_include_pad", 0)
    sizes = [
        (s + 2 * p - k) // stride + 1 for s, p, k, stride in zip(whole, padding, kernel, strides, strict=True)
    ]
    if inside or any(d != 1 for d in options.get("dilations", [])) or sizes != list(shape[1:3] or [1, 1]):
        raise refusal(node, "NIR adds up whole windows, inside of the image and its padding")
    pool, weight = (nir.AvgPool2d, 1) if draft.average else (nir.SumPool2d, math.prod(kernel))
    made, share = pool(np.array(kernel), np.array(strides), np.array(padding)), tensor.share * weight
    pooled = Tensor((draft.add(node.name, made, *tensor.sources),), (tensor.shape[0], *sizes), share=share)
    return pooled if len(shape) == 3 else _flattened(draft, node, pooled, shape)


def _mean(
    draft: NirDraft,
    node: onnx.NodeProto,
    read: Sequence[Tensor],
    held: dict[int, Array],
    shape: tuple[int, ...],
) -> Tensor:
    axes = sorted(int(axis) % 4 for axis in held[1].ravel()) if 1 in held else []
    if axes != [2, 3]:
        raise refusal(node, "NIR pools along two axes", f"axes {axes}")
    return _pool(draft, onnx.NodeProto(name=node.name, op_type=node.op_type), read, {}, shape)


def _reshape(
    draft: NirDraft,
    node: onnx.NodeProto,
    read: Sequence[Tensor],
    held: dict[int, Array],
    shape: tuple[int, ...],
) -> Tensor:
    del held
    (tensor,) = read
    return tensor if tensor.shape == shape else _flattened(draft, node, tensor, shape)


def _flattened(draft: NirDraft, node: onnx.NodeProto, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    import nir  # noqa: PLC0415

    _nothing_in_front(node, tensor)
    if len(shape) != 1:
        raise refusal(node, "NIR flattens, and reshapes nothing else", shape)
    made = nir.Flatten({"input": np.array(tensor.shape)}, start_dim=0, end_dim=-1)
    return Tensor((draft.add(f"{node.name}.flat", made, *tensor.sources),), shape, share=tensor.share)


def _sum(
    draft: NirDraft,
    node: onnx.NodeProto,
    read: Sequence[Tensor],
    held: dict[int, Array],
    shape: tuple[int, ...],
) -> Tensor:
    read = [tensor if tensor.share == read[0].share else settled(draft, tensor) for tensor in read]
    if len({tensor.share for tensor in read}) > 1:
        read = [settled(draft, tensor) for tensor in read]
    if held or any(tensor.shape != shape for tensor in read):
        raise refusal(node, "NIR adds what has one shape", [tensor.shape for tensor in read])
    biases = [tensor.bias for tensor in read if tensor.bias is not None]
    sources = [source for tensor in read for source in tensor.sources]
    if len(set(sources)) < len(sources):
        raise refusal(node, "NIR has no two edges between the same nodes")
    return Tensor(tuple(sources), shape, sum(biases[1:], biases[0]) if biases else None, read[0].share)


def _scale(
    draft: NirDraft,
    node: onnx.NodeProto,
    read: Sequence[Tensor],
    held: dict[int, Array],
    shape: tuple[int, ...],
) -> Tensor:
    import nir  # noqa: PLC0415

    if len(read) != 1 or not held or read[0].shape != shape:
        raise refusal(node, "NIR scales by constants of a sample's shape", shape)
    (tensor,), (factor,) = read, held.values()
    if factor.ndim > len(shape):
        factor = factor.reshape(factor.shape[-len(shape) :])
    whole = np.ascontiguousarray(np.broadcast_to(factor.astype(np.float32), shape))
    sent = draft.add(node.name, nir.Scale(whole), *tensor.sources)
    return Tensor((sent,), shape, None if tensor.bias is None else tensor.bias * whole, tensor.share)


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
