"""A reader of NIR: runs a graph step by step, as the equations of its primitives say, in forward Euler steps of dt.

The only extension is what rate-coded neurons say in their metadata: ``reset`` "subtract" and ``v_initial``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.errors import InputError
from onnx2snn.exchange.nir_package import require_nir
from onnx2snn.graph.core import Array

if TYPE_CHECKING:
    import nir

#: Nodes with a potential: recurrent edges end there.
_STATES = ("I", "LI", "IF")
#: One step of a node: what arrives, to what it sends.
Step = Callable[[Array], Array]


@dataclass(frozen=True)
class NirRun:
    """What a graph of NIR did.

    Attributes:
        outputs: By name of the output, what it shows in the last step, or in all steps together (rate code), (N, ...).
        levels: By neuron node, what its spikes carry, (N, ...).
        spikes: By neuron node, step by step, (steps, N, ...).
    """

    outputs: dict[str, Array]
    levels: dict[str, Array]
    spikes: dict[str, Array]


def run_nir(graph: nir.NIRGraph | str | Path, inputs: Mapping[str, Array]) -> NirRun:
    """Run a graph that :func:`export_nir` wrote.

    Args:
        graph: A ``nir.NIRGraph``, or the path of a file.
        inputs: By the network's input names, (N, ...).

    Raises:
        InputError: it is no graph of ours: its metadata does not say how spikes carry levels.
    """
    if isinstance(graph, (str, Path)):
        graph = require_nir().read(graph)
    held = {
        key: value.decode() if isinstance(value, bytes) else value for key, value in graph.metadata.items()
    }
    if not {"coding", "timesteps", "depth"} <= set(held):
        raise InputError(
            "this graph of NIR was not written by onnx2snn", remedy="run it in the framework that wrote it"
        )
    T, rate = int(held["timesteps"]), held["coding"] == "rate"
    steps = T if rate else (int(held["depth"]) + 1) * T
    samples = len(next(iter(inputs.values())))
    machine = _Machine(graph, samples)
    shown: list[dict[str, Array]] = []
    trains: dict[str, list[Array]] = {name: [] for name in machine.firing}
    for t in range(steps):
        sent = machine.step(
            {name: _presented(name, value, t, T, rate) for name, value in inputs.items()}, t == 0
        )
        for name, train in trains.items():
            train.append(sent[name].astype(np.uint8))
        shown.append(machine.shown())
    spikes = {name: np.stack(train) for name, train in trains.items()}
    outputs = {name: np.sum([s[name] for s in shown], axis=0) for name in shown[0]} if rate else shown[-1]
    return NirRun(outputs, {n: _level(s, T, rate) for n, s in spikes.items()}, spikes)


def _presented(name: str, value: Array, t: int, T: int, rate: bool) -> Array:
    """An analog input: constant in a rate code, in the last step of the first phase else."""
    del name
    return value if rate or t == T - 1 else np.zeros_like(value)


def _level(spikes: Array, T: int, rate: bool) -> Array:
    if rate:
        return np.asarray(spikes.sum(axis=0, dtype=np.int64))
    first = int(np.argmax(spikes.reshape(len(spikes), -1).any(axis=1))) // T * T
    window = spikes[first : first + T].astype(np.int64)
    return np.asarray(np.tensordot(2 ** np.arange(T - 1, -1, -1), window, axes=1))


class _Machine:
    """All nodes, in the order in which signals pass them within a step; recurrent edges bring what was sent a step before."""

    def __init__(self, graph: nir.NIRGraph, samples: int) -> None:
        self._graph, self._samples = graph, samples
        edges = [(str(a), str(b)) for a, b in graph.edges]
        self._before: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in edges:
            self._before[target].append(source)
        self._kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
        self._order = self._sorted()
        self._steps = {name: self._made(name) for name in self._order}
        self._sent: dict[str, Array] = {}
        self.firing = [name for name, kind in self._kinds.items() if kind in ("IF", "Threshold")]

    def _sorted(self) -> list[str]:
        """In topological order, without recurrent edges: those that bring a potential what it has caused itself."""
        behind: dict[str, list[str]] = {name: [] for name in self._graph.nodes}
        for name, sources in self._before.items():
            for source in sources:
                behind[source].append(name)
        late = {
            (s, n)
            for n, sources in self._before.items()
            if self._kinds[n] in _STATES
            for s in _reached(n, sources, behind)
        }
        waiting = {n: sum((s, n) not in late for s in sources) for n, sources in self._before.items()}
        order = [name for name, count in waiting.items() if not count]
        for name in order:
            for target in behind[name]:
                if (name, target) not in late:
                    waiting[target] -= 1
                    if not waiting[target]:
                        order.append(target)
        return order

    def step(self, inputs: Mapping[str, Array], first: bool) -> dict[str, Array]:
        """One step; what every node sends."""
        sent: dict[str, Array] = {}
        for name in self._order:
            if self._kinds[name] == "Input":
                sent[name] = inputs[name] if name in inputs else self._clock(name, first)
                continue
            arriving = [
                sent[n] if n in sent else self._sent[n]
                for n in self._before[name]
                if n in sent or n in self._sent
            ]
            if not arriving:
                continue
            sent[name] = self._steps[name](sum(arriving[1:], arriving[0]))
        self._sent = sent
        return sent

    def _clock(self, name: str, first: bool) -> Array:
        shape = tuple(int(s) for s in self._graph.nodes[name].input_type["input"])
        return np.full((self._samples, *shape), float(first), np.float32)

    def shown(self) -> dict[str, Array]:
        """What outputs show."""
        names = [name for name, kind in self._kinds.items() if kind == "Output"]
        zero = np.zeros(1, np.float32)  # nothing has arrived there yet
        return {name.removesuffix(".output"): self._sent.get(name, zero) for name in names}

    def _made(self, name: str) -> Step:
        node = self._graph.nodes[name]
        kind = type(node).__name__
        if kind in _OPERATORS:
            return _Operator(*_OPERATORS[kind](node))
        return _STEPS[kind](node)


def _reached(name: str, sources: Sequence[str], behind: Mapping[str, Sequence[str]]) -> set[str]:
    """Those of ``sources`` that ``name`` reaches."""
    found, ahead = {name}, [name]
    while ahead:
        for target in behind[ahead.pop()]:
            if target not in found:
                found.add(target)
                ahead.append(target)
    return found.intersection(sources)


class _Operator:
    """A node without a state, as an operator of ONNX."""

    def __init__(self, operator: str, constants: list[Array], attributes: Mapping[str, Any]) -> None:
        names = [f"c{i}" for i in range(len(constants))]
        node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
        held = [
            numpy_helper.from_array(np.asarray(c, np.float32), n)
            for c, n in zip(constants, names, strict=True)
        ]
        ends = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "xy")
        graph = helper.make_graph([node], "node", [next(ends)], [next(ends)], held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, x: Array) -> Array:
        return np.asarray(self._session.run(None, {"x": x.astype(np.float32)})[0])


def _sizes(value: object, rank: int) -> list[int]:
    return [int(v) for v in np.broadcast_to(np.asarray(value).ravel(), (rank,))]


def _conv(node: nir.Conv1d | nir.Conv2d) -> tuple[str, list[Array], dict[str, Any]]:
    rank = node.weight.ndim - 2
    attributes = {
        "strides": _sizes(node.stride, rank),
        "dilations": _sizes(node.dilation, rank),
        "pads": 2 * _sizes(node.padding, rank),
        "group": int(node.groups),
    }
    return "Conv", [node.weight, node.bias], attributes


def _pool(node: nir.AvgPool2d) -> tuple[str, list[Array], dict[str, Any]]:
    attributes = {"kernel_shape": _sizes(node.kernel_size, 2), "strides": _sizes(node.stride, 2)}
    return "AveragePool", [], attributes | {"pads": 2 * _sizes(node.padding, 2), "count_include_pad": 1}


def _sum_pool(node: nir.SumPool2d) -> Step:
    kernel, stride, padding = (_sizes(v, 2) for v in (node.kernel_size, node.stride, node.padding))

    def pooled(x: Array) -> Array:
        padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(kernel), axis=(2, 3))
        return np.asarray(windows[:, :, :: stride[0], :: stride[1]].sum(axis=(-2, -1), dtype=np.float32))

    return pooled


_OPERATORS: Mapping[str, Callable[[Any], tuple[str, list[Array], dict[str, Any]]]] = {
    "Conv1d": _conv,
    "Conv2d": _conv,
    "AvgPool2d": _pool,
    "Affine": lambda node: ("Gemm", [node.weight, node.bias], {"transB": 1}),
    "Linear": lambda node: ("Gemm", [node.weight], {"transB": 1}),
}


class _Potential:
    """A potential that is shown as it is: I, LI.

    Args:
        changed: By what arrives.
    """

    def __init__(self, changed: Callable[[Array, Array], Array]) -> None:
        self._changed, self._v = changed, np.asarray(0, np.float32)

    def __call__(self, x: Array) -> Array:
        self._v = np.asarray(self._changed(self._v, x))
        return self._v


class _Fires:
    """IF: one that spikes above its threshold."""

    def __init__(self, node: nir.IF) -> None:
        self._node, self._v = node, np.asarray(node.metadata.get("v_initial", 0), np.float32)
        reset = node.metadata.get("reset", b"")
        self._soft = (reset.decode() if isinstance(reset, bytes) else reset) == "subtract"

    def __call__(self, x: Array) -> Array:
        node = self._node
        v = np.asarray(self._v + node.r * x)
        spikes = (v > node.v_threshold).astype(np.float32)
        if self._soft:
            v = v - spikes * np.nextafter(node.v_threshold, np.float32(np.inf), dtype=np.float32)
        else:
            v = np.where(spikes > 0, getattr(node, "v_reset", 0), v)
        self._v = np.asarray(v)
        return np.asarray(spikes)


class _Delay:
    """What arrived some steps ago; zero at first."""

    def __init__(self, node: nir.Delay) -> None:
        self._steps, self._held = round(float(np.max(node.delay))), list[Array]()

    def __call__(self, x: Array) -> Array:
        self._held.append(x)
        return self._held.pop(0) if len(self._held) > self._steps else np.zeros_like(x)


_STEPS: Mapping[str, Callable[[Any], Step]] = {
    "Input": lambda _: lambda x: x,
    "Output": lambda _: lambda x: x,
    "Flatten": lambda _: lambda x: x.reshape(len(x), -1),
    "Scale": lambda node: lambda x: x * node.scale,
    "Threshold": lambda node: lambda x: (x > node.threshold).astype(np.float32),
    "SumPool2d": _sum_pool,
    "I": lambda node: _Potential(lambda v, x: v + node.r * x),
    "LI": lambda node: _Potential(lambda v, x: v + ((node.v_leak - v) + node.r * x) / node.tau),
    "IF": _Fires,
    "Delay": _Delay,
}
