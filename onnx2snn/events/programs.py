"""Steps of a network, and programs of them: line by line in Python, or compiled together where all of them are loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
#: From the values of what is read to those of what is written, in order; channels last.
Run: TypeAlias = Callable[..., Sequence[Array]]

#: So many steps are compiled together: compiling takes a quarter of a second each.
_TOGETHER = 24


@dataclass(frozen=True)
class Spelled:
    """A loop with what stands around it: Python that Numba compiles, too.

    Attributes:
        text: Lines, of what is read {r0} ..., what is written {w0} ..., and constants {k0} ...; ``ok`` becomes false where a loop
            is not worth it, or does not fit: then what is written is of the right shapes, and of no meaning.
        constants: Arrays, numbers and compiled functions.
    """

    text: str
    constants: tuple[Any, ...] = ()


#: What a loop reads and writes, and its lines.
_Part: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], Spelled]


@dataclass(frozen=True)
class EventStep:
    """A part of the network.

    Attributes:
        reads: Tensors.
        writes: Tensors.
        run: What it does with their values.
        spelled: The same in lines; None of what is no loop, or takes so long that it does not matter how it is called.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    run: Run
    spelled: Spelled | None = None


def program(steps: Sequence[EventStep], given: Sequence[str], wanted: Sequence[str]) -> Run:
    """The values of ``wanted`` tensors from those ``given``, step by step; they are let go where nothing reads them any more."""
    names = {name: f"v{place}" for place, name in enumerate(given)}
    latest = {name: place for place, step in enumerate(steps) for name in step.reads}
    lines = []
    space: dict[str, Any] = {}
    for place, step in enumerate(steps):
        read = ", ".join(names[name] for name in step.reads)
        names |= {name: f"v{len(names) + i}" for i, name in enumerate(step.writes)}
        lines.append(f"{', '.join(names[name] for name in step.writes)}, = s{place}({read})")
        gone = dict.fromkeys(names[n] for n in step.reads if latest[n] == place and n not in wanted)
        lines += [f"del {name}" for name in gone]
        space[f"s{place}"] = step.run
    lines.append(f"return ({', '.join(names[name] for name in wanted)},)")
    written: Run = defined(list(names.values())[: len(given)], lines, space)
    return written


def loop(
    reads: tuple[str, ...], writes: tuple[str, ...], spelled: Spelled, otherwise: Run | None
) -> EventStep:
    """A step that is spelled; ``otherwise`` computes what it does not."""
    function, arrays = _function([(reads, writes, spelled)], reads, writes)
    return EventStep(reads, writes, _guarded(function, arrays, otherwise), spelled)


def together(steps: Sequence[EventStep], wanted: Sequence[str]) -> list[EventStep]:
    """The same steps; neighbours that are spelled are compiled as one."""
    found: list[EventStep] = []
    place = 0
    while place < len(steps):
        spelled: list[_Part] = []
        for step in steps[place : place + _TOGETHER]:
            if step.spelled is None:
                break
            spelled.append((step.reads, step.writes, step.spelled))
        count = max(1, len(spelled))
        if count == 1:
            found.append(steps[place])
        else:
            behind = {name for step in steps[place + count :] for name in step.reads} | {*wanted}
            found.append(_one(steps[place : place + count], spelled, behind))
        place += count
    return found


def _one(
    steps: Sequence[EventStep],
    spelled: list[_Part],
    behind: set[str],
) -> EventStep:
    """Several loops."""
    made = [name for step in steps for name in step.writes]
    given = tuple(dict.fromkeys(name for step in steps for name in step.reads if name not in made))
    wanted = tuple(name for name in made if name in behind)
    function, arrays = _function(spelled, given, wanted)
    compiled = njit(nogil=True, error_model="numpy")(function)
    return EventStep(given, wanted, _guarded(compiled, arrays, program(steps, given, wanted)))


def _function(
    spelled: Sequence[_Part],
    given: Sequence[str],
    wanted: Sequence[str],
) -> tuple[Callable[..., Any], list[Array]]:
    """A function of the values ``given``, and of the arrays behind it, that returns ``ok`` and the values ``wanted``."""
    made = [name for _, writes, _ in spelled for name in writes]
    names = {name: f"v{place}" for place, name in enumerate((*given, *made))}
    arrays: list[Array] = []
    space: dict[str, Any] = {}
    lines = ["ok = True"]
    for reads, writes, step in spelled:
        held = {f"r{place}": names[name] for place, name in enumerate(reads)}
        held |= {f"w{place}": names[name] for place, name in enumerate(writes)}
        for place, constant in enumerate(step.constants):
            if isinstance(constant, np.ndarray):
                held[f"k{place}"] = f"a{len(arrays)}"
                arrays.append(constant)
            else:
                held[f"k{place}"] = name = f"c{len(space)}"
                space[name] = constant
        lines += step.text.format(**held).splitlines()
    lines.append(f"return ok, {', '.join(names[name] for name in wanted)}")
    arguments = [*(names[name] for name in given), *(f"a{place}" for place in range(len(arrays)))]
    return defined(arguments, lines, space), arrays


def _guarded(function: Callable[..., Any], arrays: list[Array], otherwise: Run | None) -> Run:
    """What a function of :func:`_function` answers; ``otherwise`` where that has no meaning."""

    def run(*values: Array) -> Sequence[Array]:
        answers = function(*values, *arrays)
        if answers[0] or otherwise is None:
            found: Sequence[Array] = answers[1:]
            return found
        return otherwise(*values)

    return run


def defined(arguments: Sequence[str], lines: Sequence[str], space: dict[str, Any]) -> Any:
    """The function of these lines."""
    text = f"def steps({', '.join(arguments)}):\n" + "\n".join(f" {line}" for line in lines)
    space = {"np": np, **space}
    exec(compile(text, "<steps>", "exec"), space)  # noqa: S102 - lines of this package, and formulas of the records
    return space["steps"]
