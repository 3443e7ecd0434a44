"""The sample itself: a picture where it is one, a trace of its values otherwise."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

import numpy as np
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator

from onnx2snn.report.figures.drawing import COLOURS, Drawing, in_style, new_figure, texts, to_svg
from onnx2snn.report.report_facts import Array, ReportFacts, summary

_CHANNELS = 4
_PIXELS = 512


@in_style
def input_pictures(facts: ReportFacts) -> Drawing:
    """Every input of the sample."""
    sample = facts.sample
    parts = [_shown(name, value, position) for position, (name, value) in enumerate(sample.inputs.items())]
    told = [
        f"{name}, {_size(value)}, from {value.min():.3g} to {value.max():.3g}"
        for name, value in sample.inputs.items()
    ]
    answer = "" if sample.answer is None else f" The spiking network answers class {sample.answer}"
    truth = "" if sample.label is None or not answer else f"; it is {sample.label}"
    return Drawing(
        "input",
        f"Sample {sample.index}",
        "".join(parts),
        f"Input {'; '.join(told)}.{answer + truth + '.' if answer else ''}",
        ("tensor", "shape", "min", "max", "mean"),
        texts([_row(name, value) for name, value in (*sample.inputs.items(), *sample.outputs.items())]),
    )


def _row(name: str, value: Array) -> tuple[str, ...]:
    facts = summary(value)
    return name, _size(value), *(f"{facts[key]:.4g}" for key in ("min", "max", "mean"))


def _size(value: Array) -> str:
    return "×".join(map(str, value.shape)) or "one value"


def _shown(name: str, value: Array, position: int) -> str:
    pictures = as_pictures(value)
    if not pictures:
        return _trace(name, value, position)
    return "".join(_image(picture, f"{name}, sample as a picture") for picture in pictures)


def as_pictures(value: Array) -> list[Array]:
    """Images (H, W) or (H, W, 3) in 0 … 1: of an image its own, of another tensor of planes its first few; none of a vector.

    Args:
        value: One sample: (C, H, W), (H, W, C), (H, W), or (C, D, H, W), of which the middle plane is taken.
    """
    planes = value.astype(np.float64)
    if planes.ndim == 4:
        planes = planes[:, planes.shape[1] // 2]
    if planes.ndim == 3 and planes.shape[-1] in (1, 3) and planes.shape[0] not in (1, 3):
        planes = np.moveaxis(planes, -1, 0)
    if planes.ndim != 3 or min(planes.shape[1:]) < 4:
        return []
    low, span = planes.min(), float(np.ptp(planes)) or 1.0
    planes = (planes - low) / span
    if len(planes) == 3:
        return [np.moveaxis(planes, 0, -1)]
    return list(planes[:_CHANNELS])


def _image(picture: Array, label: str) -> str:
    step = max(1, -(-max(picture.shape[:2]) // _PIXELS))
    buffer = io.BytesIO()
    options: dict[str, Any] = {"metadata": {"Software": None}}
    if picture.ndim == 2:
        options |= {"cmap": "gray", "vmin": 0, "vmax": 1}
    imsave(buffer, picture[::step, ::step], format="png", **options)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img class="pixels" alt="{escape(label)}" src="data:image/png;base64,{data}">'


def _trace(name: str, value: Array, position: int) -> str:
    """Values along the last axis: a line a channel, or a stem a value where there are few."""
    lines = np.atleast_2d(value.reshape(-1, value.shape[-1]) if value.ndim else value.reshape(1, 1))[
        :_CHANNELS
    ]
    figure, axes = new_figure(1.5)
    if len(lines) == 1 and lines.shape[1] <= 64:
        axes.vlines(range(lines.shape[1]), 0, lines[0], color=COLOURS["other"], linewidth=1.6)
        axes.axhline(0, color=COLOURS["line"], linewidth=0.6)
    else:
        for line, colour in zip(lines, ("other", "spike", "third", "soft"), strict=False):
            axes.plot(line, color=COLOURS[colour], linewidth=0.9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("value")
    axes.set_xlabel(f"{name}: position" if value.ndim < 2 else f"{name}: position in {len(lines)} channels")
    return to_svg(figure, f"input-{position}", f"{name}, sample as a trace")
