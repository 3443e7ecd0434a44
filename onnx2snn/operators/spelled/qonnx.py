"""The operators of QONNX as float arithmetic, by the definition of their own domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Array, Names, constant_input, is_constant, value_of
from onnx2snn.operators.quantising import QONNX, mixes_signs

#: float32 has no quantiser with more levels.
_MOST_BITS = 32
#: Other names of rounding modes: QONNX's table, and what Brevitas writes.
_SYNONYMS = {"HALF_EVEN": "ROUND", "ROUND_TO_ZERO": "DOWN"}
#: Modes that treat numbers above zero and below it alike: what is added to the number above, and how each side is rounded.
_SIDES = {
    "UP": (0.0, "Ceil", "Floor"),
    "DOWN": (0.0, "Floor", "Ceil"),
    "HALF_UP": (0.5, "Floor", "Ceil"),
    "HALF_DOWN": (-0.5, "Ceil", "Floor"),
}


def spell_qonnx(graph: gs.Graph, names: Names, node: gs.Node) -> bool:
    """Write an operator of QONNX in plain ones; False for any other.

        Quant(x, s, z, bits)         becomes    (R(Clip(x / s + z, lo, hi)) − z)·s, where R may differ by sign
        BipolarQuant(x, s)           becomes    Where(x ≥ 0, s, −s)
        Trunc(x, s, z, b, b')        becomes    (R(Round(x / s + z) / 2^(b − b')) − z)·s
        MultiThreshold(x, t)         becomes    the sum of (x ≥ t_j), scaled and shifted
        XnorPopcountMatMul(x, w)     becomes    ((2x − 1)·(2w − 1) + K) / 2
        MaxPoolNHWC(x)               becomes    Transpose, MaxPool, Transpose
        QuantAvgPool2d(x)            becomes    Floor(Round(AveragePool(x)·k²) / 2^shift)

    Parameters that are not constant, and FloatQuant, leave the node as it is; it is refused by name later.
    """
    handler = HANDLERS.get(node.op) if node.domain in QONNX else None
    if handler is not None:
        handler(graph, names, node)
    return handler is not None


class _Call:
    """One node: its parameters, and where the spelling of its result goes."""

    def __init__(self, graph: gs.Graph, names: Names, node: gs.Node) -> None:
        self.node = node
        self.spelling = Spelling(graph, names, node)

    def parameters(self, *positions: int) -> list[Array] | None:
        """Constant inputs in float32; None if one is no constant."""
        found = [constant_input(self.node, p) for p in positions]
        return None if any(v is None for v in found) else [np.asarray(v, np.float32) for v in found]

    def signal(self, position: int = 0) -> gs.Tensor:
        """An input in float32, or as it is computed."""
        tensor = self.node.inputs[position]
        return self.spelling.constant(value_of(tensor).astype(np.float32)) if is_constant(tensor) else tensor

    def output(self) -> gs.Tensor:
        """What the node writes, free for its spelling to write."""
        tensor = self.node.outputs[0]
        self.node.outputs.clear()
        return tensor

    def mode(self, default: str) -> str | None:
        """Its rounding mode; None if QONNX has no such."""
        name = str(self.node.attrs.get("rounding_mode", default)).upper()
        name = _SYNONYMS.get(name, name)
        return name if name in _SIDES or name in ("ROUND", "CEIL", "FLOOR") else None

    def codes(self, x: gs.Tensor, scale: Array, zero: Array) -> gs.Tensor:
        """Real numbers in units of the scale, from the zero point: x / s + z."""
        return self._unless_zero("Add", self.spelling.apply("Div", x, scale), zero)

    def real(self, code: gs.Tensor, scale: Array, zero: Array) -> gs.Tensor:
        """(code − z)·s, the node's output."""
        code = self._unless_zero("Sub", code, zero)
        return self.spelling.apply("Mul", code, scale, output=self.output())

    def _unless_zero(self, op: str, x: gs.Tensor, term: Array) -> gs.Tensor:
        return self.spelling.apply(op, x, term) if np.any(term != 0) else x

    def clamped(self, x: gs.Tensor, bits: Array) -> gs.Tensor:
        """Between the smallest and the largest code of so many bits."""
        low, high = _code_range(bits, self.flag("signed", 1), self.flag("narrow", 0))
        if low.size == high.size == 1:
            return self.spelling.apply("Clip", x, low.reshape(()), high.reshape(()))
        return self.spelling.apply("Min", self.spelling.apply("Max", x, low), high)

    def flag(self, name: str, default: int) -> bool:
        """An attribute that is 0 or 1."""
        return bool(self.node.attrs.get(name, default))

    def rounded(self, x: gs.Tensor, mode: str) -> gs.Tensor:
        """R(x)."""
        if mode not in _SIDES:
            return self.spelling.apply(mode.capitalize(), x)
        ahead, above, below = _SIDES[mode]
        sides = []
        for bound, operator, sign in (("Max", above, 1), ("Min", below, -1)):
            side = self.spelling.apply(bound, x, np.zeros(1, np.float32))
            if ahead:
                side = self.spelling.apply("Add", side, np.float32(sign * ahead))
            sides.append(self.spelling.apply(operator, side))
        return self.spelling.apply("Add", *sides)

    def of_sign(self, x: gs.Tensor, above: Array, below: Array, output: gs.Tensor | None = None) -> gs.Tensor:
        """One number where x ≥ 0, the other where it is not."""
        positive = self.spelling.apply("GreaterOrEqual", x, np.float32(0))
        positive.dtype = np.bool_
        return self.spelling.apply("Where", positive, above, below, output=output)


def _code_range(bits: Array, signed: bool, narrow: bool) -> tuple[Array, Array]:
    span = np.float32(2) ** (bits - np.float32(signed))
    if signed:
        return np.float32(narrow) - span, span - np.float32(1)
    return np.zeros_like(span), span - np.float32(1) - np.float32(narrow)


def _are_bits(bits: Array) -> bool:
    return bool(np.all((bits == np.rint(bits)) & (bits >= 1) & (bits <= _MOST_BITS)))


def _quant(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    call = _Call(graph, names, node)
    parameters, mode = call.parameters(1, 2, 3), call.mode("ROUND")
    if parameters is None or mode is None or not _are_bits(parameters[2]):
        return
    if mixes_signs(node) and not is_constant(node.inputs[0]):
        return
    scale, zero, bits = parameters
    value = call.codes(call.signal(), scale, zero)
    single = (bits == 1) & call.flag("signed", 1)
    one = np.ones(1, np.float32)
    if single.all():
        code = call.of_sign(value, one, -one)
    else:
        code = call.rounded(call.clamped(value, bits), mode)
    if single.any() and not single.all():
        code = call.spelling.apply("Where", single, call.of_sign(value, one, -one), code)
    call.real(code, scale, zero)


def _bipolar(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    call = _Call(graph, names, node)
    parameters = call.parameters(1)
    if parameters is not None:
        call.of_sign(call.signal(), parameters[0], -parameters[0], call.output())


def _trunc(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    """Version 1 has five inputs; version 2 has a scale of its own for what it writes, and clamps."""
    call = _Call(graph, names, node)
    parameters, mode = call.parameters(*range(1, len(node.inputs))), call.mode("FLOOR")
    if parameters is None or mode is None:
        return
    scale, zero, bits, *of_output = parameters
    second = len(of_output) > 1
    exponent = np.rint(np.log2(of_output[0] / scale)) if second else bits - of_output[-1]
    factor = np.float32(2) ** exponent.astype(np.float32)
    code = call.spelling.apply("Round", call.codes(call.signal(), scale, zero))
    part = call.spelling.apply("Div", code, factor)
    part = call.clamped(part, of_output[1]) if second else part
    scales = (of_output[0], zero / factor) if second else (scale, zero)
    call.real(call.rounded(part, mode), *scales)


def _multi_threshold(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    call = _Call(graph, names, node)
    parameters, x = call.parameters(1), node.inputs[0]
    if parameters is None or parameters[0].ndim != 2 or not np.all(np.isfinite(parameters[0])):
        return
    thresholds = np.sort(parameters[0], axis=1)
    layout = str(node.attrs.get("data_layout", ""))
    rank = len(x.shape) if x.shape is not None else len(layout)
    if len(thresholds) > 1 and not rank:
        return
    position = (layout or ("NWC" if rank == 3 else "NC")).find("C")
    column = (-1,) + (1,) * (rank - 1 - max(position, 1)) if len(thresholds) > 1 else (1,)
    total = None
    for threshold in thresholds.T:
        reached = call.spelling.apply("GreaterOrEqual", x, threshold.reshape(column))
        reached.dtype = np.bool_
        step = call.spelling.apply("Cast", reached, to=1)
        total = step if total is None else call.spelling.apply("Add", total, step)
    scaled = call.spelling.apply("Mul", total, np.float32(node.attrs.get("out_scale", 1.0)))
    call.spelling.apply("Add", scaled, np.float32(node.attrs.get("out_bias", 0.0)), output=call.output())


def _xnor_popcount_matmul(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    call = _Call(graph, names, node)
    parameters = call.parameters(1)
    if parameters is None:
        return
    two, one, apply = np.float32(2), np.float32(1), call.spelling.apply
    signs = apply("Sub", apply("Mul", call.signal(), two), one)
    difference = apply("MatMul", signs, 2 * parameters[0] - 1)
    difference.shape = node.outputs[0].shape
    both = apply("Add", difference, np.float32(len(parameters[0])))
    apply("Mul", both, np.float32(0.5), output=call.output())


def _max_pool_nhwc(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    call = _Call(graph, names, node)
    attributes = {
        n: node.attrs[n] for n in ("ceil_mode", "kernel_shape", "pads", "strides") if n in node.attrs
    }
    _channels_first(call, lambda x: _pooled(call, "MaxPool", x, attributes), last=True)


def _quant_avg_pool(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    call = _Call(graph, names, node)
    k, stride, bits, kept = (int(node.attrs[name]) for name in ("kernel", "stride", "ibits", "obits"))
    shift = max(((2**bits - 1) * k * k).bit_length() - kept, 0)
    apply = call.spelling.apply

    def pooled(x: gs.Tensor) -> gs.Tensor:
        mean = _pooled(call, "AveragePool", x, {"kernel_shape": [k, k], "strides": [stride, stride]})
        total = apply("Round", apply("Mul", mean, np.float32(k * k)))
        return apply("Floor", apply("Div", total, np.float32(2**shift)))

    _channels_first(call, pooled, last=node.attrs.get("data_layout", "NCHW") == "NHWC")


def _pooled(call: _Call, op: str, x: gs.Tensor, attributes: dict[str, Any]) -> gs.Tensor:
    pooled = call.spelling.apply(op, x, **attributes)
    pooled.shape = None  # inferred later
    return pooled


def _channels_first(call: _Call, function: Callable[[gs.Tensor], gs.Tensor], *, last: bool) -> None:
    """``function`` of what the node reads, between transposes where channels are ``last``."""
    x, perm = call.signal(), [0, 3, 1, 2]
    if not last:
        call.spelling.apply("Identity", function(x), output=call.output())
        return
    sizes = None if x.shape is None else [x.shape[axis] for axis in perm]
    made = function(call.spelling.apply("Transpose", x, perm=perm, sizes=sizes))
    call.spelling.apply("Transpose", made, perm=[0, 2, 3, 1], output=call.output())


#: By operator.
HANDLERS: dict[str, Callable[[gs.Graph, Names, gs.Node], None]] = {
    "BipolarQuant": _bipolar,
    "IntQuant": _quant,
    "MaxPoolNHWC": _max_pool_nhwc,
    "MultiThreshold": _multi_threshold,
    "Quant": _quant,
    "QuantAvgPool2d": _quant_avg_pool,
    "Trunc": _trunc,
    "XnorPopcountMatMul": _xnor_popcount_matmul,
}
