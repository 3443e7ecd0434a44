"""Codes and constants: what the runtime's kernels answer for every code, and the line of a sum that gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.build import code_range
from onnx2snn.graph.core import Array, constant_input, is_constant, value_of
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.model.reference import run_reference

#: Whole multiples of this are added exactly in float32 as long as sums are codes of 8 bits.
_COARSE = np.float32(2**-16)


@dataclass(frozen=True, eq=False)
class KernelLine:
    """A sum of codes and a constant, counted in steps of its result: codes · slope + offset, exactly, then what they lack.

    Attributes:
        codes: The operand that is a signal.
        slope: What a code is multiplied by, and what that lacks.
        offset: What is added, entry by entry, the result's zero point among it, and what that lacks.
    """

    codes: gs.Tensor
    slope: tuple[Array, Array]
    offset: tuple[Array, Array]


def is_plain(node: gs.Node) -> bool:
    """Whether dequantising, a QLinearAdd's or QLinearMul's float operator, and quantising give what its kernel answers.

    Two signals are taken to be so. A constant makes the result a function of one code, whose ties may be one tie: where a
    code is multiplied by half a step, or half a step is added (the 1 that GELU adds to an error function in 8 bits), all
    codes lie on it, and the last bits decide. Codes that the kernel does not compute are taken to be so, too.
    """
    one = _OneCode.of(node)
    kernel = None if one is None else one.kernel_codes()
    return one is None or kernel is None or np.array_equal(kernel, one.plain_codes())


def kernel_line(node: gs.Node) -> KernelLine | None:
    """The kernel's own line, of a QLinearAdd of a constant; None where plain operators do not follow it.

    The kernel multiplies and adds with one rounding; so do plain operators where all is exact but the last addition, of what
    is small.
    """
    one = _OneCode.of(node)
    if one is None:
        return None
    line, kernel = one.line(), one.kernel_codes()
    if kernel is None or not np.array_equal(kernel, _codes_on(line, one.codes)):
        return None
    coarse, fine = (one.spread(part) for part in line.offset)
    return KernelLine(line.codes, line.slope, (coarse, fine))


@dataclass(frozen=True, eq=False)
class _OneCode:
    """An operator of a signal and a constant.

    Attributes:
        node: It.
        signal: The position of the signal: 0 or 3.
        codes: All that it may be.
        addends: The different codes of the constant.
        where: Which of them each of its entries is.
    """

    node: gs.Node
    signal: int
    codes: Array
    addends: Array
    where: Array

    @classmethod
    def of(cls, node: gs.Node) -> _OneCode | None:
        """It, where exactly one operand is constant."""
        held = [is_constant(node.inputs[p]) for p in (0, 3)]
        if held[0] == held[1]:
            return None
        signal = 3 if held[0] else 0
        addends, where = np.unique(value_of(node.inputs[3 - signal]), return_inverse=True)
        low, high = code_range(addends.dtype)
        return cls(node, signal, np.arange(int(low), int(high) + 1).astype(addends.dtype), addends, where)

    def spread(self, values: Array) -> Array:
        """A value for each addend, entry by entry."""
        return values[self.where.reshape(-1)].reshape(value_of(self.node.inputs[3 - self.signal]).shape)

    def number(self, position: int) -> np.float32:
        """A scale or zero point; those of the signal and of the constant follow their positions."""
        found: np.float32 = np.float32(np.asarray(constant_input(self.node, position)).item())
        return found

    def kernel_codes(self) -> Array | None:
        """What the operator itself answers to every code (columns), for every addend (rows); None where it does not run."""
        fed = {self.signal: self.codes[None], 3 - self.signal: self.addends[:, None]}
        if value_of(self.node.inputs[3 - self.signal]).shape[-1:] not in ((), (1,)):
            # two rows are taken together in another order than a row and one number
            fed = dict(zip(fed, np.broadcast_arrays(*fed.values()), strict=True))
        held = {p: np.asarray(constant_input(self.node, p)).reshape(()) for p in range(8) if p not in fed}
        try:
            return _answers(self.node.op, held, fed)
        except InvalidModelError:
            return None

    def plain_codes(self) -> Array:
        """What dequantising, the float operator and quantising in float32 give."""
        sides = ((self.signal, self.codes[None]), (3 - self.signal, self.addends[:, None]))
        first, second = ((v.astype(np.float32) - self.number(p + 2)) * self.number(p + 1) for p, v in sides)
        real = first + second if self.node.op == "QLinearAdd" else first * second
        steps = real / self.number(6) + self.number(7)
        return np.asarray(np.clip(np.rint(steps), *code_range(self.codes.dtype)))

    def line(self) -> KernelLine:
        """The kernel's, a value for each addend."""
        x, y, step = self.signal, 3 - self.signal, self.number(6)
        slope, other = self.number(x + 1) / step, self.number(y + 1) / step
        moved = self.number(7) - _fused(self.number(x + 2), slope, other * self.number(y + 2))
        return KernelLine(self.node.inputs[x], _parted(slope), _parted(_fused(self.addends, other, moved)))


def _answers(operator: str, held: dict[int, Array], fed: dict[int, Array]) -> Array:
    """The codes that onnxruntime's kernel gives; ``held`` and ``fed`` by the positions of inputs."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(next(iter(fed.values())).dtype)
    constants = [onnx.numpy_helper.from_array(values, f"i{p}") for p, values in held.items()]
    reads = [onnx.helper.make_tensor_value_info(f"i{p}", kind, [None, None]) for p in fed]
    writes = [onnx.helper.make_tensor_value_info("o", kind, [None, None])]
    one = onnx.helper.make_node(operator, [f"i{p}" for p in range(8)], ["o"], domain=MICROSOFT)
    model = onnx.helper.make_model(
        onnx.helper.make_graph([one], "kernel", reads, writes, constants),
        opset_imports=[onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid(MICROSOFT, 1)],
        ir_version=8,
    )
    return run_reference(model, {f"i{p}": np.ascontiguousarray(v) for p, v in fed.items()})["o"]


def _parted(number: Array | np.float32) -> tuple[Array, Array]:
    """A number in two parts whose sum it is."""
    coarse = np.asarray(np.rint(number / _COARSE) * _COARSE)
    return coarse, np.asarray(number - coarse)


def _fused(x: Array | np.float32, y: np.float32, z: np.float32 | Array) -> Array:
    """x·y + z: exact in float64 but for its last bits, then rounded to float32."""
    return np.asarray(np.asarray(x, np.float64) * np.float64(y) + np.float64(z), np.float32)


def _codes_on(line: KernelLine, codes: Array) -> Array:
    x = codes.astype(np.float32)
    coarse, fine = (x * line.slope[part] + line.offset[part][:, None] for part in range(2))
    return np.asarray(np.clip(np.rint(coarse + fine), *code_range(codes.dtype)))
