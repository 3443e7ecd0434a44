"""The streaming execution behind the interface of an engine: a batch in, its answers out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError
from onnx2snn.runtime.batches import joined
from onnx2snn.runtime.engine import FixedBatch, InputSpec
from onnx2snn.runtime.machine import Machine
from onnx2snn.runtime.stream import Stream

Array: TypeAlias = NDArray[Any]

#: Places that the samples of one run are spread over: many keep the pipeline full, few keep calls cheap.
_PLACES = 16


class StreamingEngine(FixedBatch):
    """Runs a batch through a pipeline.

    Args:
        machine: The pipeline.
        alike: Outputs that are the same for all samples.

    Attributes:
        inputs: By name.
        outputs: Names, in the model's order.
    """

    def __init__(self, machine: Machine, alike: frozenset[str] = frozenset()) -> None:
        self.machine = machine
        self._alike = alike
        self.inputs: dict[str, InputSpec] = machine.inputs
        self.outputs: list[str] = list(machine.pipeline.outputs)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name.

        Raises:
            InputError: an output neither grows with the samples nor is the same for all of them.
        """
        samples = len(next(iter(inputs.values())))
        size = self.fixed_batch or -(-samples // _PLACES)
        places = [
            {name: _filled_up(value[start : start + size], size) for name, value in inputs.items()}
            for start in range(0, samples, size)
        ]
        answers = list(Stream(self.machine, batch=size).run(places))
        whole = joined(answers, [size] * len(answers), samples, set(self.outputs) - self._alike)
        if whole is None:
            remedy = f"give {size} at a time"
            raise InputError("its outputs do not grow with the samples", found=samples, remedy=remedy)
        return {name: whole[name] for name in self.outputs}


def _filled_up(value: Array, size: int) -> Array:
    """``value`` with its last sample repeated, up to ``size`` samples."""
    missing = size - len(value)
    return np.concatenate([value, np.repeat(value[-1:], missing, axis=0)]) if missing else value
