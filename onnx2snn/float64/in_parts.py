"""A network that is computed with its errors, some of its output at a time: memory is bounded, whatever the sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.divided import TensorPart, divided
from onnx2snn.operators.parts import Shape

#: One part, and what computes it, of each network.
Computed: TypeAlias = "tuple[TensorPart, RunningError]"


def in_parts(
    models: Sequence[SplitModel], inputs: Mapping[str, Shape], axes: Sequence[int], most: int
) -> list[tuple[Computed, ...]]:
    """As :func:`onnx2snn.operators.divided.divided`, each part loaded; parts that are made alike are loaded once."""
    loaded: dict[bytes, RunningError] = {}

    def of(part: TensorPart) -> Computed:
        key = part.model.structure.SerializeToString(deterministic=True)
        if key not in loaded:
            loaded[key] = RunningError(part.model)
        return part, loaded[key]

    return [tuple(map(of, parts)) for parts in divided(models, inputs, axes, most)]
