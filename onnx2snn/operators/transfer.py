"""Which values an operator may answer, from those that it may be given: one rule an operator, in whatever is known of values.

Abstract interpretation (Cousot and Cousot, POPL 1977): a :class:`Domain` is one kind of knowledge (two ends, a lattice) and
its arithmetic; the transfer functions here say in that arithmetic what operators do. What answers None is not known.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, constant_input, is_constant, is_float, value_of
from onnx2snn.operators.places import arriving, joined
from onnx2snn.operators.table import of

V = TypeVar("V")
#: Of a node, in a domain, from the values of its inputs.
Transfer: TypeAlias = "Callable[[Domain[Any], gs.Node, list[Any]], Any]"


class Domain(ABC, Generic[V]):
    """What may be known of a tensor's values, place by place, or of all places together.

    An operation that a domain has no answer to is left as it is here: nothing is known of the result.
    """

    @abstractmethod
    def number(self, value: float) -> V:
        """A float32 number."""

    @abstractmethod
    def total(self, parts: Sequence[V]) -> V:
        """Sums of a value of each."""

    @abstractmethod
    def negated(self, part: V) -> V:
        """The negatives."""

    @abstractmethod
    def product(self, node: gs.Node, parts: list[V]) -> V | None:
        """Products of a value of each of two."""

    @abstractmethod
    def quotient(self, node: gs.Node, parts: list[V]) -> V | None:
        """Quotients of a value of each of two."""

    @abstractmethod
    def mean(self, parts: Sequence[V]) -> V:
        """Means of a value of each."""

    @abstractmethod
    def average(self, node: gs.Node, part: V) -> V | None:
        """Means of as many values as ``node`` averages."""

    @abstractmethod
    def affine(self, part: V, factor: Array, term: Array) -> V:
        """Multiples, plus a term."""

    @abstractmethod
    def larger(self, one: V, other: V) -> V:
        """The larger of a value of each."""

    @abstractmethod
    def smaller(self, one: V, other: V) -> V:
        """The smaller of a value of each."""

    @abstractmethod
    def united(self, one: V, other: V) -> V:
        """The values of both."""

    @abstractmethod
    def gathered(self, part: V) -> V:
        """The values of all places, as those of each."""

    @abstractmethod
    def mapped(self, part: V, function: Callable[[Array], Array | None]) -> V | None:
        """``function`` of each array that ``part`` is made of; None where it is None of one of them."""

    @abstractmethod
    def joined(self, parts: Sequence[V], function: Callable[[list[Array]], Array | None]) -> V | None:
        """``function`` of the arrays that stand at the same place in ``parts``."""

    def compared(self, _node: gs.Node, part: V) -> V | None:
        """``part`` as it may be compared along the axes of ``node``: the largest is one of its values."""
        return part

    def rising(self, _function: Callable[[Array], Array], _part: V) -> V | None:
        """A function that rises, of float32."""
        return None

    def between(self, _low: float, _high: float) -> V | None:
        """Anything between two numbers."""
        return None

    def chosen(self, _one: V, _other: V) -> V | None:
        """Of two, place by place."""
        return None


def _is_linear(node: gs.Node) -> bool:
    test = of(node).linear
    return test is not None and test(node)


def arrived(domain: Domain[V], node: gs.Node, part: V) -> V:
    """``part`` behind ``node``, place by place where that can be told."""
    placed = domain.mapped(part, lambda values: arriving(node, values))
    return domain.gathered(part) if placed is None else placed


def added(domain: Domain[V], _: gs.Node, read: list[V]) -> V:
    """Add, Sum."""
    return domain.total(read)


def subtracted(domain: Domain[V], _: gs.Node, read: list[V]) -> V:
    """Sub."""
    return domain.total([read[0], domain.negated(read[1])])


def multiplied(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """Mul."""
    return domain.product(node, read)


def divided(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """Div."""
    return domain.quotient(node, read)


def negated(domain: Domain[V], _: gs.Node, read: list[V]) -> V:
    """Neg."""
    return domain.negated(read[0])


def averaged(domain: Domain[V], _: gs.Node, read: list[V]) -> V:
    """Mean: of operands."""
    return domain.mean(read)


def largest(domain: Domain[V], _: gs.Node, read: list[V]) -> V:
    """Max."""
    return functools.reduce(domain.larger, read)


def smallest(domain: Domain[V], _: gs.Node, read: list[V]) -> V:
    """Min."""
    return functools.reduce(domain.smaller, read)


def rectified(domain: Domain[V], _: gs.Node, read: list[V]) -> V:
    """Relu."""
    return domain.larger(read[0], domain.number(0))


def clipped(domain: Domain[V], node: gs.Node, read: list[V]) -> V:
    """Clip: either bound may be left out."""
    result, bounds = read[0], iter(read[1:])
    for tensor, function in zip(node.inputs[1:], (domain.larger, domain.smaller), strict=False):
        if not tensor.is_empty():
            result = function(result, next(bounds))
    return result


def absolute(domain: Domain[V], _: gs.Node, read: list[V]) -> V | None:
    """Abs."""
    return domain.larger(domain.larger(read[0], domain.negated(read[0])), domain.number(0))


def rising(function: Callable[[Array], Array]) -> Transfer:
    """A function that rises, entry by entry."""
    return lambda domain, _, read: domain.rising(function, read[0])


def mask(domain: Domain[V], _: gs.Node, __: list[V]) -> V | None:
    """False or true, or between them."""
    return domain.between(0, 1)


def cast(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """Cast: to booleans, integers or floats."""
    kind = node.outputs[0].dtype
    if kind is None or np.dtype(kind) == bool:
        return domain.between(0, 1)
    return domain.rising(np.positive if is_float(node.outputs[0]) else np.trunc, read[0])


def chosen(domain: Domain[V], _: gs.Node, read: list[V]) -> V | None:
    """Where: its condition is not known."""
    return domain.chosen(read[1], read[2])


def normalised(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """BatchNormalization by constants."""
    if not _is_linear(node) or not all(is_constant(t) for t in node.inputs[1:]):
        return None
    gamma, beta, mean, variance = (value_of(t).astype(np.float64) for t in node.inputs[1:5])
    factor = gamma / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    column = (-1,) + (1,) * (len(node.inputs[0].shape) - 2)
    return domain.affine(read[0], factor.reshape(column), (beta - mean * factor).reshape(column))


def copied(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """Entries of one sample, in other places."""
    copies = of(node).copies
    return (
        arrived(domain, node, read[0]) if copies is not None and copies(node) and _is_linear(node) else None
    )


def padded(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """Such, perhaps beside a number."""
    if not _is_linear(node):
        return None
    if node.attrs.get("mode", "constant") != "constant":
        return arrived(domain, node, read[0])
    given = constant_input(node, 2)
    fill = 0.0 if given is None else float(given.reshape(-1)[0])
    return arrived(domain, node, domain.united(read[0], domain.number(fill)))


def beside(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """Concat: operands beside each other, none of which is constant."""
    if not _is_linear(node) or any(is_constant(t) for t in node.inputs):
        return None
    placed = domain.joined(read, lambda parts: joined(node, parts))
    return functools.reduce(domain.united, map(domain.gathered, read)) if placed is None else placed


def compared(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """The largest of some entries."""
    part = domain.compared(node, read[0])
    return None if part is None else arrived(domain, node, part)


def pooled(domain: Domain[V], node: gs.Node, read: list[V]) -> V | None:
    """Means of entries of one sample, perhaps beside zeros that pad them."""
    if not _is_linear(node):
        return None
    zeros = any(node.attrs.get("pads", ())) or node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    part = domain.united(read[0], domain.number(0)) if zeros else read[0]
    return domain.average(node, arrived(domain, node, part))


def is_nothing(node: gs.Node) -> bool:
    """Whether ``node`` multiplies by zero: how a constant activation is written."""
    factors = [value_of(t) for t in node.inputs if is_constant(t)]
    return of(node).transfer is multiplied and len(factors) == 1 and not np.any(factors[0])
