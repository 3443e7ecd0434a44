"""Names of layers where there is little room: what all of them share says nothing, so it goes first."""

from __future__ import annotations

from collections.abc import Iterable


def distinct(names: Iterable[str]) -> dict[str, str]:
    """By name, the part that tells it from the others: the parts between slashes that all share at an end are dropped.

    >>> distinct(["/3/act/Quant/neuron", "/15/act/Quant/neuron"])
    {'/3/act/Quant/neuron': '3', '/15/act/Quant/neuron': '15'}
    >>> distinct(["features/act/neuron"])
    {'features/act/neuron': 'features/act/neuron'}
    """
    parts = {name: name.split("/") for name in names}
    shortest = min((len(part) for part in parts.values()), default=0)
    if len(parts) < 2:
        return {name: name for name in parts}
    last = _shared([part[::-1] for part in parts.values()], shortest - 1)
    first = _shared(list(parts.values()), shortest - 1 - last)
    return {name: "/".join(part[first : len(part) - last]) for name, part in parts.items()}


def _shared(lists: list[list[str]], most: int) -> int:
    count = 0
    while count < most and len({parts[count] for parts in lists}) == 1:
        count += 1
    return count


def cut(name: str, room: int) -> str:
    """A name that fits: both ends of it, as either may be what matters.

    >>> cut("f.2/Relu_output_0_DequantizeLinear", 20), cut("act1", 20)
    ('f.2/Relu_o…izeLinear', 'act1')
    """
    if len(name) <= room:
        return name
    back = (room - 1) // 2
    return f"{name[: room - 1 - back]}…{name[len(name) - back :]}"
