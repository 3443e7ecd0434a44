"""What every figure shares: colours that follow the page, sizes that a phone can show, SVG that stands in a page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure

Parameters = ParamSpec("Parameters")
Drawn = TypeVar("Drawn")

#: Colours by the page's names for them. Matplotlib knows the stand-ins only; the page sees ``var(--name)``.
COLOURS = {
    "ink": "#010203",
    "soft": "#040506",
    "line": "#070809",
    "band": "#0a0b0c",
    "spike": "#0d0e0f",
    "other": "#101112",
    "third": "#131415",
    "on-spike": "#161718",
    "on-mid": "#191a1b",
}
#: Inches; the width of a phone, so that text stays readable without scrolling.
WIDTH = 4.2
LOWEST = 1.3
#: Layers in one figure; of more, as many are shown, evenly spaced, and the caption says so.
MOST_LAYERS = 12


def _style() -> Any:
    """Of Matplotlib."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "onnx2snn",
        "font.size": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "axes.linewidth": 0.6,
        "axes.edgecolor": COLOURS["line"],
        "axes.labelcolor": COLOURS["soft"],
        "xtick.color": COLOURS["line"],
        "ytick.color": COLOURS["line"],
        "xtick.labelcolor": COLOURS["soft"],
        "ytick.labelcolor": COLOURS["soft"],
        "text.color": COLOURS["ink"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
    }


@dataclass(frozen=True)
class Drawing:
    """One figure of the page.

    Attributes:
        key: Its anchor.
        title: Its heading.
        body: SVG, or HTML, as it stands in the page.
        caption: What it shows, with the numbers that matter.
        header: Columns of all its numbers, as a table.
        rows: Their texts.
    """

    key: str
    title: str
    body: str
    caption: str
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default=())


def in_style(draw: Callable[Parameters, Drawn]) -> Callable[Parameters, Drawn]:
    """Have a figure drawn in the page's style: Matplotlib asks for defaults whenever it makes a text, a line, a legend."""

    @wraps(draw)
    def styled(*args: Parameters.args, **options: Parameters.kwargs) -> Drawn:
        with mpl.rc_context(_style()):
            return draw(*args, **options)

    return styled


@contextmanager
def on_white() -> Iterator[None]:
    """Have figures drawn in colours of their own, for whoever shows them where no page is."""
    held = dict(COLOURS)
    light = (Path(__file__).parents[1] / "page.css").read_text(encoding="utf-8").split("}")[0]
    COLOURS.update({name: value for name, value in re.findall(r"--([\w-]+): (#\w+);", light) if name in held})
    try:
        yield
    finally:
        COLOURS.update(held)


def new_figure(height: float) -> tuple[Figure, Axes]:
    """A figure and its axes; never too low for their labels."""
    figure, panels = new_panels(height, 1)
    return figure, panels[0]


def new_panels(
    height: float, rows: int, columns: int = 1, *, sharex: bool = False, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row."""
    figure = Figure(figsize=(WIDTH, max(height, LOWEST)), layout="constrained")
    return figure, panels_of(figure, rows, columns, sharex=sharex, sharey=sharey)


def panels_of(
    figure: FigureBase, rows: int, columns: int = 1, *, sharex: bool = False, sharey: bool = False
) -> list[Axes]:
    """Axes on a figure, or on a part of one, row by row."""
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    return list(grid.ravel())


class NotebookFigure(Figure):
    """A figure that a notebook shows, whether or not pyplot was loaded there."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def new_parts(count: int, height: float) -> tuple[Figure, list[SubFigure]]:
    """A figure of several, side by side, each as wide as one alone."""
    figure = NotebookFigure(figsize=(WIDTH * count, max(height, LOWEST)), layout="constrained")
    return figure, list(figure.subfigures(1, count, squeeze=False)[0])


def to_svg(figure: Figure, key: str, label: str) -> str:
    """The figure as an SVG element: ids of its own, the page's colours, and a label for who cannot see it."""
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    head = f'<svg role="img" aria-labelledby="{key}-title"'
    title = f'<title id="{key}-title">{escape(label)}</title>'
    opening, rest = text[len("<svg") :].split(">", 1)
    return f"{head}{opening}>{title}{rest}"


def chosen(count: int, most: int = MOST_LAYERS) -> list[int]:
    """At most so many of ``count`` positions, evenly spaced, the first and the last among them."""
    return sorted({int(p) for p in np.linspace(0, count - 1, min(most, count)).round()})


def of_layers(count: int, most: int = MOST_LAYERS) -> str:
    """What a caption says where not all layers are shown."""
    return f" {most} of {count} layers are drawn, evenly spaced." if count > most else ""


def texts(rows: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    """Cells as they are printed."""
    return tuple(tuple(str(cell) for cell in row) for row in rows)
