"""The neurons of docs/dialect.md, written from that page alone: plain NumPy for the reference evaluator of onnx."""

from __future__ import annotations

from collections.abc import Sequence
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


def generated(v: Array, compare: Sequence[Array], subtract: Sequence[Array], ceiling: Array) -> Array:
    """Spikes of v, time slowest."""
    v = np.minimum(v, ceiling)
    train = []
    for threshold, taken in zip(compare, subtract, strict=True):
        spikes = (v >= threshold).astype(np.float32)
        v = v - spikes * taken
        train.append(spikes)
    return np.concatenate(train)


def searched(v: Array, thresholds: Array, rows: Array, timesteps: int) -> Array:
    """Spikes of v, of a neuron with a table of thresholds, time slowest."""
    p = np.zeros(v.shape, np.int64)
    train = []
    for t in range(timesteps):
        weight = 2 ** (timesteps - 1 - t)
        spikes = v >= thresholds[rows + p + weight - 1]
        p = p + weight * spikes
        train.append(spikes.astype(np.float32))
    return np.concatenate(train)


def fused_potential(x: Array, bias: Array, steps: int, form: str) -> Array:
    """v of levels or analog values, with the whole bias."""
    return x + bias * np.float32({"once": 1, "per-step": 2**steps - 1, "paper": steps}[form])


def decoded(train: Array, timesteps: int) -> Array:
    """The level that a train carries."""
    steps = train.reshape(timesteps, -1, *train.shape[1:])
    return sum((2 ** (timesteps - 1 - t) * s for t, s in enumerate(steps)), np.float32(0))


def evaluator(model: onnx.ModelProto, form: str, execution: str = "spiking") -> ReferenceEvaluator:
    """The network of a converted file with these neurons in place of the file's functions."""
    potential = integrated if execution == "spiking" else fused_potential

    class IF(OpRun):  # the class's name is the operator's
        op_domain = "onnx2snn"

        def _run(
            self, x: Array, bias: Array, compare: Array, subtract: Array, ceiling: Array, **a: Any
        ) -> Any:
            train = generated(potential(x, bias, a["input_steps"], form), compare, subtract, ceiling)
            return (train if execution == "spiking" else decoded(train, a["timesteps"]).astype(np.float32),)

    class TableIF(OpRun):
        op_domain = "onnx2snn"

        def _run(self, x: Array, bias: Array, thresholds: Array, rows: Array, **a: Any) -> Any:
            train = searched(potential(x, bias, a["input_steps"], form), thresholds, rows, a["timesteps"])
            return (train if execution == "spiking" else decoded(train, a["timesteps"]).astype(np.float32),)

    class ScaledIF(OpRun):
        op_domain = "onnx2snn"

        def _run(
            self,
            x: Array,
            bias: Array,
            compare: Array,
            subtract: Array,
            ceiling: Array,
            scale: Array,
            **a: Any,
        ) -> Any:
            rows = [compare[t] * scale for t in range(len(compare))], [taken * scale for taken in subtract]
            train = generated(x + bias * scale, *rows, ceiling * scale)
            return (train if execution == "spiking" else decoded(train, a["timesteps"]).astype(np.float32),)

    class Hold(OpRun):
        op_domain = "onnx2snn"

        def _run(self, x: Array, **a: Any) -> Any:
            return (np.concatenate([x] * a["timesteps"]) if execution == "spiking" else x,)

    class Integrate(OpRun):
        op_domain = "onnx2snn"

        def _run(self, x: Array, bias: Array, **a: Any) -> Any:
            return (potential(x, bias, a["input_steps"], form),)

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.functions[:]
    return ReferenceEvaluator(bare, new_ops=[IF, TableIF, ScaledIF, Hold, Integrate])


def stages(model: onnx.ModelProto) -> dict[str, int]:
    """The stage of every tensor that carries a sample, by the page's rules."""
    found = {info.name: 0 for info in model.graph.input}
    for node in model.graph.node:
        read = [found[name] for name in node.input if name in found]
        if read and node.op_type not in ("Shape", "Size"):
            found.update(
                dict.fromkeys(
                    node.output, max(read) + (node.op_type in ("IF", "TableIF", "ScaledIF", "Hold"))
                )
            )
    return found
