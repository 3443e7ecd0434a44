"""What training begins with: a calibrated network, what it learns, and from whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from torch import Tensor

import onnx2snn
from onnx2snn.errors import ConversionError
from onnx2snn.training.hints import LayerHints
from onnx2snn.training.importing import Imported, Teacher
from onnx2snn.training.ports import Rows
from onnx2snn.training.teaching import Lessons


def quantised_network(
    source: onnx.ModelProto, inputs: Mapping[str, np.ndarray[Any, Any]], *, timesteps: int
) -> onnx.ModelProto:
    """``source`` calibrated with ``inputs``, where training begins; itself where calibration finds nothing to do."""
    try:
        return onnx2snn.calibrate(source, inputs, timesteps=timesteps, hybrid=True, exact=False).model
    except (
        ConversionError
    ):  # quantised already, or nothing in it spikes: its import says what cannot be trained
        return source


@dataclass(frozen=True)
class Taught:
    """A network, who teaches it, and what.

    Attributes:
        network: Calibrated.
        teacher: The source, whose hidden activations are learned; None where answers alone are.
        lessons: All samples.
        kept: Positions of those to train on.
        judged: Positions of those to judge by.
    """

    network: Imported
    teacher: Teacher | None
    lessons: Lessons
    kept: Tensor
    judged: Tensor

    def hints(self, model: Rows) -> LayerHints | None:
        """What hidden layers learn from."""
        if self.teacher is None:
            return None
        if set(self.teacher.factors) != set(self.network.factors):
            raise ConversionError(
                "calibration does not leave this network the layers that it has",
                remedy="train without layerwise",
            )
        teacher = Rows(self.teacher.module, self.lessons.inputs_held, self.lessons.wanted)
        return LayerHints(model, teacher, self.network.factors, self.teacher.factors)
