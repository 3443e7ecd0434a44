"""What all named examples of random networks share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from helpers_networks import Builder, dyadic
from random_networks import Drawn, check

IMAGE = (2, 4, 4)
SIGNS = np.array([0.5, -1.0, 2.0], np.float32).reshape(3, 1, 1)


def finished(b: Builder, x: str, size: int, *, image: tuple[int, ...] = IMAGE) -> onnx.ModelProto:
    """Synapses behind ``x``, of ``size`` values, and an output."""
    out = b.dense(b.add("Flatten", x), (size, 3), 91)
    return b.model({"x": ["N", *image]}, {"y": (out, ["N", 3])})


def check_example(make: Callable[[], onnx.ModelProto]) -> None:
    """Every property of random networks, on one of dyadic numbers."""
    inputs = {"x": dyadic(6, *IMAGE, seed=17, top=8)}
    check(Drawn(make(), inputs, exact=True, bias="once"))
