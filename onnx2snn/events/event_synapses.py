"""Synapses that follow events: convolutions, matrices, and pools, of float32 and of constant weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.compile.draft import attributes
from onnx2snn.compile.transposed import is_plain
from onnx2snn.events import kernels
from onnx2snn.events.entry_loops import as_operand
from onnx2snn.events.programs import Spelled
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution

Array: TypeAlias = NDArray[Any]
#: The values of a constant; None of anything else.
Constant: TypeAlias = Callable[[str], "Array | None"]

#: Additions in the time that it takes to call a dense kernel, and to lay its operands out.
CALL = 60_000
#: Of how many active neurons dense kernels are faster, where long rows of weights are added: they add and multiply some sixteen
#: pairs at a time, in blocks that stay in registers, where events read and write each sum again.
_BY_ROWS, _BY_TAPS, _BY_INPUTS = 0.2, 0.12, 0.2
#: A matrix and one sample: dense kernels wait for weights, which events of silent neurons never read.
_ONE_SAMPLE = 0.6


def followed(node: onnx.NodeProto, constant: Constant, rank: int) -> Spelled | None:
    """The synapses of ``node`` by events, where these are so few that no dense kernel is faster; None of what has no loop.

    Args:
        node: An operator.
        constant: By name.
        rank: Of what it reads.
    """
    held = attributes(node)
    if of(node).weights is None or not is_plain(held):
        return None
    weights = constant(node.input[1])
    given = len(node.input) > 2 and node.input[2]
    bias = constant(node.input[2]) if given else None
    if weights is None or weights.dtype != np.float32 or (given and bias is None):
        return None
    if is_convolution(node):
        return _convolution(held, weights, bias) if rank == weights.ndim == 4 else None
    return _matrix(node, held, weights, bias) if rank == weights.ndim == 2 else None


def _loop(
    sizes: str, function: Any, weights: tuple[Array, ...], most: str, further: Sequence[Any] = ()
) -> Spelled:
    """A loop that writes an array of these sizes, and returns whether there were at ``most`` so many events."""
    constants = (function, *weights, *further)
    given = [f"{{k{place}}}" for place in range(1, len(constants))]
    call = ", ".join(["{r0}", *given[: len(weights)], "{w0}", most, *given[len(weights) :]])
    return Spelled(f"{{w0}} = np.empty(({sizes}), np.float32)\nok = ok and {{k0}}({call})", constants)


def _most(share: float | str, fan_out: float) -> str:
    """Of how many events additions take no longer than a dense kernel."""
    return f"int({{r0}}.size * {share}) + {int(CALL / fan_out)}"


def _convolution(held: dict[str, Any], weights: Array, bias: Array | None) -> Spelled:
    outputs, inputs, *kernel = weights.shape
    groups = int(held.get("group", 1))
    strides, apart = held.get("strides") or [1, 1], held.get("dilations") or [1, 1]
    pads = held.get("pads") or [0] * 4
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, apart, strict=True)]
    added = np.zeros(outputs, np.float32) if bias is None else bias
    fan_out = weights.size / (groups * inputs) / math.prod(strides)
    together = (groups, *strides, *apart) == (1, 1, 1, 1, 1)
    # (O, C of a group, rows, columns) as (C, rows, columns, O of a group)
    laid = weights.reshape(groups, -1, inputs, *kernel).transpose(0, 2, 3, 4, 1)
    laid = np.ascontiguousarray(laid.reshape(groups * inputs, *kernel, -1))
    if together:
        laid = np.ascontiguousarray(laid[:, ::-1, ::-1]).reshape(len(laid), kernel[0], -1)
    geometry = (kernel[1], *pads[:2]) if together else (np.array([*strides, *apart, *pads[:2], groups]),)
    function = kernels.by_rows if together else kernels.by_taps
    length = laid.shape[-1]  # what is added together; of a short row it is the places that take time
    share = _BY_ROWS * length / (length + 16) if together else _BY_TAPS * length / (length + 1.5)

    rests = [before + after - e for before, after, e in zip(pads[:2], pads[2:], extents, strict=True)]
    places = [
        f"max(0, ({{r0}}.shape[{axis}] + {rest}) // {stride} + 1)"
        for axis, rest, stride in zip((1, 2), rests, strides, strict=True)
    ]
    sizes = f"{{r0}}.shape[0], {', '.join(places)}, {outputs}"
    return _loop(sizes, function, (laid, added), _most(share, fan_out), geometry)


def _matrix(node: onnx.NodeProto, held: dict[str, Any], weights: Array, bias: Array | None) -> Spelled | None:
    plain = not held.get("transA") and held.get("alpha", 1.0) == 1.0 and held.get("beta", 1.0) == 1.0
    whole = of(node).weights
    rows = None if whole is None else whole.rows(gs.Node(node.op_type, attrs=held), weights)
    biases = np.zeros((), np.float32) if bias is None else as_operand(bias, 2)
    if not plain or rows is None or biases is None or biases.size not in (1, len(rows)):
        return None
    laid = np.ascontiguousarray(rows.T)
    added = np.zeros(len(rows), np.float32) + biases

    share = f"({_ONE_SAMPLE} if {{r0}}.shape[0] == 1 else {_BY_INPUTS})"
    sizes = f"{{r0}}.shape[0], {len(added)}"
    return _loop(sizes, kernels.by_inputs, (laid, added), _most(share, len(added)))


def pool(node: onnx.NodeProto, rank: int) -> Spelled | None:
    """What a pool of windows without padding makes of (N, H, W, C); None of another operator."""
    held, record = attributes(node), of(node)
    extreme = record.compares is not None
    known = record.windows and (record.mean or extreme) and len(node.output) == 1
    if not known or rank != 4 or not is_plain(held) or any(held.get("pads", [])):
        return None
    if set(held.get("dilations", [1])) != {1} or "kernel_shape" not in held:
        return None
    kernel = held["kernel_shape"]
    strides = held.get("strides") or [1, 1]
    function = kernels.largest if extreme else kernels.averaged

    places = [
        f"({{r0}}.shape[{axis}] - {k}) // {stride} + 1"
        for axis, k, stride in zip((1, 2), kernel, strides, strict=True)
    ]
    sizes = f"({{r0}}.shape[0], {', '.join(places)}, {{r0}}.shape[3])"
    call = ", ".join(map(str, ["{r0}", "{w0}", *kernel, *strides]))
    return Spelled(f"{{w0}} = np.empty({sizes}, np.float32)\n{{k0}}({call})", (function,))
