"""What an operator makes of expressions, composed once for all nodes, graphs and passes where it meets the same.

A network repeats its activations, and passes ask for them one after the other. What an operator makes of functions of a
tensor depends on it, on its attributes and on those functions alone: not on which tensor they are functions of.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import expression as act
from onnx2snn.activations.expression import RegridError, Value
from onnx2snn.activations.jumps import Rounded
from onnx2snn.activations.operators import Handler
from onnx2snn.activations.piecewise_linear import ChannelsDifferError, Curve, again
from onnx2snn.activations.rationals import NotPiecewiseLinearError, rationals
from onnx2snn.graph.core import value_of
from onnx2snn.graph.exporter import PRIVATE

T = TypeVar("T")
#: Expressions that are kept.
_MOST = 4096


class _Kept(Generic[T]):
    """What was made last, by what it was made from."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = make()
            if len(self._held) > _MOST:
                self._held.popitem(last=False)
        else:
            self._held.move_to_end(key)
        return held


@dataclass(frozen=True)
class _Made:
    """A :class:`Value` that stands in no graph, or why there is none.

    Attributes:
        of_root: As there; None where there is none.
        of_level: As there.
        rounded: Whose rounding it has: the position among those of what it is made of, or a new one's rule and line.
        error: Why there is none.
        known: As there.
        key: A number of its own.
    """

    of_root: Curve | None = None
    of_level: Curve | None = None
    rounded: int | tuple[str, Curve] | None = None
    error: Exception | None = None
    known: dict[Hashable, Any] = field(default_factory=dict)
    key: int = field(default_factory=itertools.count(1).__next__)


_CONSTANTS: _Kept[Value] = _Kept()
_COMPOSED: _Kept[_Made] = _Kept()


def constant(tensor: gs.Tensor) -> Value:
    """The value of a constant.

    Raises:
        NotPiecewiseLinearError: it is infinite somewhere, or not a number.
    """
    values = value_of(tensor)
    digest = hashlib.blake2b(np.ascontiguousarray(values).tobytes()).digest()
    key = (str(values.dtype), values.shape, digest)
    return _CONSTANTS.get(key, lambda: replace(act.constant(rationals(values)), key=key))


def composed(handler: Handler, node: gs.Node, values: list[Value]) -> Value:
    """What ``node`` makes of ``values``, those of its inputs that are there, all functions of one tensor.

    Raises:
        NotPiecewiseLinearError, RegridError, ChannelsDifferError: it cannot be composed.
    """
    roundings = list({id(v.rounded): v.rounded for v in values if v.rounded is not None}.values())
    which = tuple(next((i for i, r in enumerate(roundings) if r is v.rounded), None) for v in values)
    key = (*_content(node), *((v.key, place) for v, place in zip(values, which, strict=True)))
    made = _COMPOSED.get(key, lambda: _made(handler, node, values, roundings))
    if made.of_root is None or made.error is not None:
        raise again(made.error or AssertionError("it is an expression or has none"))
    rounded: Rounded | None = None
    if made.rounded is not None:
        rounded = roundings[made.rounded] if isinstance(made.rounded, int) else Rounded(*made.rounded, node)
    root = next(v.root for v in values if v.root is not None)
    nodes = (*{id(n): n for v in values for n in v.nodes}.values(), node)
    return Value(root, made.of_root, made.of_level, rounded, nodes, made.known, made.key)


def _made(handler: Handler, node: gs.Node, values: list[Value], roundings: list[Rounded]) -> _Made:
    try:
        value = handler(node, values)
    except (NotPiecewiseLinearError, RegridError, ChannelsDifferError) as error:
        return _Made(error=again(error))
    rounded = value.rounded
    place = next((i for i, one in enumerate(roundings) if one is rounded), None)
    new = None if rounded is None else (rounded.rule, rounded.inner)
    return _Made(value.of_root, value.of_level, new if place is None else place)


def _content(node: gs.Node) -> tuple[Hashable, ...]:
    """All that tells what ``node`` computes, but for what it reads."""
    attrs = {
        k: tuple(v) if isinstance(v, list) else v for k, v in node.attrs.items() if not k.startswith(PRIVATE)
    }
    if any(isinstance(v, (np.ndarray, gs.Tensor, gs.Graph)) for v in attrs.values()):
        return (object(),)  # like nothing else
    there = tuple(t.is_empty() for t in node.inputs)
    return node.op, tuple(sorted(attrs.items())), there, str(node.inputs[0].dtype), str(node.outputs[0].dtype)
