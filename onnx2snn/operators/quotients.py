"""Operators that are a quotient of two values of the sample: numerator and divisor, spelled apart (METHOD 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.graph.core import constant_input
from onnx2snn.operators.conditions import rank_of

if TYPE_CHECKING:
    from onnx2snn.graph.build import Spelling

#: Numerator and divisor (positive), which broadcast against each other.
Quotient = tuple[gs.Tensor, gs.Tensor]


def softmax(spell: Spelling, node: gs.Node) -> Quotient:
    """exp(x − max x) over its sum."""
    axis = np.array([node.attrs.get("axis", -1)], np.int64)
    x = node.inputs[0]
    sizes = _one_along(x, axis)
    largest = spell.apply("ReduceMax", x, axis, keepdims=1, sizes=sizes)
    risen = spell.apply("Exp", spell.apply("Sub", x, largest))
    return risen, spell.apply("ReduceSum", risen, axis, keepdims=1, sizes=sizes)


def layer_norm(spell: Spelling, node: gs.Node) -> Quotient:
    """γ·(x − μ) + β·σ over σ = sqrt(mean (x − μ)² + ε), over all axes from ``axis`` on."""
    first = int(node.attrs.get("axis", -1)) % rank_of(node.inputs[0])
    axes = np.arange(first, rank_of(node.inputs[0]))
    gamma, beta = (constant_input(node, i) for i in (1, 2))
    return _standardised(spell, node.inputs[0], axes, _epsilon(node), gamma, beta, centred=True)


def rms_norm(spell: Spelling, node: gs.Node) -> Quotient:
    """γ·x over sqrt(mean x² + ε)."""
    first = int(node.attrs.get("axis", -1)) % rank_of(node.inputs[0])
    axes = np.arange(first, rank_of(node.inputs[0]))
    return _standardised(
        spell, node.inputs[0], axes, _epsilon(node), constant_input(node, 1), None, centred=False
    )


def instance_norm(spell: Spelling, node: gs.Node) -> Quotient:
    """As :func:`layer_norm`, over places, with factors by channel."""
    rank = rank_of(node.inputs[0])
    column = (-1,) + (1,) * (rank - 2)
    gamma, beta = (
        None if v is None else v.reshape(column) for v in (constant_input(node, i) for i in (1, 2))
    )
    return _standardised(spell, node.inputs[0], np.arange(2, rank), _epsilon(node), gamma, beta, centred=True)


def group_norm(spell: Spelling, node: gs.Node) -> Quotient:
    """As :func:`layer_norm`, over the channels of a group and their places, with factors by channel or by group."""
    x, groups = node.inputs[0], int(node.attrs["num_groups"])
    batch, channels, *places = x.shape
    inside = spell.apply(
        "Reshape",
        x,
        np.array([0, groups, -1]),
        sizes=[batch, groups, channels * int(np.prod(places)) // groups],
    )
    c, deviation = _standardised(spell, inside, np.array([2]), _epsilon(node), None, None, centred=True)
    back = np.array([0, channels, *places])
    c = spell.apply("Reshape", c, back, sizes=[batch, channels, *places])
    each = np.array([1, groups, channels // groups])
    wide = spell.apply("Expand", deviation, each, sizes=[batch, groups, channels // groups])
    ones = [1] * len(places)
    deviation = spell.apply("Reshape", wide, np.array([0, channels, *ones]), sizes=[batch, channels, *ones])
    gamma, beta = (_by_channel(constant_input(node, i), channels, len(places)) for i in (1, 2))
    return spell.apply("Add", spell.apply("Mul", c, gamma), spell.apply("Mul", deviation, beta)), deviation


def _by_channel(values: NDArray[Any] | None, channels: int, places: int) -> NDArray[Any]:
    if values is None:
        raise AssertionError("a normalisation has factors")
    return np.repeat(values, channels // len(values)).reshape((-1,) + (1,) * places)


def mean_variance(spell: Spelling, node: gs.Node) -> Quotient:
    """X − μ over its deviation; the batch among the axes is no quotient of one sample."""
    axes = np.array(node.attrs.get("axes", [0, 2, 3]))
    return _standardised(spell, node.inputs[0], axes, 1e-9, None, None, centred=True)


def lp_norm(spell: Spelling, node: gs.Node) -> Quotient:
    """The input over the sum of magnitudes (p = 1), or the root of that of squares (p = 2); zeros stay zeros."""
    axis = np.array([node.attrs.get("axis", -1)], np.int64)
    x = node.inputs[0]
    reduction = "ReduceL1" if node.attrs.get("p", 2) == 1 else "ReduceL2"
    norm = spell.apply(reduction, x, axis, keepdims=1, sizes=_one_along(x, axis))
    some = spell.apply("Cast", norm, to=onnx.TensorProto.BOOL)
    some.dtype = np.dtype(bool)
    return x, spell.apply("Where", some, norm, np.ones(1, np.float32), sizes=list(norm.shape))


def local_response(spell: Spelling, node: gs.Node) -> Quotient:
    """The input over (k + α/n · Σ x²)^β, the sum over the n channels around each: the response of neighbours inhibits it."""
    x, size = node.inputs[0], int(node.attrs["size"])
    batch, channels, *places = x.shape
    around = [0] * (2 * len(x.shape))
    around[1], around[1 + len(x.shape)] = (size - 1) // 2, size // 2
    squares = spell.apply(
        "Pad", spell.apply("Mul", x, x), np.array(around), sizes=[batch, channels + size - 1, *places]
    )
    axis, step = np.array([1]), np.array([1])
    windows = [
        spell.apply("Slice", squares, step * i, step * (i + channels), axis, step, sizes=list(x.shape))
        for i in range(size)
    ]
    mean = spell.apply("Mul", spell.apply("Sum", *windows), np.float32(node.attrs.get("alpha", 1e-4) / size))
    base = spell.apply("Add", mean, np.float32(node.attrs.get("bias", 1.0)))
    return x, spell.apply("Pow", base, np.float32(node.attrs.get("beta", 0.75)))


def division(spell: Spelling, node: gs.Node) -> Quotient:
    """A division by a signal; one of any sign gives its sign to the numerator."""
    n, d = node.inputs
    return spell.apply("Mul", n, spell.apply("Sign", d)), spell.apply("Abs", d)


def _epsilon(node: gs.Node) -> float:
    return float(node.attrs.get("epsilon", 1e-5))


def _standardised(  # noqa: PLR0917 - in the order of the equation
    spell: Spelling,
    x: gs.Tensor,
    axes: NDArray[np.int64],
    epsilon: float,
    gamma: NDArray[Any] | None,
    beta: NDArray[Any] | None,
    *,
    centred: bool,
) -> Quotient:
    axes = np.asarray(axes, np.int64)
    sizes = _one_along(x, axes)
    if centred:
        x = spell.apply("Sub", x, spell.apply("ReduceMean", x, axes, keepdims=1, sizes=sizes))
    power = spell.apply("ReduceMean", spell.apply("Mul", x, x), axes, keepdims=1, sizes=sizes)
    deviation = spell.apply("Sqrt", spell.apply("Add", power, np.full(1, epsilon, np.float32)))
    if gamma is not None:
        x = spell.apply("Mul", x, gamma)
    if beta is not None and np.any(beta):
        term = spell.apply("Mul", deviation, beta, sizes=_against(deviation, beta))
        x = spell.apply("Add", x, term)
    return x, deviation


def _against(x: gs.Tensor, values: NDArray[Any]) -> list[int | str]:
    """The sizes of ``x`` and a constant of no higher rank, taken against each other."""
    sizes = list(x.shape)
    for axis, size in enumerate(values.shape, start=len(sizes) - values.ndim):
        sizes[axis] = sizes[axis] if size == 1 else size
    return sizes


def _one_along(x: gs.Tensor, axes: NDArray[np.int64]) -> list[int | str]:
    sizes = list(x.shape)
    for axis in axes:
        sizes[int(axis)] = 1
    return sizes
