"""A small network in the making: nodes, constants, and what each tensor holds for the case's own data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
#: Numbers of samples of a dynamic batch; the second tells which sizes follow.
BATCHES = (5, 3)


@dataclass
class Network:
    """Nodes, constants and data.

    Attributes:
        opset: What nodes are written for.
        dyadic: Numbers are small multiples of powers of two, so sums are exact in float32; else general floats.
        held: Constants are ``initializers``, ``nodes`` or ``inputs`` with a default.
        real: The type in which it computes.
        random: Where numbers come from.
        data: By input name, in the declared type.
        outputs: Names of tensors.
        places: The input as floats, channels in front.
        resized: As ``data``, other samples, and other sizes where they are dynamic: None where nothing is.
    """

    opset: int
    dyadic: bool
    held: str = "initializers"
    real: Any = np.float32
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    data: dict[str, np.ndarray] = field(default_factory=dict)
    resized: dict[str, np.ndarray] | None = None
    outputs: list[str] = field(default_factory=list)
    places: str = ""
    _seen: dict[str, np.ndarray] = field(default_factory=dict)

    def hold(self, values: Any, dtype: Any = None) -> str:
        """The name of a constant; floats are of the type in which the network computes."""
        array = np.asarray(values)
        if dtype is None and array.dtype.kind == "f":
            dtype = self.real
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array, dtype)
        return name

    def op(self, op: str, *read: Any, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """One operator; what is no name becomes a constant, None is an input that is left out."""
        names = [r if isinstance(r, str) else "" if r is None else self.hold(r) for r in read]
        while names and not names[-1]:
            names.pop()
        number = len(self.nodes)
        made = [f"t{number}" if i == 0 else f"t{number}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, names, made, f"{op}_{number}", domain=domain or None, **attributes)
        )
        return made[0] if outputs == 1 else made

    def of(self, name: str) -> np.ndarray:
        """What a tensor holds."""
        if name in self.data:
            return self.data[name]
        if name in self.constants:
            return self.constants[name]
        if name not in self._seen:
            self._seen[name] = run(self.model([onnx.ValueInfoProto(name=name)]), self.data)[0]
        return self._seen[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one sample."""
        return tuple(self.of(name).shape[1:])

    # Numbers.

    def weights(self, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        """Weights: quarters up to 3/4, or any floats."""
        if self.dyadic:
            return self.random.integers(-3, 4, shape) / 4.0
        return self.random.normal(0, 1 / np.sqrt(fan_in), shape)

    def bias(self, shape: tuple[int, ...]) -> np.ndarray:
        """Terms of the size of activations."""
        return self.random.integers(-4, 5, shape) / 8.0 if self.dyadic else self.random.normal(0, 0.3, shape)

    def step(self, z: str, levels: int, axis: int | None = None) -> np.ndarray:
        """A quantisation step, by which ``z`` reaches about ``levels`` of them; by channel where an axis is given."""
        values = np.abs(self.of(z).astype(np.float64))
        others = tuple(a for a in range(values.ndim) if a != axis)
        top = values.max(axis=others if axis is not None else None, initial=1e-3)
        if self.dyadic:
            step = np.exp2(np.round(np.log2(np.maximum(top, 0.25) / levels)))
        else:
            step = np.asarray(top) / levels * self.random.uniform(0.6, 1.1, np.shape(top))
        return np.asarray([float(f"{s:.3g}") for s in np.ravel(step)]).reshape(np.shape(step))

    # The model.

    def model(self, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The network so far."""
        constants = [numpy_helper.from_array(v, n) for n, v in self.constants.items()]
        inputs, nodes = self._inputs(), list(self.nodes)
        if self.held == "nodes":
            nodes = [helper.make_node("Constant", [], [c.name], value=c) for c in constants] + nodes
            constants = []
        elif self.held == "inputs":
            inputs += [helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in constants]
        graph = helper.make_graph(nodes, "case", inputs, outputs, constants)
        domains = sorted({n.domain for n in self.nodes if n.domain})
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, 1) for d in domains)]
        version = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
        return helper.make_model(graph, opset_imports=opsets, ir_version=max(version, 4))

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        second = self.resized or self.data
        return [_info(name, value, second[name]) for name, value in self.data.items()]

    def finished(self) -> onnx.ModelProto:
        """The network, its outputs declared with the sizes that follow the input's by name."""
        model = self.model([onnx.ValueInfoProto(name=name) for name in self.outputs])
        first = run(model, self.data)
        second = first if self.resized is None else run(model, self.resized)
        infos = [_info(n, a, b) for n, a, b in zip(self.outputs, first, second, strict=True)]
        model = self.model(infos)
        onnx.checker.check_model(model)
        return model


def _info(name: str, value: np.ndarray, other: np.ndarray) -> onnx.ValueInfoProto:
    """Sizes that differ between both are named; the first of them is the batch."""
    dims: list[int | str] = [
        a if a == b else "N" if a == BATCHES[0] and i == 0 else f"{name}_{i}"
        for i, (a, b) in enumerate(zip(value.shape, other.shape, strict=True))
    ]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), dims)


def run(model: onnx.ModelProto | str, data: dict[str, np.ndarray]) -> list[Any]:
    """The answers of stock onnxruntime, its graph optimisations off."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    source = model if isinstance(model, str) else model.SerializeToString()
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {i.name: data[i.name] for i in session.get_inputs()}))


def floats(name: str) -> int:
    """The element type of a NumPy type."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(name)))


FLOAT = int(TensorProto.FLOAT)
