"""How far it is: a bar with rate and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from onnx2snn.cli.terminal import Terminal
from onnx2snn.units import count, duration

_LINE_EVERY = 5.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Samples a second, once there is something to divide."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def track(terminal: Terminal, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress while the block runs; it calls what it gets with the number of samples just done."""
    if terminal.quiet:
        yield lambda _: None
    elif terminal.err.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        with Progress(*columns, _Rate(), TimeRemainingColumn(), console=terminal.err, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.advance(task, done)
    else:
        yield _Lines(terminal, what, total).advance


@contextmanager
def track_total(terminal: Terminal, what: str) -> Iterator[Callable[[float, float], None]]:
    """As :func:`track`, for work that says itself how much there is; the block gets (done, total) to call."""
    if terminal.quiet:
        yield lambda _done, _total: None
    elif terminal.err.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=terminal.err, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _WorkerShares(terminal, what).report


class _WorkerShares:
    """A line every few seconds: how much is done."""

    def __init__(self, terminal: Terminal, what: str) -> None:
        self._terminal, self._what = terminal, what
        self._printed = time.monotonic()

    def report(self, done: float, total: float) -> None:
        now = time.monotonic()
        if now - self._printed >= _LINE_EVERY and total:
            self._printed = now
            self._terminal.err.print(f"{self._what}: {done / total:.0%}")


class _Lines:
    """A line every few seconds, for logs; short work prints none.

    The first report starts the clock, as it may stand for samples that an earlier run did.
    """

    def __init__(self, terminal: Terminal, what: str, total: int) -> None:
        self._terminal, self._what, self._total = terminal, what, total
        self._printed = time.monotonic()
        self._done = 0
        self._start: tuple[float, int] | None = None

    def advance(self, done: int) -> None:
        self._done += done
        now = time.monotonic()
        self._start = self._start or (now, self._done)
        began, before = self._start
        if now - self._printed < _LINE_EVERY or self._done == before:
            return
        self._printed = now
        rate = (self._done - before) / (now - began)
        left = duration((self._total - self._done) / rate)
        words = f"{self._what}: {count(self._done)}/{count(self._total)} samples, {rate:,.0f}/s, {left} left"
        self._terminal.err.print(words)
