"""Products: found by random networks, each as small as it shrank to and named after what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from helpers_found import check_example, finished
from helpers_networks import Builder


def product_of_two_activations() -> onnx.ModelProto:
    """Between holding an operand and spiking, the graph answered T times as many rows."""
    b = Builder()
    values, gate = b.act(b.conv("x", (2, 3), 1)), b.act(b.conv("x", (2, 3), 2))
    return finished(b, b.act(b.conv(b.add("Mul", values, gate), (3, 3), 3)), 48)


EXAMPLES: list[Callable[[], onnx.ModelProto]] = [product_of_two_activations]


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_it_converts_without_loss(make: Callable[[], onnx.ModelProto]) -> None:
    check_example(make)
