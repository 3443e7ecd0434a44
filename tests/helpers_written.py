"""Operators that a part of the compiler writes, run alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
from helpers_graphs import make_model

from onnx2snn.compile.draft import Draft, Place
from onnx2snn.model.weights import split_model
from onnx2snn.runtime.target import ANYWHERE, Target


def answered(write: Callable[[Place], None], v: Any, operators: list[str] | None = None) -> Any:
    """What is written of potentials ``v``, as ``k``, where the network's tensor is of their size; and its ``operators``."""
    given = make_model([], {}, {"v": v.shape}, {"k": v.shape}, opset=21, ir_version=10)
    found = []
    for target in (ANYWHERE, Target(elements=True)):
        draft = Draft(split_model(given), target)
        write(draft.at("k"))
        model = draft.finished().whole()
        if operators is not None:
            operators[:] = [node.op_type for node in model.graph.node]
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found.append(np.asarray(session.run(None, {"v": v})[0]))
    np.testing.assert_array_equal(*found)
    return found[0]
