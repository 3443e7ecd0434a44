"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

_PREFIXES = {-5: "f", -4: "p", -3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T"}


def si(value: float, unit: str = "") -> str:
    """Three digits and a prefix.

    >>> si(1234567), si(2.5e-9, "J"), si(12, "B"), si(0)
    ('1.23 M', '2.50 nJ', '12 B', '0')
    """
    if not value or not math.isfinite(value):
        return f"{value:g} {unit}".rstrip()
    value = float(f"{value:.2e}")
    step = max(min(math.floor(math.log10(abs(value)) / 3 + 1e-9), 4), -5)
    scaled = value / 1000.0**step
    if step == 0 and scaled == int(scaled):
        return f"{int(scaled)} {unit}".rstrip()
    digits = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0
    return f"{scaled:.{digits}f} {_PREFIXES[step]}{unit}".rstrip()


def count(value: int) -> str:
    """A whole number with separators.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def things(number: int, noun: str) -> str:
    """So many of something.

    >>> things(1, "layer"), things(1200, "layer")
    ('1 layer', '1,200 layers')
    """
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def steps_to_answer(timesteps: int, depth: int | None, coding: str = "binary") -> int:
    """Time steps from an input to its answer: (L + 1)·T, as each layer waits for the one before; in a rate code T.

    Args:
        timesteps: T, of a layer.
        depth: L, layers of neurons on the longest path; None where it is not known: T is all that can be said.
        coding: What a spike carries.

    >>> steps_to_answer(4, 4), steps_to_answer(32, 4, "rate")
    (20, 32)
    """
    return timesteps if depth is None or coding == "rate" else (depth + 1) * timesteps


def steps_in_words(timesteps: int, steps: int | None) -> str:
    """T, and beside it how long an answer takes.

    >>> steps_in_words(4, 20), steps_in_words(32, 32)
    ('T = 4 time steps a layer, 20 to an answer', 'T = 32 time steps')
    """
    told = f"T = {things(timesteps, 'time step')}"
    return told if steps is None or steps == timesteps else f"{told} a layer, {count(steps)} to an answer"


def times_less(one: float, other: float) -> str:
    """``one`` beside ``other``.

    >>> times_less(2.0, 5.0), times_less(5.0, 2.0)
    ('2.5 times less', '2.5 times more')
    """
    return f"{other / one:.1f} times less" if other >= one else f"{one / other:.1f} times more"


def rule(names: str | Sequence[str]) -> str:
    """A rounding rule, or those of some channels, each once.

    >>> rule("half_even"), rule(["half_odd", "half_even", "half_odd"])
    ('half-even', 'half-even, half-odd')
    """
    each = [names] if isinstance(names, str) else sorted(set(names))
    return ", ".join(each).replace("_", "-")


def duration(seconds: float) -> str:
    """A time span.

    >>> duration(0.0421), duration(12.34), duration(754), duration(7300)
    ('42 ms', '12.3 s', '12 min 34 s', '2 h 1 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def percent(share: float, digits: int = 2) -> str:
    """A share of one.

    >>> percent(0.9912), percent(0.5, 0)
    ('99.12 %', '50 %')
    """
    return f"{100 * share:.{digits}f} %"


def number(value: float | Sequence[float] | None) -> str:
    """A scalar, or the range of per-channel values; a dash where there is none.

    >>> number(0.0666667), number([0.5, 0.25]), number([2.0, 2.0])
    ('0.0667', '0.25…0.5', '2')
    """
    if value is None:
        return "-"
    if isinstance(value, (int, float)):
        return f"{value:.3g}"
    low, high = f"{min(value):.3g}", f"{max(value):.3g}"
    return low if low == high else f"{low}…{high}"


def file_size(path: str | Path) -> str:
    """The size of a file."""
    return si(Path(path).stat().st_size, "B")
