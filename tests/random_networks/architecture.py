"""Whole networks: inputs, a stem, blocks, heads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from hypothesis import assume
from hypothesis import strategies as st
from onnx import TensorProto

import onnx2snn
from onnx2snn.model.reference import run_reference
from random_networks.activations import activate
from random_networks.affine import line
from random_networks.beyond_relu import BEYOND
from random_networks.blocks import BLOCKS, joined, ready, same, unit
from random_networks.building import Building, Tensor
from random_networks.foreign import FOREIGN, Foreign
from random_networks.inputs import drawn_input
from random_networks.open_sizes import with_open_sizes
from random_networks.synapses import weighted

OPSETS = (17, 13, 11, 9, 10, 12, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24)
#: Of one sample: vectors, sequences, images, volumes.
_SHAPES = ((6,), (8,), (1, 6, 6), (3, 4, 4), (2, 8), (4, 5), (2, 5, 7), (1, 3, 4, 4), (2, 2, 2, 2), (1, 8, 8))
#: Of codes that are outputs: a zero point and its type.
_ZEROS = ((0, np.uint8), (117, np.uint8), (0, np.int8), (-128, np.int8))
#: A network with more nodes grows no further.
_ENOUGH = 90


@dataclass(frozen=True)
class Drawn:
    """A random network that METHOD says is convertible.

    Attributes:
        model: It.
        inputs: Data by name.
        exact: Its numbers are dyadic, so everything must agree bit for bit.
        bias: The form in which biases are to be shifted.
        hybrid: What cannot spike may stay.
    """

    model: onnx.ModelProto
    inputs: dict[str, np.ndarray]
    exact: bool
    bias: str
    hybrid: bool = False

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        """What the source, as it is, answers."""
        return run_reference(self.model, self.inputs)

    @cached_property
    def conversion(self) -> onnx2snn.Conversion:
        """It is converted, into neurons: nothing that cannot spike is left, unless that was asked for."""
        conversion = onnx2snn.convert(self.model, bias=self.bias, hybrid=self.hybrid)
        assert conversion.layers
        assert self.hybrid or not conversion.non_spiking
        return conversion

    def __repr__(self) -> str:
        """The network as text, and what is needed to check it again."""
        shapes = {n: v.shape for n, v in self.inputs.items()}
        return f"exact={self.exact} bias={self.bias} inputs={shapes}\n{onnx.printer.to_text(self.model)}"


@st.composite
def networks(draw: st.DrawFn, shown: Foreign | None = None) -> Drawn:
    """Random networks; with the operator ``shown`` in each of them, or any."""
    b = begin(draw, shown)
    body(b, shown)
    return finish(b)


@st.composite
def files(draw: st.DrawFn, shown: Foreign) -> onnx.ModelProto:
    """An input, an activation and the operator ``shown``, of which nobody asks whether they run."""
    b = begin(draw, shown)
    x = drawn_input(b, b.pick([s for s in _SHAPES if len(s) in shown.ranks]))
    b.add_output(_with(b, shown, x).name)
    return b.model()


def begin(draw: st.DrawFn, shown: Foreign | None) -> Building:
    """What concerns the whole network."""
    b = Building(draw, 17, True, "N", "initializers")
    b.opset = b.pick(OPSETS)
    b.exact = b.pick([True, True, True, False]) and (shown is None or shown.exact)
    b.hybrid = (shown is not None and shown.hybrid) or (not b.exact and b.pick([False, False, True]))
    b.batch = b.pick(["N", 1, 2])
    b.held = b.pick(["initializers", "initializers", "nodes", "inputs"])
    b.random = np.random.default_rng(b.number(0, 2**16))
    return b


def body(b: Building, shown: Foreign | None) -> None:
    """Inputs to outputs."""
    shape = b.pick([s for s in _SHAPES if shown is None or len(s) in shown.ranks])
    x = drawn_input(b, shape)
    x = _stem(b, x) if shown is None else _with(b, shown, x)
    if b.flip() and b.flip():
        other = _stem(b, drawn_input(b, x.shape))
        x = _merged(b, x, other)
    tapped: list[Tensor] = []
    for _ in range(b.number(0, 4)):
        if len(b.nodes) > _ENOUGH or math.prod(x.shape) > 512:
            break
        y = b.pick((*BLOCKS, *BEYOND, *FOREIGN.values()))(b, x)
        if y is None:
            continue
        if b.flip() and b.flip():
            tapped.append(y)
        x = y
    _head(b, x)
    for tap in tapped[:2]:
        _head(b, tap)


def _stem(b: Building, x: Tensor) -> Tensor:
    """From an input to the first activation; the input may be normalised, or quantised, first."""
    way = b.pick(["plain", "plain", "normalised", "quantised"])
    if way == "normalised":
        x = line(b, x) or x
    elif way == "quantised":
        x = activate(b, x)
    return unit(b, x)


def _with(b: Building, shown: Foreign, x: Tensor) -> Tensor:
    """From an input to the operator ``shown``."""
    x = activate(b, same(b, x, x.channels))
    y = shown(b, x)
    assume(y is not None)
    return y or x


def _merged(b: Building, x: Tensor, other: Tensor) -> Tensor:
    x = ready(b, x)
    if x.shape == other.shape:
        return joined(b, "Add", x, other) or x
    if len(other.shape) == len(x.shape) and other.shape[1:] == x.shape[1:]:
        return joined(b, "Add", x, same(b, ready(b, other), x.channels)) or x
    _head(b, other)
    return x


def _head(b: Building, x: Tensor) -> None:
    """An output: the activation itself, logits, or what follows them; floats, codes or positions."""
    way = b.pick(["logits", "itself", "Softmax", "ArgMax", "Sigmoid", "Relu", "codes", "float16"])
    if way == "itself":
        b.add_output(x.name)
        return
    z = weighted(b, ready(b, x), 3)
    if way == "codes" and b.opset >= 10:
        b.add_output(b.op("QuantizeLinear", z, 2.0 ** b.pick([-3, 0]), b.hold(*b.pick(_ZEROS))))
    elif way == "float16":
        b.add_output(b.op("Cast", z, to=TensorProto.FLOAT16))
    elif way in ("logits", "codes") or (way == "ArgMax" and not b.exact):
        b.add_output(z.name)
    elif way == "ArgMax":
        b.add_output(b.op(way, z, axis=1, keepdims=0))
    elif way == "Softmax":
        b.add_output(b.op(way, z, axis=1))
    else:
        b.add_output(b.op(way, z))


def finish(b: Building) -> Drawn:
    """The model and data for it."""
    samples = b.batch if isinstance(b.batch, int) else 5
    inputs = {name: b.kinds[name].draw(b, (samples, *shape)) for name, shape in b.inputs.items()}
    # A level that is decoded from a bias in parts is off by a rounding: operators that stay may compare it with the level itself.
    bias = "once" if b.exact or b.hybrid else b.pick(["once", "per-step", "paper"])
    model = b.model()
    if not b.exact and b.flip():  # in an exact network a mean over more places might be too fine
        model, inputs = with_open_sizes(model, inputs)
    drawn = Drawn(model, inputs, b.exact, bias, b.hybrid)
    assume(_answers_differ(b, drawn))
    return drawn


def _answers_differ(b: Building, drawn: Drawn) -> bool:
    """Whether the network answers other numbers to other data: one whose activations all are constants has no neuron."""
    others = {name: b.kinds[name].opposite(values) for name, values in drawn.inputs.items()}
    other = run_reference(drawn.model, others)
    return any(not np.array_equal(drawn.expected[name], other[name]) for name in other)
