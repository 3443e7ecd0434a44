"""Univariate expressions of a graph: what elementwise operators make of one tensor.

Every value here is ``f(z) + g(n)``: z is the pre-activation (the *root* tensor), n = R(h(z)) the result of one
rounding, and f, g, h are exact piecewise linear functions (:mod:`.piecewise_linear`). That is closed under every elementwise
operator with constants, and cancels what a straight-through estimator leaves in an exported graph: ``x + (q − x)``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import onnx_graphsurgeon as gs

from onnx2snn.activations import piecewise_linear as curve
from onnx2snn.activations.jumps import Rounded
from onnx2snn.activations.piecewise_linear import Curve
from onnx2snn.activations.rationals import NotPiecewiseLinearError, Rationals


class RegridError(Exception):
    """A second rounding falls on another grid than the first: it is an activation of its own."""


@dataclass(frozen=True, eq=False)
class Value:
    """f(z) + g(n) of one root tensor.

    Attributes:
        root: The tensor z; None for a constant.
        of_root: f.
        of_level: g; None while nothing was rounded.
        rounded: How n comes from z.
        known: What was found of these functions; values of the same operators on the same constants share it.
        key: Tells these functions from others; 0 is z itself.
        nodes: The nodes that were composed, for names in messages and in the layer table.
    """

    root: gs.Tensor | None
    of_root: Curve
    of_level: Curve | None = None
    rounded: Rounded | None = None
    nodes: tuple[gs.Node, ...] = field(default=())
    known: dict[Hashable, Any] = field(default_factory=dict)
    key: Hashable = 0

    @property
    def potential(self) -> gs.Tensor:
        """The root of an expression that is known to have one."""
        if self.root is None:
            raise AssertionError("an expression without a root is a constant")
        return self.root

    @property
    def is_affine(self) -> bool:
        """Whether it is a line of the root tensor."""
        return self.of_level is None and self.of_root.is_affine

    @property
    def is_identity(self) -> bool:
        """Whether it is the root tensor itself."""
        return self.is_affine and self.of_root.pieces[0].same(Curve.identity().pieces[0])

    @property
    def is_discrete(self) -> bool:
        """Whether it takes separate values only: rounded, or a step."""
        return self.of_level is not None or self.of_root.is_step


def constant(values: Rationals) -> Value:
    """The value of a constant."""
    return Value(None, Curve((), (curve.flat(values),), ()))


def root(tensor: gs.Tensor) -> Value:
    """``tensor`` as a pre-activation: z itself."""
    return Value(tensor, Curve.identity())


def _common(values: tuple[Value, ...]) -> Value:
    """The root, rounding and nodes that all of ``values`` share."""
    if len({id(v.rounded) for v in values if v.rounded is not None}) > 1:
        raise NotPiecewiseLinearError("it combines two roundings")
    roots = [v for v in values if v.root is not None]
    rounded = [v.rounded for v in values if v.rounded is not None]
    nodes = tuple({id(n): n for v in values for n in v.nodes}.values())
    first = roots[0] if roots else values[0]
    return Value(first.root, curve.Curve.constant(0), None, rounded[0] if rounded else None, nodes)


def add(*values: Value) -> Value:
    """The sum, part by part."""
    shared = _common(values)
    of_root, of_level = values[0].of_root, values[0].of_level
    for value in values[1:]:
        of_root = curve.add(of_root, value.of_root)
        if value.of_level is not None:
            of_level = value.of_level if of_level is None else curve.add(of_level, value.of_level)
    return _settled(replace(shared, of_root=of_root, of_level=of_level))


def _settled(value: Value) -> Value:
    """Without a part that has cancelled."""
    if value.of_level is not None and value.of_level.value is not None:
        total = curve.add(value.of_root, value.of_level)
        return replace(value, of_root=total, of_level=None, rounded=None)
    return value


def combine(function: Callable[..., Curve], *values: Value) -> Value:
    """Apply a function that is not additive: to functions of z alone, or of n alone; what is mixed, as functions of z."""
    shared = _common(values)
    if shared.rounded is not None and any(v.of_root.value is None for v in values):
        raise NotPiecewiseLinearError("it combines the rounded with the unrounded activation")
    if all(v.of_level is None for v in values):
        return replace(shared, of_root=function(*(v.of_root for v in values)), rounded=None)
    curves = [v.of_root if v.of_level is None else curve.add(v.of_root, v.of_level) for v in values]
    return _settled(replace(shared, of_level=function(*curves)))


def scale(value: Value, factor: Value) -> Value:
    """The product with a constant, part by part; with a mask, as a function of one variable."""
    if factor.root is None or factor.of_root.value is not None:
        of_root = curve.multiply(value.of_root, factor.of_root)
        of_level = None if value.of_level is None else curve.multiply(value.of_level, factor.of_root)
        return _settled(replace(_common((value, factor)), of_root=of_root, of_level=of_level))
    return combine(curve.multiply, value, factor)


def multiply(first: Value, second: Value) -> Value:
    """The product, whichever factor is the constant."""
    return scale(second, first) if first.root is None else scale(first, second)


def rounding(value: Value, rule: str, node: gs.Node) -> Value:
    """R of a value.

    1. Not rounded yet: this is the rounding of the activation.
    2. Already integers (a quantiser on its own grid): nothing changes.
    3. A step: its plateaus are rounded.

    Raises:
        RegridError: the value was rounded before, to other steps.
    """
    if value.of_level is not None:
        if value.of_root.value is None:
            raise NotPiecewiseLinearError("it combines the rounded with the unrounded activation")
        total = curve.add(value.of_root, value.of_level)
        if _is_integral_curve(total):
            return replace(value, of_root=Curve.constant(0), of_level=total)
        raise RegridError
    if value.of_root.is_step or value.of_root.value is not None:
        return replace(value, of_root=rounded_step(value.of_root, rule))
    return Value(
        value.root, Curve.constant(0), Curve.identity(), Rounded(rule, value.of_root, node), value.nodes
    )


def _is_integral_curve(total: Curve) -> bool:
    return all(v.is_whole for p in total.pieces for v in (p.slope, p.offset)) and all(
        p.is_whole for p in total.points
    )


def rounded_step(step: Curve, rule: str) -> Curve:
    """A step function whose plateaus are rounded."""
    return Curve(
        step.breaks,
        tuple(curve.flat(p.offset.rounded(rule)) for p in step.pieces),
        tuple(p.rounded(rule) for p in step.points),
    ).simplified()
