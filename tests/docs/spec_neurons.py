"""The neurons of docs/dialect.md, written from that page alone: plain NumPy for the reference evaluator of onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Array = np.ndarray[Any, Any]


def integrated(x: Array, bias: Array, steps: int, form: str) -> Array:
    """v after integration and bias."""
    currents = x.reshape(steps, -1, *x.shape[1:])
    v = np.zeros(currents.shape[1:], np.float32)
    for t, current in enumerate(currents):
        if form == "once":
            v = v + v + current
        elif form == "per-step":
            v = v + v + current + bias
        else:
            v = v + np.float32(2 ** (steps - 1 - t)) * current + bias
    return v + bias if form == "once" else v


def generated(v: Array, compare: Array, subtract: Array, ceiling: Array) -> Array:
    """Spikes of v, time slowest."""
    v = np.minimum(v, ceiling)
    train = []
    for threshold, taken in zip(compare, subtract, strict=True):
        spikes = (v >= threshold).astype(np.float32)
        v = v - spikes * taken
        train.append(spikes)
    return np.concatenate(train)


def evaluator(model: onnx.ModelProto, form: str) -> ReferenceEvaluator:
    """The network of a converted file with these neurons in place of the file's functions."""

    class IF(OpRun):  # the class's name is the operator's
        op_domain = "onnx2snn"

        def _run(
            self, x: Array, bias: Array, compare: Array, subtract: Array, ceiling: Array, **a: Any
        ) -> Any:
            train = generated(integrated(x, bias, a["input_steps"], form), compare, subtract, ceiling)
            assert len(train) * a["input_steps"] == len(x) * a["timesteps"]
            return (train,)

    class Integrate(OpRun):
        op_domain = "onnx2snn"

        def _run(self, x: Array, bias: Array, **a: Any) -> Any:
            return (integrated(x, bias, a["input_steps"], form),)

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.functions[:]
    return ReferenceEvaluator(bare, new_ops=[IF, Integrate])
