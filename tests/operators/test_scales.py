"""Where a scale of a sum is one of its terms."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.operators.scales import is_of_each


@pytest.mark.parametrize(
    ("scale", "operand", "result", "holds"),
    [
        ((1, 4, 1, 1), ["N", 4, 8, 8], ["N", 4, 8, 8], True),
        ((1, 4, 1, 1), ["a", 4, 8, 8], ["b", 4, 8, 8], True),  # an exporter's names for one size
        ((1, 4, 1, 1), ["N", 4, 1, 1], ["N", 4, 8, 8], True),
        ((1, 4, 1, 1), ["N", 1, 8, 8], ["N", 4, 8, 8], False),
        ((1, 4, 8, 8), ["N", 4, 1, 1], ["N", 4, 8, 8], False),
        ((1, 1, 1, 1), ["N", 1, 1, 1], ["N", 4, 8, 8], True),
        ((1, 4, 1, 1), [4, 8, 8], ["N", 4, 8, 8], False),
        ((1, 4, 1, 1), None, ["N", 4, 8, 8], False),
    ],
)
def test_a_scale_of_a_sum_is_one_of_its_terms(
    scale: tuple[int, ...], operand: list[object] | None, result: list[object], *, holds: bool
) -> None:
    assert is_of_each(np.ones(scale), operand, result) == holds
