"""What each elementwise operator does to a :class:`~onnx2snn.activations.expression.Value`.

One line per operator: the table is the whole list of spellings that the recogniser reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import expression as act
from onnx2snn.activations import piecewise_linear as curve
from onnx2snn.activations.expression import Value
from onnx2snn.activations.rationals import NotPiecewiseLinearError, ratio, rationals

Handler: TypeAlias = Callable[[gs.Node, list[Value]], Value]


def _number(value: float) -> Value:
    return act.constant(rationals(np.float32(value)))


def _negate(value: Value) -> Value:
    return act.scale(value, _number(-1))


def _subtract(first: Value, second: Value) -> Value:
    return act.add(first, _negate(second))


def _divide(first: Value, second: Value) -> Value:
    return act.scale(first, act.combine(curve.reciprocal, second))


def _max(*values: Value) -> Value:
    result = values[0]
    for value in values[1:]:
        result = act.combine(curve.maximum, result, value)
    return result


def _min(*values: Value) -> Value:
    result = values[0]
    for value in values[1:]:
        result = act.combine(curve.minimum, result, value)
    return result


def _clip(node: gs.Node, values: list[Value]) -> Value:
    """Clip(x, min, max); a bound may be left out (an empty input has no value here)."""
    result, *bounds = values
    present = [not t.is_empty() for t in node.inputs[1:]]
    placed = iter(bounds)
    low, high = (next(placed) if i < len(present) and present[i] else None for i in range(2))
    if low is not None:
        result = _max(result, low)
    if high is not None:
        result = _min(result, high)
    return result


def _compare(first: Value, second: Value, *, closed: bool) -> Value:
    """The comparison first > second (``closed``: ≥) as 0 or 1."""
    return act.combine(
        lambda f, g: curve.positive(curve.add(f, curve.negate(g)), closed=closed), first, second
    )


def _not(value: Value) -> Value:
    return _subtract(_number(1), value)


def _sign(value: Value) -> Value:
    zero = _number(0)
    return _subtract(_compare(value, zero, closed=False), _compare(zero, value, closed=False))


def _hard_sigmoid(node: gs.Node, values: list[Value]) -> Value:
    slope, offset = node.attrs.get("alpha", 0.2), node.attrs.get("beta", 0.5)
    line = act.add(act.scale(values[0], _number(slope)), _number(offset))
    return _min(_max(line, _number(0)), _number(1))


def _leaky(node: gs.Node, values: list[Value]) -> Value:
    slope = _number(node.attrs.get("alpha", 0.01))
    return _where(_compare(values[0], _number(0), closed=True), values[0], act.scale(values[0], slope))


def _where(condition: Value, first: Value, second: Value) -> Value:
    return act.combine(curve.select, condition, first, second)


def _cast(node: gs.Node, values: list[Value]) -> Value:
    target = np.dtype(node.outputs[0].dtype) if node.outputs[0].dtype is not None else None
    if target is None:
        raise NotPiecewiseLinearError("it casts to an unknown type")
    if target == np.bool_:
        raise NotPiecewiseLinearError("it casts to a truth value")
    if np.issubdtype(target, np.integer):
        source = node.inputs[0].dtype
        if source is not None and np.dtype(source).kind in "iub":
            return values[0]
        return act.rounding(values[0], "trunc", node)
    return values[0]


def _abs(value: Value) -> Value:
    return _max(value, _negate(value))


def _rounding(rule: str) -> Handler:
    return lambda node, values: act.rounding(values[0], rule, node)


def _plain(function: Callable[..., Value]) -> Handler:
    return lambda node, values: function(*values)  # noqa: ARG005 - the common signature


HANDLERS: Mapping[str, Handler] = {
    "Abs": _plain(_abs),
    "Add": _plain(act.add),
    "And": _plain(act.multiply),
    "Cast": _cast,
    "Ceil": _rounding("ceil"),
    "Clip": _clip,
    "Div": _plain(_divide),
    "Floor": _rounding("floor"),
    "Greater": _plain(lambda a, b: _compare(a, b, closed=False)),
    "GreaterOrEqual": _plain(lambda a, b: _compare(a, b, closed=True)),
    "HardSigmoid": _hard_sigmoid,
    "Identity": _plain(lambda a: a),
    "LeakyRelu": _leaky,
    "Less": _plain(lambda a, b: _compare(b, a, closed=False)),
    "LessOrEqual": _plain(lambda a, b: _compare(b, a, closed=True)),
    "Max": _plain(_max),
    "Mean": _plain(lambda *v: act.scale(act.add(*v), act.constant(ratio(1, len(v))))),
    "Min": _plain(_min),
    "Mul": _plain(act.multiply),
    "Neg": _plain(_negate),
    "Not": _plain(_not),
    "Or": _plain(_max),
    "PRelu": _plain(lambda x, a: _where(_compare(x, _number(0), closed=True), x, act.multiply(x, a))),
    "Relu": _plain(lambda a: _max(a, _number(0))),
    "Round": _rounding("half_even"),
    "Sign": _plain(_sign),
    "Sub": _plain(_subtract),
    "Sum": _plain(act.add),
    "ThresholdedRelu": lambda node, v: act.multiply(
        v[0], _compare(v[0], _number(node.attrs.get("alpha", 1.0)), closed=False)
    ),
    "Where": _plain(_where),
}
