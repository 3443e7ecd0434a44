"""What bodies of QONNX operators have in common: the call that they are written for, and statements that several of them need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One node that calls an operator.

    Attributes:
        attributes: Of the node, as they are stored.
        inputs: How many it has.
        opset: The version of ONNX that the body is written for.
    """

    attributes: Mapping[str, Any]
    inputs: int
    opset: int

    def text(self, name: str, default: str) -> str:
        """A string."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def flag(self, name: str, default: int) -> int:
        """0 or 1."""
        return int(bool(self.attributes.get(name, default)))

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number.

        Raises:
            ValueError: it is not there, and has no default.
        """
        value = self.attributes.get(name, default)
        if value is None:
            raise ValueError(f"its attribute '{name}' is missing")
        return int(value)


def number(name: str, value: float) -> str:
    """The statement of a constant."""
    return f"{name} = Constant<value = float {{{float(value)!r}}}>()"


def sizes(name: str, values: Sequence[int]) -> str:
    """The statement of a list of whole numbers."""
    return f"{name} = Constant<value = int64[{len(values)}] {{{', '.join(map(str, values))}}}>()"


#: Names that mean the same: QONNX's table says HALF_EVEN, Brevitas writes ROUND_TO_ZERO.
_SYNONYMS = {"HALF_EVEN": "ROUND", "ROUND_TO_ZERO": "DOWN"}


def rounding(call: Call, mode: str, y: str, r: str) -> str:
    """The statements that round ``y`` to ``r``.

    Raises:
        ValueError: QONNX has no such mode.
    """
    name = _SYNONYMS.get(mode.upper(), mode.upper())
    if name in ("CEIL", "FLOOR"):
        return f"{r} = {name.capitalize()}({y})"
    if name == "ROUND" and call.opset >= 11:
        return f"{r} = Round({y})"
    whole = {
        "UP": f"{r}_n = Ceil({r}_size)",
        "DOWN": f"{r}_n = Floor({r}_size)",
        "HALF_UP": f"{number(f'{r}_half', 0.5)} {r}_at = Add({r}_size, {r}_half) {r}_n = Floor({r}_at)",
        "HALF_DOWN": f"{number(f'{r}_half', 0.5)} {r}_at = Sub({r}_size, {r}_half) {r}_n = Ceil({r}_at)",
        "ROUND": _half_even(r),
    }.get(name)
    if whole is None:
        raise ValueError(f"QONNX has no rounding mode '{mode}'")
    return f"{r}_sign = Sign({y}) {r}_size = Abs({y}) {whole} {r} = Mul({r}_sign, {r}_n)"


def _half_even(r: str) -> str:
    """Half to even before opset 11, which has no Round: a size less its whole part is exact."""
    return f"""{number(f"{r}_half", 0.5)} {number(f"{r}_one", 1.0)}
        {r}_below = Floor({r}_size)             {r}_part = Sub({r}_size, {r}_below)
        {r}_above = Greater({r}_part, {r}_half) {r}_under = Less({r}_part, {r}_half)
        {r}_off = Or({r}_above, {r}_under)      {r}_tie = Not({r}_off)
        {r}_pairs = Mul({r}_below, {r}_half)    {r}_full = Floor({r}_pairs)
        {r}_odd = Less({r}_full, {r}_pairs)     {r}_even = And({r}_tie, {r}_odd)
        {r}_up = Or({r}_above, {r}_even)        {r}_next = Add({r}_below, {r}_one)
        {r}_n = Where({r}_up, {r}_next, {r}_below)"""


def clamped(call: Call, bits: str, value: str, result: str) -> str:
    """The statements that keep ``value`` between the smallest and the largest code of so many bits."""
    signed, narrow = call.flag("signed", 1), call.flag("narrow", 0)
    return f"""{number("two", 2)} {number("sign_bit", signed)} {number("narrow", narrow)} {number("one", 1)}
        wide = Sub({bits}, sign_bit)
        span = Pow(two, wide)
        top = Sub(span, one)
        high = {"Identity(top)" if signed else "Sub(top, narrow)"}
        least = Neg(span)
        low = {"Add(least, narrow)" if signed else "Mul(least, sign_bit)"}
        raised = Max({value}, low)
        {result} = Min(raised, high)"""
