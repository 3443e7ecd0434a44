"""The reference evaluator of the onnx package, as corrected, against onnxruntime: every drawn operator."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_cases import Kind, build
from drawn_cases.frames import MIDDLES
from onnx.reference import ReferenceEvaluator

from onnx2snn.errors import InvalidModelError
from onnx2snn.float64.reference_kernels import CORRECTED
from onnx2snn.model.reference import run_reference

#: What it has no code for: it says so before anything is answered.
ALOUD = {"GlobalLpPool", "Resize tf_half_pixel_for_nn"}
GROUPS = 6


def kind(middle: str, opset: int) -> Kind:
    return Kind(
        "float32", "LSQ", middle, "activation", "batch", "NCHW", "map", "general", opset, "nodes", "float"
    )


@pytest.mark.parametrize("opset", [11, 21])
@pytest.mark.parametrize("group", range(GROUPS))
def test_it_answers_as_onnxruntime_does(group: int, opset: int) -> None:
    compared = 0
    for middle in list(MIDDLES)[group::GROUPS]:
        case = build(kind(middle, opset))
        if case is None or middle in ALOUD or any(n.domain for n in case.model.graph.node):
            continue
        try:
            expected = run_reference(case.model, case.data)
        except InvalidModelError:  # onnxruntime has none of this version
            continue
        found = ReferenceEvaluator(case.model, new_ops=list(CORRECTED)).run(None, dict(case.data))
        for value, other in zip(expected.values(), found, strict=True):
            assert value.shape == other.shape, middle
            largest = max(float(np.abs(value).max(initial=0)), 1e-9)
            far = np.abs(value.astype(np.float64) - other) > 1e-3 * largest
            assert far.mean() < 0.02, middle  # ties
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("middle", sorted(ALOUD))
def test_what_it_has_not_is_said(middle: str) -> None:
    case = build(kind(middle, 11))
    assert case is not None
    with pytest.raises(Exception, match=r"No registered implementation|Invalid coordinate"):
        ReferenceEvaluator(case.model, new_ops=list(CORRECTED)).run(None, dict(case.data))
