"""A network in the making: nodes written for one opset, shapes inferred, and float32's exactness kept in the books."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from hypothesis import reject
from hypothesis import strategies as st
from onnx import TensorProto, defs, helper, numpy_helper, shape_inference

MICROSOFT = "com.microsoft"
#: Sums of integers below it are exact in float32, with room for half steps and ceilings.
EXACT = 2.0**22
#: The opset whose operators tell how large results are of those that ONNX does not know.
_TWINS = 21
_FOUR_BITS = (TensorProto.UINT4, TensorProto.INT4)


@dataclass(frozen=True)
class Tensor:
    """A value of the network.

    Attributes:
        name: In the model.
        shape: Of one sample, without the batch axis.
        unit: All values are multiples of it (a power of two), in an exact network.
        top: No value is larger than this in magnitude.
        levels: It is an activation's value, moved about at most: maxima commute with it.
        bent: A function that falls somewhere stands between it and its synapses: its sign has steps of any kind.
        finite: It is made of activations' values, with no synapses between: added, scaled, averaged, compared.
    """

    name: str
    shape: tuple[int, ...]
    unit: float
    top: float
    levels: bool = False
    finite: bool = False
    bent: bool = False

    @property
    def channels(self) -> int:
        """Size of the first axis of a sample."""
        return self.shape[0]


@dataclass
class Building:
    """Nodes, constants and the choices that make them.

    Attributes:
        draw: Of hypothesis.
        opset: The version that nodes are written for.
        exact: All numbers are dyadic and all sums exact in float32.
        batch: A number, or a name where it is dynamic.
        held: How constants stand in the file: as initializers, Constant nodes, or initializers listed as inputs.
        hybrid: Operators that cannot spike may stand between neurons.
        inputs: Shape of one sample, by the name of an input.
        kinds: What each of them holds.
    """

    draw: Callable[[st.SearchStrategy[Any]], Any]
    opset: int
    exact: bool
    batch: int | str
    held: str
    hybrid: bool = False
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    kinds: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    types: dict[str, onnx.TypeProto] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    # Choices; the simplest comes first, that is where examples shrink to.

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of ``choices``."""
        return self.draw(st.sampled_from(list(choices)))

    def any_of(self, choices: Sequence[Any]) -> Any:
        """One of ``choices``, all as often: hypothesis, which draws what is alike again and again, has no part in it."""
        return choices[int(self.random.integers(len(choices)))]

    def flip(self) -> bool:
        """True or false."""
        return bool(self.draw(st.booleans()))

    def number(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        return int(self.draw(st.integers(low, high)))

    # Constants and nodes.

    def hold(self, values: Any, dtype: Any = np.float32) -> str:
        """The name of a constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, dtype)
        self.types[name] = _type_of(self.constants[name])
        return name

    def op(self, op: str, *read: Any, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """One operator; numbers and arrays become float32 constants. Returns the name of its output, or all names."""
        names = [
            ""
            if r is None
            else r.name
            if isinstance(r, Tensor)
            else r
            if isinstance(r, str)
            else self.hold(r)
            for r in read
        ]
        while names and not names[-1]:
            names.pop()
        number = len(self.nodes)
        made = [f"t{number}" if i == 0 else f"t{number}_{i}" for i in range(outputs)]
        node = helper.make_node(op, names, made, f"{op}_{number}", domain=domain, **attributes)
        self.nodes.append(node)
        if domain:
            self.domains.add(domain)
        elif defs.has(op, self.opset, ""):
            self._infer(node)
        return made[0] if outputs == 1 else made

    def _infer(self, node: onnx.NodeProto) -> None:
        data = {
            n: numpy_helper.from_array(self.constants[n], n)
            for n in node.input
            if n in self.constants and self.constants[n].size <= 16
        }
        inferred = shape_inference.infer_node_outputs(
            defs.get_schema(node.op_type, self.opset, ""),
            node,
            {n: self.types[n] for n in node.input if n},
            data,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=9,
        )
        for name, kind in inferred.items():
            if not kind.tensor_type.HasField(
                "shape"
            ):  # comparisons are functions of ONNX: nothing is inferred of them
                kind.CopyFrom(self.types[next(n for n in node.input if n not in self.constants)])
                kind.tensor_type.elem_type = TensorProto.BOOL
            _set_first(kind, self.batch)
            self.types[name] = kind

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one sample."""
        dims = self.types[name].tensor_type.shape.dim
        return tuple(int(d.dim_value) for d in dims[1:])

    def declare(self, name: str, like: str | Tensor, elem: int = TensorProto.FLOAT) -> str:
        """Say that ``name`` has the shape of ``like``: for operators that ONNX has no schema of."""
        source = self.types[like.name if isinstance(like, Tensor) else like]
        kind = onnx.TypeProto()
        kind.CopyFrom(source)
        kind.tensor_type.elem_type = elem
        self.types[name] = kind
        return name

    def typed(self, name: str, sizes: Sequence[int], elem: int = TensorProto.FLOAT) -> str:
        """Say how large a sample of ``name`` is: for operators that ONNX has no schema of."""
        self.types[name] = helper.make_tensor_type_proto(elem, [self.batch, *sizes])
        return name

    def infer_as(self, name: str, twin: str, *read: Any, element: int, **attributes: Any) -> None:
        """Say that ``name`` has the shape of what ONNX's ``twin`` makes of these floats."""
        arrays = {f"read{i}": r for i, r in enumerate(read) if not isinstance(r, Tensor)}
        names = [r.name if isinstance(r, Tensor) else f"read{i}" for i, r in enumerate(read)]
        node = helper.make_node(twin, names, [name], **attributes)
        types = {n: self.types[n] if n in self.types else _type_of(arrays[n]) for n in names}
        schema = defs.get_schema(twin, _TWINS, "")
        imports = [helper.make_opsetid("", _TWINS)]
        kind = shape_inference.infer_node_outputs(schema, node, types, opset_imports=imports, ir_version=10)[
            name
        ]
        _set_first(kind, self.batch)
        kind.tensor_type.elem_type = element
        self.types[name] = kind

    def value(self, name: str, *, like: Tensor, **changes: Any) -> Tensor:
        """The tensor ``name``: what is known of ``like``, with ``changes``."""
        return replace(like, name=name, shape=self.shape(name), **changes)

    def add_input(self, dtype: str, shape: tuple[int, ...]) -> str:
        """The name of a new input."""
        name = f"x{len(self.inputs)}"
        self.inputs[name] = shape
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.types[name] = helper.make_tensor_type_proto(element, [self.batch, *shape])
        return name

    def add_output(self, name: str) -> None:
        """Make ``name`` an output, under a name of its own."""
        output = f"y{len(self.outputs)}"
        self.nodes.append(helper.make_node("Identity", [name], [output], output))
        self.outputs[output] = name

    # Exactness.

    def on_lattice(self, x: Tensor) -> bool:
        """Whether the values of ``x`` are so few numbers, at equal distances, that a neuron tells them apart."""
        return x.finite and self.exact and 2 * x.top / x.unit < 2.0**16

    def fits(self, unit: float, top: float) -> bool:
        """Whether numbers up to ``top`` in steps of ``unit`` are exact in float32; of no matter where floats are general."""
        return not self.exact or top / unit < EXACT

    def weights(self, shape: tuple[int, ...], axes: tuple[int, ...], x: Tensor) -> np.ndarray:
        """Weights, summed over ``axes`` with values like ``x``; in an exact network few and small enough."""
        fan_in = math.prod(shape[a] for a in axes)
        if not self.exact:
            return self.random.normal(0, 1.2 / math.sqrt(fan_in), shape).astype(np.float32)
        room = EXACT / 4 / (x.top / x.unit)
        if room < 1:
            reject()  # values too fine for another layer
        most = int(min(4, max(1, room // fan_in)))
        values = self.random.integers(-most, most + 1, shape).astype(np.float32)
        values *= self.random.random(shape) < 2 * room / fan_in
        order = (*(a for a in range(len(shape)) if a not in axes), *axes)
        rows = np.transpose(values, order).reshape(-1, fan_in)
        rows = rows * (np.cumsum(np.abs(rows), axis=1) <= room)
        values = np.transpose(rows.reshape([shape[a] for a in order]), np.argsort(order))
        return np.ascontiguousarray(values * np.float32(self.pick([0.25, 0.5, 1.0, 0.125])))

    def bias(self, shape: tuple[int, ...]) -> np.ndarray:
        """Terms of the size of activations."""
        if self.exact:
            return (self.random.integers(-4, 5, shape) * 0.25).astype(np.float32)
        return self.random.normal(0, 0.5, shape).astype(np.float32)

    def factors(self, shape: tuple[int, ...], *, positive: bool = False) -> np.ndarray:
        """Factors around one; powers of two where numbers are dyadic."""
        if self.exact:
            values = np.ldexp(1.0, self.random.integers(-2, 2, shape))
        else:
            values = self.random.uniform(0.3, 2.0, shape)
        sign = 1 if positive else self.random.choice([1, 1, 1, -1], shape)
        return np.asarray(values * sign, np.float32)

    def model(self) -> onnx.ModelProto:
        """The network."""
        constants = [numpy_helper.from_array(v, n) for n, v in self.constants.items()]
        inputs = [helper.make_value_info(n, self._copied_type(n)) for n in self.inputs]
        outputs = [helper.make_value_info(o, self._copied_type(n)) for o, n in self.outputs.items()]
        nodes = list(self.nodes)
        if self.held == "nodes":
            plain = [c for c in constants if self.opset >= 21 or c.data_type not in _FOUR_BITS]
            nodes = [helper.make_node("Constant", [], [c.name], value=c) for c in plain] + nodes
            constants = [c for c in constants if c not in plain]
        elif self.held == "inputs":
            inputs += [helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in constants]
        graph = helper.make_graph(nodes, "random", inputs, outputs, constants)
        opsets = [
            helper.make_opsetid("", self.opset),
            *(helper.make_opsetid(d, 1) for d in sorted(self.domains)),
        ]
        version = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
        return helper.make_model(graph, opset_imports=opsets, ir_version=max(version, 4))

    def _copied_type(self, name: str) -> onnx.TypeProto:
        kind = onnx.TypeProto()
        kind.CopyFrom(self.types[name])
        return kind


def _set_first(kind: onnx.TypeProto, batch: int | str) -> None:
    """Name the batch axis."""
    first = kind.tensor_type.shape.dim[0]
    if isinstance(batch, str):
        first.dim_param = batch
    else:
        first.dim_value = batch


def _type_of(values: np.ndarray) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)


def is_power_of_two(number: float) -> bool:
    """Whether dividing by it is exact."""
    return math.frexp(number)[0] == 0.5


def unit_of(values: np.ndarray) -> float:
    """The largest power of two of which all ``values`` are multiples; of multiples of 2⁻²⁰."""
    whole = np.abs(np.asarray(values, np.float64) * 2.0**20).astype(np.int64)
    together = int(np.bitwise_or.reduce(whole.reshape(-1))) if whole.size else 0
    return 2.0**-20 * (together & -together) if together else 1.0
