"""Accuracy over T: points that a sweep has written down, or a sweep run now on a float network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from onnx2snn.conversion import convert
from onnx2snn.data import DataSet
from onnx2snn.errors import InputError
from onnx2snn.evaluation import evaluate
from onnx2snn.report.report_facts import SweepPoint
from onnx2snn.runtime.providers import Provider

Codes: TypeAlias = Mapping[str, tuple[Mapping[str, Any], Sequence[int]]]
#: What a sweep that is run now tries: by code, options of ``convert`` and time steps.
CODES: Codes = {"binary": ({}, (1, 2, 3, 4, 5, 6)), "rate": ({"coding": "rate"}, (1, 2, 4, 8, 16, 32))}
_REMEDY = 'write [{"code": "binary", "T": 4, "accuracy": 0.989}, ...], accuracies from 0 to 1'


def read_sweep(path: str | Path) -> tuple[SweepPoint, ...]:
    """Points from a JSON file: a list of {code, T, accuracy}, or an object that holds it under ``points`` or ``sweep``.

    Raises:
        InputError: the file is missing, no JSON, or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"the sweep '{path}' cannot be read",
            found=error.strerror,
            remedy="check its path, and that it may be read",
        ) from error
    except ValueError as error:
        raise InputError(f"the sweep '{path}' is no JSON", found=str(error), remedy=_REMEDY) from error
    if isinstance(content, Mapping):
        content = content.get("points", content.get("sweep"))
    if not isinstance(content, list) or not content:
        raise InputError(f"the sweep '{path}' holds no points", remedy=_REMEDY)
    return sweep_points(content, source=str(path))


def sweep_points(points: Sequence[Any], *, source: str = "the sweep") -> tuple[SweepPoint, ...]:
    """Points, checked, in the order of their codes and T.

    Args:
        points: :class:`SweepPoint`, or mappings {code, T, accuracy}; ``timesteps`` may stand for ``T``.
        source: What to call them in messages.

    Raises:
        InputError: one has no T or no accuracy, or either is out of range.
    """
    checked = [point if isinstance(point, SweepPoint) else _point(point, source) for point in points]
    return tuple(sorted(checked, key=lambda point: (point.code != "binary", point.code, point.timesteps)))


def _point(entry: Any, source: str) -> SweepPoint:
    try:
        code = str(entry.get("code", "binary"))
        steps = int(entry["T"] if "T" in entry else entry["timesteps"])
        point = SweepPoint(code, steps, float(entry["accuracy"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"a point of '{source}' is not whole", found=str(entry)[:80], remedy=_REMEDY
        ) from error
    if point.timesteps < 1 or not 0 <= point.accuracy <= 1:
        raise InputError(f"a point of '{source}' is out of range", found=str(entry)[:80], remedy=_REMEDY)
    return point


def sweep_size(data: DataSet, codes: Codes = CODES) -> int:
    """Samples that a sweep runs in all."""
    return len(data) * sum(len(steps) for _, steps in codes.values())


def run_sweep(
    network: str | Path,
    calibration: Any,
    data: DataSet,
    *,
    codes: Codes = CODES,
    providers: Sequence[Provider] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[SweepPoint, ...]:
    """Convert a float network by each code and for each T, and measure its accuracy.

    Args:
        network: With activations that are not quantised.
        calibration: Data that chooses the clipping; a path, a data set or {input name: array}.
        data: Labelled samples.
        codes: By name, options of :func:`onnx2snn.convert` and the time steps to try.
        providers: Execution providers of onnxruntime that run the spiking networks; None: the CPU.
        progress: Called with the number of samples just done.

    Raises:
        InputError: the data has no labels, or does not fit.
        ConversionError: the network cannot be converted.
    """
    if not data.has_labels:
        raise InputError("a sweep needs to know the true classes", remedy="give data with 'labels'")
    points = []
    for code, (options, timesteps) in codes.items():
        for steps in timesteps:
            spiking = convert(network, calibrate=calibration, timesteps=steps, **options).model
            accuracy = evaluate(spiking, data, providers=providers, progress=progress).accuracy
            points.append(SweepPoint(code, steps, float(accuracy or 0.0)))
    return sweep_points(points)
