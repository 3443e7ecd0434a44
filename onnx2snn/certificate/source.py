"""The source's side of a certificate: its levels, its pre-activations, and how far float32 may move them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.dialect import attach_functions
from onnx2snn.graph import Array, apply_owned, constant_input, is_constant, tidy, value_of
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.exporter import to_model
from onnx2snn.passes.fuse_batch_norm import fuse_batch_norm
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.operators import is_linear, is_neuron
from onnx2snn.passes.staircase_nodes import SOURCE, SOURCE_TENSOR
from onnx2snn.reference import make_runner
from onnx2snn.staircases import Staircase

#: Unit roundoff of float32.
UNIT = 2.0**-24


@dataclass(frozen=True)
class SourceLayer:
    """An activation of the source.

    Attributes:
        tensor: The source tensor that holds α·k + o.
        staircase: Its parameters.
        terms: Length of the longest sum, and number of roundings, on the way to its pre-activation from the layers before.
    """

    tensor: str
    staircase: Staircase
    terms: int


class Source:
    """The source network, instrumented.

    The levels come from the source's own operators (normalised: integer codes as float32), never from the converted
    model. Bounds come from a running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
    section 3.1): a sum of n products, in any order, is off by at most γ_n·Σ|w|·|x|, γ_n = n·u/(1 − n·u), u = 2⁻²⁴; the sum
    of absolute values is computed by running the network between two layers with |weights| on |activations|.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = apply_owned(import_model(model), PREPARE)
        levels = apply_owned(graph.copy(), (*RECOGNISE, fuse_batch_norm))
        nodes = [node for node in levels.nodes if is_neuron(node)]
        terms = _terms(levels)
        self.layers = {
            node.attrs[SOURCE_TENSOR]: SourceLayer(
                node.attrs[SOURCE_TENSOR], node.attrs[SOURCE], terms[id(node.inputs[0])]
            )
            for node in nodes
        }
        self.outputs = [tensor.name for tensor in graph.outputs]
        self._readouts = {
            t.name: terms.get(id(t), 0) for t in levels.outputs if id(t) not in _nonlinear(levels)
        }
        self._ann = make_runner(_with_outputs(graph, list(self.layers)))
        self._bounds = make_runner(_absolute(levels, set(self._readouts)))
        self._potentials = make_runner(_forced(levels))

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Activations by source tensor, and the network's outputs."""
        return self._ann(inputs)

    def levels(self, answer: Mapping[str, Array]) -> dict[str, NDArray[np.int64]]:
        """The level k = (a − o)/α of each activation."""
        found = {}
        for name, layer in self.layers.items():
            staircase = layer.staircase
            exact = (answer[name].astype(np.float64) - staircase.shift) / staircase.scale
            found[name] = np.rint(exact).astype(np.int64)
        return found

    def potentials(
        self, inputs: Mapping[str, Array], levels: Mapping[str, NDArray[np.int64]]
    ) -> dict[str, tuple[Array, Array]]:
        """By source tensor: the pre-activation z, and the sum of absolute values behind it, given the ANN's levels."""
        forced = {f"forced/{name}": k.astype(np.float32) for name, k in levels.items()}
        z = self._potentials({**inputs, **forced})
        magnitude = self._bounds({**{n: np.abs(v) for n, v in inputs.items()}, **forced})
        return {name: (z[f"z/{name}"], magnitude[f"z/{name}"]) for name in self.layers}

    def readout_bounds(
        self, inputs: Mapping[str, Array], levels: Mapping[str, NDArray[np.int64]], timesteps: int
    ) -> dict[str, NDArray[np.float64]]:
        """How far rounding may move each output that is a linear readout of equal levels, in both networks together."""
        forced = {f"forced/{name}": k.astype(np.float32) for name, k in levels.items()}
        magnitude = self._bounds({**{n: np.abs(v) for n, v in inputs.items()}, **forced})
        return {
            name: 1.01 * (_gamma(n + 1) + _gamma(n + 2 * timesteps + 5)) * magnitude[name].astype(np.float64)
            for name, n in self._readouts.items()
        }


def _nonlinear(graph: gs.Graph) -> set[int]:
    """Tensors behind which, since the last neurons, lies anything but linear operators."""
    found: set[int] = set()
    for node in graph.nodes:
        if not is_neuron(node) and (not is_linear(node) or any(id(t) in found for t in node.inputs)):
            found.update(id(t) for t in node.outputs)
    return found


def _with_outputs(graph: gs.Graph, names: list[str]) -> onnx.ModelProto:
    copy = graph.copy()
    tensors = copy.tensors()
    have = {tensor.name for tensor in copy.outputs}
    copy.outputs = [*copy.outputs, *(tensors[name] for name in names if name not in have)]
    return to_model(copy)


def _forced(levels: gs.Graph, readouts: set[str] | None = None) -> onnx.ModelProto:
    """Every layer reads levels that are given; outputs ``z/<tensor>`` are the pre-activations (teacher forcing)."""
    copy = levels.copy()
    outputs = []
    for node in copy.nodes:
        if not is_neuron(node):
            continue
        name = node.attrs[SOURCE_TENSOR]
        z, level = node.inputs[0], node.outputs[0]
        out = gs.Variable(f"z/{name}", np.float32, list(z.shape))
        copy.nodes.append(gs.Node(op="Identity", name=out.name, inputs=[z], outputs=[out]))
        outputs.append(out)
        node.outputs.clear()
        level.name = f"forced/{name}"
        copy.inputs.append(level)
    copy.outputs = [*outputs, *(t for t in copy.outputs if t.name in (readouts or ()))]
    model = to_model(tidy(copy))
    attach_functions(model)
    return model


def _absolute(levels: gs.Graph, readouts: set[str]) -> onnx.ModelProto:
    """As :func:`_forced`, with every constant's absolute value and every difference a sum."""
    copy = levels.copy()
    for node in copy.nodes:
        if node.domain or is_neuron(node):
            continue
        if node.op == "Sub":
            node.op = "Add"
        elif node.op == "Neg":
            node.op = "Identity"
        if node.op in _SIGNED:
            for position, tensor in enumerate(list(node.inputs)):
                if is_constant(tensor) and np.dtype(tensor.dtype).kind == "f":
                    node.inputs[position] = gs.Constant(
                        f"{tensor.name}/abs", np.asarray(np.abs(value_of(tensor)))
                    )
        for key in ("alpha", "beta"):
            if node.op == "Gemm" and key in node.attrs:
                node.attrs[key] = abs(node.attrs[key])
    return _forced(copy, readouts)


#: Operators whose constants are factors or terms of a sum.
_SIGNED = {
    "Add",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Div",
    "Gemm",
    "MatMul",
    "Mean",
    "Mul",
    "Pad",
    "Sum",
    "Where",
}


def _terms(graph: gs.Graph) -> dict[int, int]:
    """For every tensor, roundings on the longest way from the layers before it: n of γ_n."""
    terms: dict[int, int] = {}
    for node in graph.nodes:
        before = max((terms.get(id(t), 0) for t in node.inputs), default=0)
        here = 0 if is_neuron(node) else before + _fan_in(node)
        for tensor in node.outputs:
            terms[id(tensor)] = here
    return {**{id(t): 0 for t in graph.inputs}, **terms}


#: Operators that round nothing.
_MOVES = {
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "MaxPool",
    "Neg",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "DepthToSpace",
    "SpaceToDepth",
}


def _fan_in(node: gs.Node) -> int:
    """Length of the sum that makes one element of ``node``'s output, or an upper bound of it."""
    weights = constant_input(node, 1)
    if node.op in ("Conv", "ConvTranspose") and weights is not None:
        rows = weights.shape[1] if node.op == "Conv" else weights.shape[0]
        return int(rows * np.prod(weights.shape[2:])) + 2
    if node.op == "Gemm" and weights is not None:
        return int(weights.shape[1 if node.attrs.get("transB", 0) else 0]) + 2
    if node.op == "MatMul":
        left = constant_input(node, 0)
        return int(
            (weights.shape[-2:][0] if weights is not None else left.shape[-1] if left is not None else 0) + 2
        )
    if node.op == "AveragePool":
        return int(np.prod(node.attrs["kernel_shape"])) + 2
    if node.op in ("GlobalAveragePool", "ReduceMean", "ReduceSum"):
        sizes = [int(s) for s in node.inputs[0].shape[1:] if isinstance(s, (int, np.integer))]
        return int(np.prod(sizes)) + 2
    if node.op in _MOVES:
        return 0
    return len(node.inputs)


def rounding_bound(layer: SourceLayer, z: Array, magnitude: Array, timesteps: int) -> NDArray[np.float64]:
    """How far rounding may move ``z`` against a threshold, in the ANN and the SNN together.

    Both sum at most ``terms`` products of ``magnitude`` in all; the SNN's integration rounds twice more at each step, its
    weights carry four roundings more (α, 1/θ and batch norm taken in). The magnitude itself was summed in float32, from
    below by at most γ_n: hence the factor 1.01. Adding the bias, scaling and comparing cost single roundings of numbers
    no larger than |z|, |δ| and the highest threshold.
    """
    staircase = layer.staircase
    sums = (
        1.01
        * (_gamma(layer.terms + 1) + _gamma(layer.terms + 2 * timesteps + 5))
        * magnitude.astype(np.float64)
    )
    single = 8 * UNIT * (np.abs(z) + np.abs(staircase.offset) + staircase.threshold * (staircase.levels + 1))
    return np.asarray(sums + single)


def _gamma(n: int) -> float:
    return n * UNIT / (1 - n * UNIT)
