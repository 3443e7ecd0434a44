"""Tables that fit: numbers are never cut, names give way from the left, where they say least."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_SHORTEST = 6


@dataclass(frozen=True)
class Name:
    """A node's name; of ``/features/block3/act`` a narrow column shows ``…block3/act``."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width
        yield Text(self.text if len(self.text) <= room else f"…{self.text[1 - room :]}", no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(_SHORTEST, len(self.text)), len(self.text))


def make_table(*columns: str, names: int = 1) -> Table:
    """A table without frames; the first ``names`` columns hold :class:`Name`, the others numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for position, column in enumerate(columns):
        if position < names:
            table.add_column(column, min_width=_SHORTEST)
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table
