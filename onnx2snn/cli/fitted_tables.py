"""Tables that fit: numbers are never cut, names give way, what they share with their fellows first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from onnx2snn.listings import Listing, Named
from onnx2snn.naming import Label, distinct

_SHORTEST = 6


@dataclass(frozen=True)
class Name:
    """A node's name; of ``/features/3/act/neuron`` a narrow column shows ``…3/act/ne…``, where others differ in the 3.

    Attributes:
        text: The name.
        label: The part of it that matters, where it has fellows.
        more: What is put behind it, and never cut.
    """

    text: str
    label: Label | None = None
    more: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        label = self.label or Label(self.text, 0, len(self.text))
        yield Text(label.fit(options.max_width - len(self.more)) + self.more, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        whole = len(self.text) + len(self.more)
        return Measurement(min(_SHORTEST + len(self.more), whole), whole)


def fitted(listing: Listing, head: str = "", below: Iterable[Text] = ()) -> Table:
    """A listing without frames, as wide as the terminal allows; with ``head``, another column of texts that fold.

    Args:
        listing: Its rows.
        head: Of the further column.
        below: Its cells.
    """
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for position, column in enumerate(listing.columns):
        if position < listing.names:
            table.add_column(column, min_width=_SHORTEST)
        else:
            table.add_column(column, justify="right", no_wrap=True)
    if head:
        table.add_column(head, overflow="fold")
    labels = [
        distinct(cell.text for row in listing.rows if isinstance(cell := row[column], Named))
        for column in range(listing.names)
    ]
    more = iter(below)
    for place, row in enumerate(listing.rows):
        cells = [
            Name(cell.text, labels[column][cell.text], cell.more) if isinstance(cell, Named) else cell
            for column, cell in enumerate(row)
        ]
        table.add_row(*cells, *([next(more)] if head else []), style="red" if place in listing.marked else "")
    return table
