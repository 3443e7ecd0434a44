"""What the tables of operators in the middle share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drawn_cases.building import Network

Spelling = Callable[[Network, str], str]


@dataclass(frozen=True)
class Middle:
    """An operator with its attributes, as it stands in a network.

    Attributes:
        spell: From a tensor's name to that of its result.
        shape: What it reads: ``image``, ``sequence``, ``volume``, ``vector``; a sample has 3, 2, 3 + 1 and 1 axes.
        since: The first opset that has it.
        until: The last.
        codes: It takes integer codes as well, and leaves each as it is.
        synaptic: Linear, or a maximum: a spiking network has it between neurons.
    """

    spell: Spelling
    shape: str = "image"
    since: int = 10
    until: int = 99
    codes: bool = False
    synaptic: bool = True


def one(op: str, *read: Any, domain: str = "", **attributes: Any) -> Spelling:
    """An operator of one signal and constants."""
    return lambda b, x: str(b.op(op, x, *read, domain=domain, **attributes))
