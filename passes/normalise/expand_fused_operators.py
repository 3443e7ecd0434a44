"""Operators that onnxruntime fuses when it writes an optimised file, apart again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import MICROSOFT, Names, graph_pass

#: Of a FusedConv, what the numbers in ``activation_params`` are, in their order.
_PARAMETERS = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}
#: The attributes of the linear operators.
_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_GEMM = ("alpha", "beta", "transA", "transB")


@graph_pass
def expand_fused_operators(graph: gs.Graph) -> gs.Graph:
    """Write onnxruntime's fused operators as those that it made them from.

        FusedConv(x, w, b, z)     becomes    Conv(x, w, b) ─▶ Add z ─▶ activation
        FusedGemm(a, b, c)        becomes    Gemm(a, b, c) ─▶ activation
        FusedMatMul(a, b)         becomes    a or its Transpose, b or its Transpose ─▶ MatMul ─▶ Mul alpha

    1. The summand z and the activation may be missing.
    2. A product of transposed batches, or of tensors whose rank is unknown: the node stays.

    ``MatMulNBits`` is none of them: it may round what it reads to integers of its own choice.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        handler = HANDLERS.get(node.op) if node.domain == MICROSOFT else None
        if handler is not None:
            handler(Spelling(graph, names, node), node)
    return graph


def _conv(spelling: Spelling, node: gs.Node) -> None:
    """Case 1: Conv, perhaps Add, perhaps an activation."""
    read, summand = list(node.inputs[:3]), node.inputs[3] if len(node.inputs) > 3 else None
    output = _cut(node)
    result = spelling.apply("Conv", *_given(read), sizes=output.shape, **_known(node.attrs, _CONV))
    if summand is not None and not summand.is_empty():
        result = spelling.apply("Add", result, summand, sizes=output.shape)
    name = str(node.attrs.get("activation", ""))
    numbers = [float(v) for v in node.attrs.get("activation_params", [])]
    if name == "Clip":
        spelling.apply("Clip", result, *(np.float32(v) for v in numbers), output=output)
    else:
        attributes: dict[str, Any] = dict(zip(_PARAMETERS.get(name, ()), numbers, strict=False))
        spelling.apply(name or "Identity", result, output=output, **attributes)


def _gemm(spelling: Spelling, node: gs.Node) -> None:
    """Case 1: Gemm, then an activation, whose attributes have ``activation_`` in front."""
    read, output = list(node.inputs), _cut(node)
    result = spelling.apply("Gemm", *_given(read), sizes=output.shape, **_known(node.attrs, _GEMM))
    attributes = {k[len("activation_") :]: v for k, v in node.attrs.items() if k.startswith("activation_")}
    spelling.apply(str(node.attrs.get("activation", "Identity")), result, output=output, **attributes)


def _matmul(spelling: Spelling, node: gs.Node) -> None:
    """A product of what may be transposed, times alpha."""
    flags = [bool(node.attrs.get(f"trans{side}", 0)) for side in "AB"]
    batches = any(node.attrs.get(f"transBatch{side}", 0) for side in "AB")
    unknown = any(
        f and (t.shape is None or len(t.shape) < 2) for f, t in zip(flags, node.inputs, strict=True)
    )
    if batches or unknown:  # case 2
        return
    read, output = list(node.inputs), _cut(node)
    turned = [_turned(spelling, t) if f else t for f, t in zip(flags, read, strict=True)]
    product = spelling.apply("MatMul", *turned, sizes=output.shape)
    spelling.apply("Mul", product, np.float32(node.attrs.get("alpha", 1.0)), output=output)


def _turned(spelling: Spelling, tensor: gs.Tensor) -> gs.Tensor:
    rank = len(tensor.shape)
    order = [*range(rank - 2), rank - 1, rank - 2]
    sizes = [tensor.shape[axis] for axis in order]
    return spelling.apply("Transpose", tensor, sizes=sizes, perm=order)


def _cut(node: gs.Node) -> gs.Tensor:
    """The output of a node that writes it no more."""
    output = node.outputs[0]
    node.outputs.clear()
    return output


def _given(read: list[gs.Tensor]) -> list[gs.Tensor]:
    """Inputs up to the last that is there."""
    while read and read[-1].is_empty():
        read.pop()
    return read


def _known(attributes: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: attributes[name] for name in names if name in attributes}


HANDLERS: Mapping[str, Callable[[Spelling, gs.Node], None]] = {
    "FusedConv": _conv,
    "FusedGemm": _gemm,
    "FusedMatMul": _matmul,
}
