"""Networks without their neurons: what lies in front of a tensor, whatever the number of samples."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import make_model, node, samples

from onnx2snn.dialect.subnetworks import POTENTIAL, CutNetwork
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import split_model


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_output_with_samples_along_another_axis_is_there_once(count: int) -> None:
    model = make_model([node("Transpose", ["x"], ["y"], perm=[1, 0])], {}, {"x": ["N", 5]}, {"y": [5, "N"]})
    cut = CutNetwork(split_model(model), {}, {}, rows={"y": (5, 2)}, joint={"y"})
    x = samples(count, 5)
    np.testing.assert_array_equal(run_reference(cut.before("y"), {"x": x})[POTENTIAL], x.T[None])
