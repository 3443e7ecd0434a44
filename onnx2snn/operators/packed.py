"""Products with weights of few bits, in blocks; and the kernels that round what they read to codes of its own range."""

from __future__ import annotations

import numpy as np

from onnx2snn.model.domains import MICROSOFT
from onnx2snn.operators.error_rules import written
from onnx2snn.operators.jump_errors import measured
from onnx2snn.operators.running_error import Step
from onnx2snn.operators.signals import UNIT, Array, Signal, Wide, widened
from onnx2snn.operators.table import Operator

#: The level of accuracy of MatMulNBits at which its kernels round what they read to 8 bits.
TO_CODES = 4
#: The highest of these codes.
HIGHEST = 127
#: Roundings of the kernel's own arithmetic in front of the code of an entry.
_BEFORE = 8


def unpacked(packed: Array, bits: int) -> Array:
    """Codes of so many bits, the lowest first, from bytes along the last axis."""
    each = np.unpackbits(packed, axis=-1, bitorder="little")
    whole = each[..., : each.shape[-1] // bits * bits].reshape(*packed.shape[:-1], -1, bits)
    return np.asarray(whole @ (1 << np.arange(bits)))


def is_packed(
    packed: Array, scales: Array, zeros: Array | None, bits: int, sizes: tuple[int, int, int]
) -> bool:
    """Whether codes, scales and zero points are as many as a matrix of ``sizes`` (inputs, outputs, rows to a block) has.

    Others are read by no runtime, and by each tool that writes them in its own way (a zero point a byte, for one).
    """
    rows, outputs, block = sizes
    blocks = -(-rows // block)
    middles = (
        blocks * outputs if zeros is None or zeros.dtype != np.uint8 else -(-blocks * bits // 8) * outputs
    )
    expected = (outputs, blocks, block * bits // 8)
    return (packed.shape, scales.size) == (expected, blocks * outputs) and (
        zeros is None or zeros.size == middles
    )


def unpacked_weights(packed: Array, scales: Array, zeros: Array | None, bits: int, rows: int) -> Array:
    """(inputs, outputs), from codes (outputs, blocks, bytes), a scale and perhaps a zero point for each block."""
    outputs, blocks = packed.shape[:2]
    column = (outputs, blocks, 1)
    if zeros is None:
        zeros = np.full(column, 2.0 ** (bits - 1))
    elif zeros.dtype == np.uint8:
        zeros = unpacked(zeros.reshape(outputs, -1), bits)[:, :blocks]
    steps = unpacked(packed, bits).astype(np.float32) - zeros.reshape(column).astype(np.float32)
    matrix: Array = (steps * scales.reshape(column)).astype(np.float32).reshape(outputs, -1)
    return np.ascontiguousarray(matrix[:, :rows].T)


def rounded_by_block(step: Step) -> list[Signal]:
    """Rule 7, by hand: each block of x becomes codes in units of its largest entry over 127.

    Where an entry may be on either side of a tie between two codes, it may be a unit more or less; its block's largest entry
    moves all of them in proportion. What the weights make of both is the reach.
    """
    weights = _weights(step)
    if weights is None or step.attributes.get("accuracy_level", 0) != TO_CODES:
        return measured(step)
    x = widened(step.signal(0).value)
    radius = step.radius(step.signal(0))
    off = np.zeros(x.shape) if radius is None else np.broadcast_to(radius, x.shape)
    units, apart = (_blockwise(v, int(step.attributes["block_size"])) / HIGHEST for v in (np.abs(x), off))
    with np.errstate(all="ignore"):
        codes = np.where(units > 0, x / units, 0.0)
        near = np.where(units > 0, (off + np.abs(codes) * apart) / np.maximum(units - apart, 0.0), np.inf)
    near = near + _BEFORE * UNIT * np.abs(codes)
    moved = np.rint(codes + near) - np.rint(codes - near)
    # An entry of a block whose size is not known may become anything up to that size.
    moved = np.where(np.isfinite(moved), moved * (units + apart), np.abs(x) + off)
    farthest = off + np.abs(codes) * apart + moved
    size = (np.abs(x) + units) @ np.abs(weights)
    if len(step.inputs) > 5:
        size = size + np.abs(widened(step.signal(5).value))
    return written(step, [size], [farthest @ np.abs(weights)])


def _blockwise(values: Wide, size: int) -> Wide:
    """For each entry of the last axis, the largest of its block."""
    starts = np.arange(0, values.shape[-1], size)
    largest = np.maximum.reduceat(values, starts, axis=-1)
    return np.repeat(largest, size, axis=-1)[..., : values.shape[-1]]


def _weights(step: Step) -> Array | None:
    """Of MatMulNBits, where all but x is constant, and its rows stand in their order."""
    others = step.inputs[1:]
    if not all(s is None or s.fixed for s in others) or (len(others) > 3 and others[3] is not None):
        return None
    codes, scales, zeros = (None if s is None else s.value for s in [*others, None][:3])
    if codes is None or scales is None:
        return None
    bits, rows = int(step.attributes.get("bits", 4)), int(step.attributes["K"])
    return unpacked_weights(codes, scales, zeros, bits, rows).astype(np.float64)


def _products(step: Step) -> int:
    """Roundings of a sum of products, a scale for each block, and a bias."""
    return int(step.attributes.get("K", 0)) + _BEFORE


OPERATORS = (
    Operator(
        name="MatMulNBits",
        domain=MICROSOFT,
        values=(0, 5),
        packs=(1, 2, 3),
        jumps=True,
        errors=rounded_by_block,
        roundings=_products,
    ),
)
