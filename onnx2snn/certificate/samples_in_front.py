"""Outputs with samples on their first axis: a network that fixes its batch may count them on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from onnx2snn.certificate.potentials import Path, Potentials
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.signals import Ranking
from onnx2snn.operators.table import Steps


def in_front(values: Mapping[str, Array], axes: Mapping[str, int]) -> dict[str, Array]:
    """Outputs by name, samples in front: scores [T, N, C] are [N, T, C].

    Args:
        values: Outputs, and what else there is.
        axes: Where samples are, of those that do not begin with them.
    """
    return {
        name: np.moveaxis(value, axes[name], 0) if name in axes else value for name, value in values.items()
    }


def path_in_front(
    models: tuple[SplitModel, SplitModel], example: Mapping[str, Array], axis: int, **known: Any
) -> Path:
    """What lies before a tensor that counts samples on ``axis``; see :class:`Path` for the rest."""
    return _Turned(axis, models, example, **known) if axis else Path(models, example, **known)


class _Turned(Path):
    def __init__(self, axis: int, *given: Any, **known: Any) -> None:
        self._axis = axis
        super().__init__(*given, **known)

    def _computed(self, *networks: Any) -> Potentials:
        return _potentials_in_front(super()._computed(*networks), self._axis)


def _potentials_in_front(potentials: Potentials, axis: int) -> Potentials:
    def turned(steps: Steps) -> Steps:
        return np.moveaxis(np.asarray(steps), axis, 0) if np.ndim(steps) > axis else steps

    reach, ranking = potentials.reach, potentials.ranking
    return replace(
        potentials,
        source=np.moveaxis(potentials.source, axis, 0),
        spiking=np.moveaxis(potentials.spiking, axis, 0),
        magnitude=np.moveaxis(potentials.magnitude, axis, 0),
        rounding=replace(potentials.rounding, quantum=turned(potentials.rounding.quantum)),
        spiking_quantum=turned(potentials.spiking_quantum),
        reach=None if reach is None else np.moveaxis(reach, axis, 0),
        ranking=None if ranking is None else _ranking_in_front(ranking, axis),
    )


def _ranking_in_front(ranking: Ranking, axis: int) -> Ranking:
    lower, upper = (np.moveaxis(end, axis, 0) for end in (ranking.lower, ranking.upper))
    return replace(ranking, lower=lower, upper=upper, axis=ranking.axis + (ranking.axis < axis))
