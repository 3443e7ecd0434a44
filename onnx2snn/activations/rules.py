"""Rounding rules: one for all channels of a layer, or one for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rounding = Literal["floor", "ceil", "half_even", "half_odd"]

#: The name of a rule for each channel, broadcastable to one sample; shape () where all channels share one.
Rules: TypeAlias = NDArray[np.str_]

#: The same thresholds of −z, counted from an even level.
_MIRRORED: dict[str, Rounding] = {
    "floor": "ceil",
    "ceil": "floor",
    "half_even": "half_even",
    "half_odd": "half_odd",
}
#: The same thresholds, their levels counted from an odd one: ties go to the other side.
_SHIFTED: dict[str, Rounding] = {
    "floor": "floor",
    "ceil": "ceil",
    "half_even": "half_odd",
    "half_odd": "half_even",
}

_FUNCTIONS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "half_even": np.rint,
    "half_odd": lambda u: np.rint(u - 1) + 1,
}


def rules_of(names: ArrayLike) -> Rules:
    """Rules by name, as one where all are the same.

    >>> rules_of(["floor", "floor"]).shape, rules_of(["half_even", "half_odd"]).shape
    ((), (2,))
    """
    rules = np.asarray(names, np.str_)
    return rules.reshape(-1)[:1].reshape(()) if rules.size and np.all(rules == rules.flat[0]) else rules


def names_of(rules: Rules) -> str | list[str]:
    """The rules in a file: one name, or one for each channel.

    >>> names_of(np.array("floor")), names_of(np.array([["ceil"], ["floor"]]))
    ('floor', ['ceil', 'floor'])
    """
    names = [str(name) for name in rules_of(rules).ravel()]
    return names[0] if len(names) == 1 else names


def by_rule(rules: Rules, *, floor: Any, ceil: Any, half_even: Any, half_odd: Any) -> NDArray[Any]:
    """What is given for the rule of each channel; the four broadcast with the rules.

    >>> by_rule(np.array(["ceil", "half_odd"]), floor=0, ceil=1, half_even=2, half_odd=3).tolist()
    [1, 3]
    """
    given = {"floor": floor, "ceil": ceil, "half_even": half_even, "half_odd": half_odd}
    there = np.unique(rules)
    if there.size == 1:
        return np.asarray(given[str(there[0])])
    chosen = np.asarray(given[str(there[0])])
    for name in there[1:]:
        chosen = np.where(rules == name, given[str(name)], chosen)
    return chosen


def rounded(u: NDArray[np.float64], rules: Rules) -> NDArray[np.float64]:
    """R(u) of numbers (N, ...), by the rule of each channel.

    >>> rounded(np.array([1.5, 2.5]), np.array(["half_even", "half_odd"])).tolist()
    [2.0, 3.0]
    """
    there = np.unique(rules)
    result = _FUNCTIONS[str(there[0])](u)
    for name in there[1:]:
        result = np.where(rules == name, _FUNCTIONS[str(name)](u), result)
    return result


def mirrored(rules: Rules, highest: NDArray[Any]) -> Rules:
    """The rules of K − k as a function of −z, K being ``highest`` of each channel."""
    return counted_from(_renamed(rules, _MIRRORED), highest)


def counted_from(rules: Rules, level: NDArray[Any]) -> Rules:
    """The rules of k − ``level`` of each channel: of an odd one, ties that go to even levels go to odd ones.

    >>> counted_from(np.array("half_even"), np.array([0, 3])).tolist()
    ['half_even', 'half_odd']
    """
    odd = np.asarray(level % 2 == 1, bool)
    return rules_of(np.where(odd, _renamed(rules, _SHIFTED), rules))


def _renamed(rules: Rules, names: dict[str, Rounding]) -> Rules:
    return np.asarray(by_rule(rules, **names), np.str_)


__all__ = ["Rounding", "Rules", "by_rule", "counted_from", "mirrored", "names_of", "rounded", "rules_of"]
