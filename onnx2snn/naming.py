"""Names of layers where there is little room: what all of them share says least, so it goes first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """A name, and the part of it that tells it from its fellows.

    Attributes:
        name: Whole.
        start: Where that part begins.
        stop: Where it ends.
    """

    name: str
    start: int
    stop: int

    @property
    def part(self) -> str:
        """The part that matters."""
        return self.name[self.start : self.stop]

    def fit(self, room: int) -> str:
        """The name in at most ``room`` letters: whole, else from the part that matters on, else both ends of that.

        >>> Label("/3/act/Quant/neuron", 1, 2).fit(12), Label("act1", 0, 4).fit(12)
        ('…3/act/Quan…', 'act1')
        >>> Label("f.2/Relu_output_0_DequantizeLinear/neuron", 0, 34).fit(20)
        'f.2/Relu_o…izeLinear'
        """
        name = self.name
        if len(name) <= room:
            return name
        lead = "…" if self.start else ""
        if len(lead) + len(self.part) + 1 > room:
            return cut(self.part, room)
        if len(lead) + len(name) - self.start <= room:
            return lead + name[self.start :]
        return f"{lead}{name[self.start : self.start + room - 1 - len(lead)]}…"


def distinct(names: Iterable[str]) -> dict[str, Label]:
    """By name, what tells it from the others: the parts between slashes that all share, at either end, do not.

    >>> [label.part for label in distinct(["/3/act/Quant/neuron", "/15/act/Quant/neuron"]).values()]
    ['3', '15']
    >>> distinct(["features/act/neuron"])["features/act/neuron"].part
    'features/act/neuron'
    """
    parts = {name: name.split("/") for name in names}
    if len(parts) < 2:
        return {name: Label(name, 0, len(name)) for name in parts}
    shortest = min(len(part) for part in parts.values())
    last = _shared([part[::-1] for part in parts.values()], shortest - 1)
    first = _shared(list(parts.values()), shortest - 1 - last)
    found = {}
    for name, part in parts.items():
        start = sum(len(p) + 1 for p in part[:first])
        found[name] = Label(name, start, len(name) - sum(len(p) + 1 for p in part[len(part) - last :]))
    return found


def _shared(lists: list[list[str]], most: int) -> int:
    count = 0
    while count < most and len({parts[count] for parts in lists}) == 1:
        count += 1
    return count


def cut(name: str, room: int) -> str:
    """Both ends of a name, as either may be what matters.

    >>> cut("act1", 20), cut("f.2/Relu_output_0_DequantizeLinear", 20)
    ('act1', 'f.2/Relu_o…izeLinear')
    """
    if len(name) <= room:
        return name
    back = (room - 1) // 2
    return f"{name[: room - 1 - back]}…{name[len(name) - back :]}"
