"""Where a compiled network and its file answer differently, levels of the file have to differ at thresholds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.compile import check
from onnx2snn.compile.network import read_network
from onnx2snn.errors import SelfCheckError

#: One of them stands on a threshold, and one does not.
SAMPLE = {"x": np.array([[2.5, 3.2]], np.float32)}


def network() -> Any:
    """Rounding to whole numbers from 0 to 15, summed."""
    constants = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "top": np.float32(15),
        "w": np.ones((2, 1), np.float32),
    }
    nodes = [
        node("Clip", ["x", "", "top"], ["clipped"]),
        node("QuantizeLinear", ["clipped", "one", "zero"], ["code"]),
        node("DequantizeLinear", ["code", "one", "zero"], ["a"]),
        node("MatMul", ["a", "w"], ["y"]),
    ]
    model = make_model(nodes, constants, {"x": ["N", 2]}, {"y": ["N", 1]})
    return read_network(onnx2snn.convert(model).model)


@pytest.mark.parametrize("execution", ["spiking", "fused"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [(0, None), (1, "answers other levels"), (None, "differs where no level does")],
    ids=["at a threshold", "far from all", "nowhere"],
)
def test_levels_of_the_file_explain(
    monkeypatch: pytest.MonkeyPatch, execution: str, place: int | None, reason: str | None
) -> None:
    class Shown(check.Shown):
        def levels(self, inputs: Any) -> dict[str, Any]:
            found = super().levels(inputs)
            if place is not None:
                next(iter(found.values()))[0, place] += 1
            return found

    monkeypatch.setattr(check, "Shown", Shown)
    if reason is None:
        check._explain(network(), execution, SAMPLE, "y")
    else:
        with pytest.raises(SelfCheckError, match=re.escape(reason)):
            check._explain(network(), execution, SAMPLE, "y")
