"""Small quantised networks, one for each thing that an execution can get wrong.

Weights, thresholds and inputs are dyadic: every sum is exact in float32, and ties are frequent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from helpers_graphs import Shapes, make_model, node


def dyadic(*shape: int, seed: int, unit: float = 0.25, top: int = 4) -> np.ndarray:
    """Multiples of ``unit`` between −top·unit and top·unit."""
    return (np.random.default_rng(seed).integers(-top, top + 1, shape) * unit).astype(np.float32)


@dataclass
class Builder:
    """Nodes and constants of a network in the making."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, op: str, *read: str | np.ndarray | float, **attributes: Any) -> str:
        out = f"t{len(self.nodes)}"
        names = [r if isinstance(r, str) else self.hold(r) for r in read]
        self.nodes.append(node(op, names, [out], f"n{len(self.nodes)}", **attributes))
        return out

    def hold(self, value: np.ndarray | float) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, getattr(value, "dtype", np.float32))
        return name

    def act(
        self,
        x: str,
        *,
        levels: int = 15,
        step: float | np.ndarray = 0.5,
        rounding: str = "Floor",
        low: int = 0,
        shift: float = 0.0,
    ) -> str:
        """step · clip(rounding(x / step + shift), low, low + levels)."""
        z = self.add("Div", x, np.asarray(step, np.float32))
        if shift:
            z = self.add("Add", z, shift)
        k = self.add("Clip", self.add(rounding, z), float(low), float(low + levels))
        return self.add("Mul", k, np.asarray(step, np.float32))

    def dense(self, x: str, size: tuple[int, int], seed: int) -> str:
        return self.add("Gemm", x, dyadic(*size, seed=seed), dyadic(size[1], seed=seed + 1))

    def conv(self, x: str, size: tuple[int, int], seed: int, **attributes: Any) -> str:
        weights = dyadic(size[1], size[0], 3, 3, seed=seed)
        bias = dyadic(size[1], seed=seed + 1)
        return self.add("Conv", x, weights, bias, pads=[1, 1, 1, 1], **attributes)

    def model(self, inputs: Shapes, outputs: dict[str, tuple[str, Sequence[int | str]]]) -> onnx.ModelProto:
        for name, (tensor, _) in outputs.items():
            self.nodes.append(node("Identity", [tensor], [name], f"out_{name}"))
        shapes = {name: shape for name, (_, shape) in outputs.items()}
        types = {name: onnx.TensorProto.INT64 for name in outputs if name.startswith("class")}
        return make_model(self.nodes, self.constants, inputs, shapes, types=types)


@dataclass(frozen=True)
class Network:
    """A network, and the shapes of one sample of its inputs."""

    model: onnx.ModelProto
    shapes: dict[str, tuple[int, ...]]
    hybrid: bool = False

    def inputs(self, samples: int, seed: int = 0) -> dict[str, np.ndarray]:
        return {
            name: dyadic(samples, *shape, seed=seed + number, top=8)
            for number, (name, shape) in enumerate(self.shapes.items())
        }


#: Adds an activation of a tensor.
Activation = Callable[[Builder, str], str]


def twice_activated(activation: Activation) -> onnx.ModelProto:
    """Three dense layers, with an activation behind the first two."""
    b = Builder()
    first = activation(b, b.dense("x", (6, 8), 1))
    out = b.dense(activation(b, b.dense(first, (8, 8), 3)), (8, 3), 5)
    return b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])})


def _rounding(rounding: str, **options: Any) -> Callable[[], Network]:
    def make() -> Network:
        model = twice_activated(lambda b, z: b.act(z, rounding=rounding, **options))
        return Network(model, {"x": (6,)})

    return make


def residual() -> Network:
    """A block of two layers beside an identity, and a shortcut with weights around both and a third."""
    b = Builder()
    a = b.act(b.dense("x", (6, 8), 1))
    inner = b.act(b.dense(b.act(b.dense(a, (8, 8), 3)), (8, 8), 5))
    joined = b.act(b.add("Add", inner, a))
    out = b.dense(b.add("Add", b.dense(joined, (8, 4), 7), b.dense(a, (8, 4), 9)), (4, 3), 11)
    return Network(b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])}), {"x": (6,)})


def stream_of_potentials() -> Network:
    """A pre-activation residual stream: analog values that several neurons read, in different phases."""
    b = Builder()
    held = b.dense("x", (6, 8), 1)
    for seed in (3, 5, 7):
        held = b.add("Add", held, b.dense(b.act(held), (8, 8), seed))
    out = b.add("Add", b.dense(b.act(held), (8, 6), 9), "x")
    return Network(b.model({"x": ["N", 6]}, {"y": (out, ["N", 6])}), {"x": (6,)})


def several() -> Network:
    """Two inputs that meet late, outputs of three depths, one of them a class."""
    b = Builder()
    left = b.act(b.dense("x", (6, 8), 1), levels=100)
    right = b.act(b.dense("z", (4, 8), 3), levels=3)
    early = b.dense(right, (8, 2), 5)
    joined = b.add("Concat", b.act(b.dense(left, (8, 8), 7), levels=9), right, axis=1)
    late = b.dense(b.act(b.dense(joined, (16, 8), 9)), (8, 5), 11)
    winner = b.add("ArgMax", late, axis=1, keepdims=0)
    model = b.model(
        {"x": ["N", 6], "z": ["N", 4]},
        {"early": (early, ["N", 2]), "late": (late, ["N", 5]), "class": (winner, ["N"])},
    )
    return Network(model, {"x": (6,), "z": (4,)})


def pooled() -> Network:
    """Convolutions with thresholds by channel, and maxima taken of potentials."""
    b = Builder()
    steps = np.array([0.25, 0.5, 1.0], np.float32).reshape(3, 1, 1)
    first = b.add("MaxPool", b.act(b.conv("x", (1, 3), 1), step=steps), kernel_shape=[2, 2], strides=[2, 2])
    second = b.act(b.add("Add", b.conv(first, (3, 3), 3), first), levels=6)
    out = b.dense(b.add("Flatten", b.add("AveragePool", second, kernel_shape=[2, 2])), (12, 3), 5)
    return Network(b.model({"x": ["N", 1, 6, 6]}, {"y": (out, ["N", 3])}), {"x": (1, 6, 6)})


def hybrid() -> Network:
    """A softmax that nothing quantises, kept as it is: a layer with weights reads it, held while spikes come in."""
    b = Builder()
    a = b.act(b.dense("x", (6, 8), 1))
    c = b.act(b.dense(a, (8, 8), 3))
    shares = b.add("Softmax", b.dense(c, (8, 8), 5), axis=1)
    joined = b.add("Add", b.dense(shares, (8, 8), 11), b.dense(a, (8, 8), 7))
    out = b.dense(b.act(joined), (8, 3), 9)
    return Network(b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])}), {"x": (6,)}, hybrid=True)


def of_any_size() -> Network:
    """Height and width are open: biases near borders are computed while the network runs."""
    b = Builder()
    first = b.act(b.conv("x", (1, 3), 1), low=-4)
    second = b.act(b.add("Add", b.conv(b.act(b.conv(first, (3, 3), 3)), (3, 3), 5), first))
    out = b.add("GlobalAveragePool", b.conv(second, (3, 2), 7))
    return Network(b.model({"x": ["N", 1, "H", "W"]}, {"y": (out, ["N", 2, 1, 1])}), {"x": (1, 4, 8)})


NETWORKS: dict[str, Callable[[], Network]] = {
    "floor": _rounding("Floor", shift=0.5),
    "half_even": _rounding("Round"),
    "half_odd": _rounding("Round", low=-5),
    "ceil": _rounding("Ceil"),
    "few_levels": _rounding("Floor", levels=10),
    "one_step": _rounding("Floor", levels=1),
    "signed": _rounding("Round", low=-8),
    "residual": residual,
    "stream_of_potentials": stream_of_potentials,
    "several": several,
    "pooled": pooled,
    "hybrid": hybrid,
    "of_any_size": of_any_size,
}
