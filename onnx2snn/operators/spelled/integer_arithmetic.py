"""Integer operators as what they compute: dequantise, a float operator, quantise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import CodeGrid, Spelling, code_range
from onnx2snn.graph.core import Array, Names, constant_input, is_constant, value_of
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.operators.pool_windows import whole_windows
from onnx2snn.operators.spelled.kernel_lines import is_plain, kernel_line


def expand_integer_operator(graph: gs.Graph, names: Names, node: gs.Node) -> bool:
    """Write a ``QLinear*`` or ``*Integer`` operator as dequantise ─▶ float operator ─▶ quantise; False for any other.

        QLinearConv(x, sx, zx, w, sw, zw, sy, zy, b)   becomes   Q(Conv(DQ(x), DQ(w), b·sx·sw), sy, zy)

    1. Padded cells of a QLinearConv hold the zero point: the real value 0, as in the float convolution.
    2. QLinearAdd, QLinearMul and QLinearAveragePool add the zero point before they round: so do onnxruntime's kernels,
       which define them, and with an odd one ties go to the other side.
    3. QLinearAveragePool divides by the whole window where padding counts, also where the window hangs over
       (``ceil_mode``), which AveragePool does not.
    4. QLinearSoftmax takes ⌊1/s⌋ steps of an output scale s, and up to its ``opset`` 12 all axes from ``axis`` on together.
    5. QLinearMul by a constant, where its ties are others: the kernel multiplies whole numbers, and their product by
       s_x·s_y/s_z, a number of float32 (:mod:`.kernel_lines`).
    6. QLinearAdd of a constant, likewise: the kernel rounds its product and sum once.
    7. Scales and zero points that are not constant, or an attribute that says more: the node stays, and is refused by
       name later.
    8. Channels last, of a rank that is not known yet: the node stays until :func:`.channels_first` has turned it.
    """
    handler = HANDLERS.get((node.domain, node.op))
    if handler is not None and not node.attrs.get("channels_last", 0):  # 8
        handler(_Operands(graph, names, node))
    return handler is not None


class _Operands:
    """The inputs of an integer operator, dequantised, and where its result goes."""

    def __init__(self, graph: gs.Graph, names: Names, node: gs.Node) -> None:
        self.node = node
        self.spelling = Spelling(graph, names, node)

    def present(self, position: int) -> bool:
        return position < len(self.node.inputs) and not self.node.inputs[position].is_empty()

    def known(self, *positions: int) -> bool:
        """Whether those inputs are constant (or left out)."""
        return all(not self.present(p) or is_constant(self.node.inputs[p]) for p in positions)

    def scale(self, position: int) -> Array:
        return np.asarray(constant_input(self.node, position), np.float32)

    def zero(self, position: int) -> Array:
        if not self.present(position):
            return np.zeros((), np.uint8)
        values = np.asarray(constant_input(self.node, position))
        return values.reshape(()) if values.size == 1 else values

    def real(self, code: int, scale: int, zero: int, column: tuple[int, ...] = ()) -> gs.Tensor:
        """DequantizeLinear of the input ``code``; ``column`` shapes per-channel parameters."""
        if self.present(scale) and not self.known(scale):
            return self.spelling.apply("Mul", self.steps(code, zero, column), self.node.inputs[scale])
        s = self.scale(scale)
        s = s.reshape(column) if s.size > 1 else s.reshape(())
        steps = self.steps(code, zero, column)
        if is_constant(steps):
            return self.spelling.constant((value_of(steps) * s).astype(np.float32))
        return self.spelling.apply("Mul", steps, s)

    def steps(self, code: int, zero: int, column: tuple[int, ...] = ()) -> gs.Tensor:
        """The input ``code`` without its zero point, which may be a signal."""
        tensor = self.node.inputs[code]
        if not self.known(zero):
            return self.spelling.apply("Sub", tensor, self.node.inputs[zero])
        z = self.zero(zero).astype(np.float32)
        z = z.reshape(column) if z.size > 1 else z.reshape(())
        if is_constant(tensor):
            return self.spelling.constant(value_of(tensor).astype(np.float32) - z)
        return self.spelling.apply("Sub", tensor, z) if np.any(z != 0) else tensor

    def finish(
        self, result: gs.Tensor, scale: int, zero: int, *, zero_point_first: bool = False, unit: bool = False
    ) -> None:
        """QuantizeLinear of ``result``, which counts steps already (``unit``); itself where no output scale is given."""
        output = self.node.outputs[0]
        self.node.outputs.clear()
        if not self.present(scale):
            self.spelling.apply("Identity", result, output=output)
            return
        low, high = code_range(self.zero(zero).dtype)
        zero_point = self.zero(zero).astype(np.float32).reshape(())
        step = np.float32(1) if unit else self.scale(scale).reshape(())
        grid = CodeGrid(np.asarray(step), zero_point, low, high, zero_point_first=zero_point_first)
        self.spelling.quantise(result, grid, output=output)

    def attrs(self, *names: str) -> dict[str, Any]:
        return {n: self.node.attrs[n] for n in names if n in self.node.attrs}


_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


def _conv(o: _Operands) -> None:
    if not o.known(1, 2, 3, 4, 5, 6, 7, 8):
        return
    weights = o.node.inputs[3]
    column = (-1,) + (1,) * (len(weights.shape) - 1)
    inputs = [o.real(0, 1, 2), o.real(3, 4, 5, column)]
    if o.present(8):
        bias = value_of(o.node.inputs[8]).astype(np.float32) * (o.scale(1) * o.scale(4)).reshape(-1)
        inputs.append(o.spelling.constant(bias.astype(np.float32)))
    result = o.spelling.apply("Conv", *inputs, **o.attrs(*_CONV))
    result.shape = o.node.outputs[0].shape
    o.finish(result, 6, 7)


def _matmul(o: _Operands) -> None:
    if o.known(1, 2, 4, 5, 6, 7):
        result = o.spelling.apply("MatMul", o.real(0, 1, 2, (-1, 1)), o.real(3, 4, 5, (-1,)))
        result.shape = o.node.outputs[0].shape
        o.finish(result, 6, 7)


def _matmul_to_float(o: _Operands) -> None:
    if not o.known(3, 5, 6):
        return
    result = o.spelling.apply("MatMul", o.real(0, 2, 4, (-1, 1)), o.real(1, 3, 5, (-1,)))
    result.shape = o.node.outputs[0].shape
    if o.present(6):
        result = o.spelling.apply("Add", result, value_of(o.node.inputs[6]))
    o.finish(result, len(o.node.inputs), 0)


def _gemm(o: _Operands) -> None:
    if not o.known(1, 2, 4, 5, 6, 7, 8):
        return
    column = (-1, 1) if o.node.attrs.get("transB", 0) else (-1,)
    alpha = float(o.node.attrs.get("alpha", 1.0))
    inputs = [o.real(0, 1, 2), o.real(3, 4, 5, column)]
    if o.present(6):
        bias = value_of(o.node.inputs[6]).astype(np.float32) * (
            np.float32(alpha) * o.scale(1) * o.scale(4)
        ).reshape(-1)
        inputs.append(o.spelling.constant(bias.astype(np.float32)))
    result = o.spelling.apply("Gemm", *inputs, alpha=alpha, **o.attrs("transA", "transB"))
    result.shape = o.node.outputs[0].shape
    o.finish(result, 7, 8)


def _add(o: _Operands) -> None:
    """Case 6."""
    if not o.known(1, 2, 4, 5, 6, 7):
        return
    line = None if is_plain(o.node) else kernel_line(o.node)
    if line is None:
        _plain(o, "Add")
        return
    output = o.node.outputs[0]
    o.node.outputs.clear()
    parts = zip(line.slope, line.offset, strict=True)
    sums = [o.spelling.apply("Add", o.spelling.apply("Mul", line.codes, a), b) for a, b in parts]
    for part in sums:
        part.shape = output.shape
    result = o.spelling.apply("Add", *sums)
    grid = CodeGrid(np.float32(1), np.float32(0), *code_range(o.zero(7).dtype))
    o.spelling.quantise(result, grid, output=output)


def _mul(o: _Operands) -> None:
    """Case 5."""
    if not o.known(1, 2, 4, 5, 6, 7):
        return
    if is_plain(o.node):
        _plain(o, "Mul")
        return
    product = o.spelling.apply("Mul", o.steps(0, 2), o.steps(3, 5))
    product.shape = o.node.outputs[0].shape
    result = o.spelling.apply("Mul", product, o.scale(1) * o.scale(4) / o.scale(6))
    o.finish(result, 6, 7, zero_point_first=True, unit=True)


def _plain(o: _Operands, op: str) -> None:
    result = o.spelling.apply(op, o.real(0, 1, 2), o.real(3, 4, 5))
    result.shape = o.node.outputs[0].shape
    o.finish(result, 6, 7, zero_point_first=True)


def _unary(op: str, *attributes: str) -> Callable[[_Operands], None]:
    def expand(o: _Operands) -> None:
        if o.known(1, 2, 3, 4):
            result = o.spelling.apply(op, o.real(0, 1, 2), **o.attrs(*attributes))
            result.shape = o.node.outputs[0].shape
            o.finish(result, 3, 4)

    return expand


def _softmax(o: _Operands) -> None:
    """Case 4."""
    x, axis = o.node.inputs[0], int(o.node.attrs.get("axis", -1))
    if not o.known(1, 2, 3, 4) or x.shape is None:
        return
    values, first = o.real(0, 1, 2), axis % len(x.shape)
    if int(o.node.attrs["opset"]) >= 13 or first == len(x.shape) - 1:
        shares = o.spelling.apply("Softmax", values, axis=first)
    else:
        axes = np.arange(first, len(x.shape))
        sizes = [*x.shape[:first], *(1 for _ in axes)]
        largest = o.spelling.apply("ReduceMax", values, axes, keepdims=1, sizes=sizes)
        risen = o.spelling.apply("Exp", o.spelling.apply("Sub", values, largest))
        shares = o.spelling.apply(
            "Div", risen, o.spelling.apply("ReduceSum", risen, axes, keepdims=1, sizes=sizes)
        )
    steps = np.floor(np.float32(1) / o.scale(3).reshape(()))
    o.finish(o.spelling.apply("Mul", shares, steps), 3, 4, unit=True)


def _average_pool(o: _Operands) -> None:
    """Case 3: cells that the last windows hang over are padded with zeros, which count, and then none hangs over."""
    if not o.known(1, 2, 3, 4):
        return
    attrs = o.attrs(*_POOL)
    overhanging = attrs.get("ceil_mode", 0) and attrs.get("count_include_pad", 0)
    x, padded = o.node.inputs[0], attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    values = o.real(0, 1, 2)
    if overhanging and not padded:
        amounts = whole_windows(x.shape, attrs)
        if amounts is None:
            return
        values = o.spelling.apply("Pad", values, np.array(amounts, np.int64), np.float32(0))
        values.shape = None
        attrs = {name: attrs[name] for name in ("kernel_shape", "strides") if name in attrs}
    result = o.spelling.apply("AveragePool", values, **attrs)
    result.shape = o.node.outputs[0].shape
    o.finish(result, 3, 4, zero_point_first=True)


def _where(o: _Operands) -> None:
    if o.known(2, 3, 5, 6, 7, 8):
        result = o.spelling.apply("Where", o.node.inputs[0], o.real(1, 2, 3), o.real(4, 5, 6))
        result.shape = o.node.outputs[0].shape
        o.finish(result, 7, 8)


def _concat(o: _Operands) -> None:
    groups = range(2, len(o.node.inputs), 3)
    if o.known(0, 1, *(p for g in groups for p in (g + 1, g + 2))):
        parts = [o.real(g, g + 1, g + 2) for g in groups]
        result = o.spelling.apply("Concat", *parts, **o.attrs("axis"))
        result.shape = o.node.outputs[0].shape
        o.finish(result, 0, 1)


def _integer(op: str, *attributes: str) -> Callable[[_Operands], None]:
    """ConvInteger and MatMulInteger: the float operator on x − zx and w − zw, its sums whole numbers.

    The zero point of x may be a signal, as a quantiser by its own range has it.
    """

    def expand(o: _Operands) -> None:
        if not o.known(3):
            return
        weights = o.node.inputs[1]
        column = (-1,) + (1,) * (len(weights.shape) - 1 if attributes else 0)
        operands = [o.steps(0, 2), o.steps(1, 3, column)]
        result = o.spelling.apply(op, *operands, **o.attrs(*attributes))
        result.shape = o.node.outputs[0].shape
        o.finish(result, len(o.node.inputs), 0)

    return expand


_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")

HANDLERS: dict[tuple[str, str], Callable[[_Operands], None]] = {
    ("", "ConvInteger"): _integer("Conv", *_CONV),
    ("", "MatMulInteger"): _integer("MatMul"),
    ("", "QLinearConv"): _conv,
    ("", "QLinearMatMul"): _matmul,
    (MICROSOFT, "QGemm"): _gemm,
    (MICROSOFT, "QLinearAdd"): _add,
    (MICROSOFT, "MatMulIntegerToFloat"): _matmul_to_float,
    (MICROSOFT, "QLinearAveragePool"): _average_pool,
    (MICROSOFT, "QLinearConcat"): _concat,
    (MICROSOFT, "QLinearConv"): _conv,
    (MICROSOFT, "QLinearGlobalAveragePool"): _unary("GlobalAveragePool"),
    (MICROSOFT, "QLinearLeakyRelu"): _unary("LeakyRelu", "alpha"),
    (MICROSOFT, "QLinearMul"): _mul,
    (MICROSOFT, "QLinearSigmoid"): _unary("Sigmoid"),
    (MICROSOFT, "QLinearSoftmax"): _softmax,
    (MICROSOFT, "QLinearWhere"): _where,
}
