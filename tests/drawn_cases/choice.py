"""Which kinds are drawn: every middle several times, and of all other axes as many pairs as there is room for."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from drawn_cases.code_operators import CODES
from drawn_cases.codes import FORMS
from drawn_cases.ends import ENDS
from drawn_cases.frames import MIDDLES, Case, Kind, build, opsets
from drawn_cases.quantisers import QUANTISERS
from drawn_cases.sources import SOURCES

#: Of each axis; repeated values are drawn more often.
AXES: Mapping[str, Sequence[Any]] = {
    "source": [*SOURCES],
    "quantiser": [*QUANTISERS],
    "place": ["activation", "activation", "potential", "fork", "input", "readout"],
    "sizes": ["batch", "one", "fixed", "places"],
    "layout": ["NCHW", "NCHW", "NHWC", "extended", "basic"],
    "end": [*["logits"] * 6, *["map"] * 4, *ENDS],
    "numbers": ["dyadic", "general"],
    "opset": [17, 13, 10, 11, 15, 19, 21, 23],
    "held": ["initializers", "initializers", "nodes", "inputs"],
    "weights": ["float", "float", "int8", "int8 by channel"],
}
#: What half of all cases read, so that what is wrong with other types hides nothing else.
_PLAIN = ["float32", "float32", "float32", "float32 quantised"]
#: Candidates, of which the one with most new pairs is taken.
_CANDIDATES = 12
#: What can't be built is drawn again, so often.
_TRIES = 8


def _candidate(random: np.random.Generator, middle: str, *, of_codes: bool, plain: bool) -> Kind | None:
    """Any kind with this middle, of a ``plain`` float32 input or of any; None where no opset has all of it."""
    axes = {**AXES, "source": _PLAIN} if plain else AXES
    chosen = {axis: values[random.integers(len(values))] for axis, values in axes.items()}
    if of_codes:
        forms = list(FORMS)
        chosen["quantiser"] = forms[random.integers(len(forms))]
    kind = Kind(middle=middle, **chosen)
    since, until = opsets(kind)
    known = [o for o in AXES["opset"] if since <= o <= until]
    return replace(kind, opset=known[random.integers(len(known))]) if known else None


def _pairs(kind: Kind) -> list[tuple[Any, ...]]:
    """Every two choices of a kind."""
    items = [(axis, value) for axis, value in asdict(kind).items() if axis != "held"]
    return list(itertools.combinations(items, 2))


def turns(repeats: int) -> Iterator[tuple[str, bool, bool]]:
    """Each middle ``repeats`` times, every other time of a plain input; on codes too, once for every two."""
    for turn in range(repeats):
        for number, (name, middle) in enumerate(MIDDLES.items(), turn):
            yield name, False, number % 2 == 0
            if middle.codes and turn % 2 == 0:
                yield name, True, number % 2 == 1
        for number, name in enumerate(CODES, turn):
            yield name, True, number % 2 == 0


@dataclass
class Drawing:
    """Cases in the making.

    Attributes:
        random: Where choices come from.
        covered: Pairs that a case has.
        failed: How often a pair was in what could not be built.
    """

    random: np.random.Generator
    covered: set[tuple[Any, ...]] = field(default_factory=set)
    failed: collections.Counter[tuple[Any, ...]] = field(default_factory=collections.Counter)

    def worth(self, kind: Kind) -> float:
        """How many new pairs it would bring, those that failed counting less."""
        return sum(0.5 ** self.failed[p] for p in _pairs(kind) if p not in self.covered)

    def draw(self, middle: str, *, of_codes: bool, plain: bool) -> Case | None:
        """The best of some candidates that can be built."""
        for _ in range(_TRIES):
            drawn = (
                _candidate(self.random, middle, of_codes=of_codes, plain=plain) for _ in range(_CANDIDATES)
            )
            candidates = [k for k in drawn if k is not None]
            if not candidates:
                continue
            kind = max(candidates, key=self.worth)
            case = build(kind)
            if case is not None:
                self.covered.update(_pairs(kind))
                return case
            self.failed.update(_pairs(kind))
        return None


def cases(*, repeats: int = 3, seed: int = 0, first: int = 0, every: int = 1) -> Iterator[Case]:
    """The cases of a seed, always the same; of all turns one in ``every``, from the ``first`` on."""
    drawing = Drawing(np.random.default_rng(seed))
    for middle, of_codes, plain in itertools.islice(turns(repeats), first, None, every):
        case = drawing.draw(middle, of_codes=of_codes, plain=plain)
        if case is not None:
            yield case
