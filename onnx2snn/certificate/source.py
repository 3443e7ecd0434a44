"""The source's side of a certificate: its own levels, and its affine maps between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.certificate.cuts import cut_source
from onnx2snn.certificate.rounding import UNIT
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph import Array, apply_owned, constant_input, origin
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.exporter import to_split_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.operators import is_neuron
from onnx2snn.passes.scales import is_power_of_two
from onnx2snn.passes.staircase_nodes import SOURCE, SOURCE_TENSOR
from onnx2snn.reference import Runner, loads_in_onnxruntime, make_runner
from onnx2snn.staircases import Staircase
from onnx2snn.weights import SplitModel, split_model

#: Levels (N, ...): whole numbers, which float32 holds exactly.
Levels: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

#: Operators of activations that add, compare and choose.
_WITHOUT_FACTORS = frozenset(
    ("Add", "Sub", "Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Clip", "Relu", "Min", "Max", "Sum", "Cast", "Where", "Not",
     "And", "Or", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "Identity", "MaxPool", "GlobalMaxPool",
     "ReduceMax", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Concat", "Slice", "Split", "Gather", "Expand")
)  # fmt: skip
#: Numbers that are read at a time: few enough to stay in a processor's cache.
BLOCK = 1 << 16
#: What three roundings in float32 (of the scale, a difference, a quotient) may add to the distance from a level, in units of the
#: last place of the largest.
_QUICK = 5


@dataclass(frozen=True)
class Activation:
    """An activation of the source.

    Attributes:
        tensor: The source tensor that holds α·k + o.
        staircase: Its parameters.
        operators: How many operators of the source compute it: each rounds once.
        exact: Whether all that they multiply and divide by are powers of two: then none rounds a few-bit number.
    """

    tensor: str
    staircase: Staircase
    operators: int
    exact: bool = False

    def levels(self, values: Array) -> tuple[Levels, Mask | None]:
        """The level k of activations α·k + o (N, ...), and where they are no such numbers, even up to the source's rounding.

        None if they are such numbers everywhere, as they should be.
        """
        staircase = self.staircase
        if values.dtype.kind == "V":  # codes of four bits: NumPy has them from ml_dtypes
            values = values.astype(np.float32)
        if values.dtype.kind not in "fiu" or not _fits(values.shape[1:], staircase):
            return np.zeros(values.shape, np.float32), np.ones(values.shape, bool)
        reach = staircase.levels + 1 + np.abs(staircase.shift / staircase.scale)
        near = np.minimum(2 * (self.operators + 2) * UNIT * reach, 0.25)
        if values.dtype == np.float32:
            k = self._quickly(values, float(np.min(near - _QUICK * UNIT * reach)))
            if k is not None:
                return k, None
        return self._exactly(values, near)

    def _quickly(self, values: Array, near: float) -> Levels | None:
        """The same in float32, block by block; None where some value is not even then ``near`` to its level."""
        staircase = self.staircase
        shift, scale = (np.asarray(a, np.float32) for a in (staircase.shift, staircase.scale))
        k = np.empty_like(values)
        rows = max(1, BLOCK // max(values[:1].size, 1))
        rest = np.empty_like(values[:rows])
        for first in range(0, len(values), rows):
            part, levels = values[first : first + rows], k[first : first + rows]
            r = rest[: len(part)]
            np.divide(np.subtract(part, shift, out=r) if shift.any() else part, scale, out=r)
            np.rint(r, out=levels)
            np.abs(np.subtract(r, levels, out=r), out=r)
            within = levels.min(initial=0) >= 0 and np.all(levels <= staircase.ceilings)
            if not (within and r.max(initial=0) <= near):
                return None
        return k

    def _exactly(self, values: Array, near: Array) -> tuple[Levels, Mask | None]:
        exact = values.astype(np.float64)
        exact -= self.staircase.shift
        exact /= self.staircase.scale
        k = np.rint(exact)
        exact -= k
        off = ~((np.abs(exact) <= near) & (k >= 0) & (k <= self.staircase.ceilings))
        k[~np.isfinite(k)] = 0
        return k.astype(np.float32), off if off.any() else None


def _fits(sample: tuple[int, ...], staircase: Staircase) -> bool:
    """Whether parameters by channel fit the shape of one sample."""
    parameters = (staircase.scale, staircase.shift, staircase.ceilings)
    try:
        return np.broadcast_shapes(sample, *(np.shape(a) for a in parameters)) == sample
    except ValueError:
        return False


@dataclass(frozen=True)
class Answer:
    """What the source answered to a batch.

    Attributes:
        levels: By source tensor, the levels of its activations (N, ...).
        off_grid: By source tensor, where the activation holds none of its levels; None where it holds one everywhere.
        outputs: By name: what these levels led to.
        written: Outputs of the model exactly as its file is written; the same arrays, save where its levels cannot be read.
    """

    levels: dict[str, Levels]
    off_grid: dict[str, Mask | None]
    outputs: dict[str, Array]
    written: dict[str, Array]


class Source:
    """The source network, instrumented.

    Levels come from the source's own operators, never from the converted model: from the file as it is written, run
    operator by operator; where it does not hold an activation under its name (it was in a function, or in other units), or no
    runtime computes it, from its normalised form, in which integer codes are float32.
    """

    def __init__(self, model: onnx.ModelProto | SplitModel) -> None:
        model = model if isinstance(model, SplitModel) else split_model(model)
        graph = apply_owned(import_model(model), PREPARE)
        levels = apply_owned(graph.copy(), RECOGNISE)
        inexact = _inexact(graph)
        self.activations = {
            node.attrs[SOURCE_TENSOR]: Activation(
                node.attrs[SOURCE_TENSOR],
                node.attrs[SOURCE],
                len(origin(node)) + 2,
                exact=inexact.isdisjoint(origin(node)),
            )
            for node in levels.nodes
            if is_neuron(node)
        }
        self.outputs = [tensor.name for tensor in graph.outputs]
        self.cut = cut_source(levels)
        self._normalised = make_runner(_with_outputs(graph, list(self.activations)))
        self._written = self._instrumented(model) if loads_in_onnxruntime(model.structure) else None
        self._readable: bool | None = None

    def __call__(self, inputs: Mapping[str, Array]) -> Answer:
        """Run the source on a batch."""
        if self._readable is None:
            self._readable = self._reads_alike(inputs)
        written = self._run_written(inputs)
        if written is not None and self._readable:
            return Answer(*self._read(written), self._outputs(written), self._outputs(written))
        values = self._normalised(inputs)
        return Answer(
            *self._read(values), self._outputs(values), self._outputs(values if written is None else written)
        )

    def _reads_alike(self, inputs: Mapping[str, Array]) -> bool:
        """Whether the file's tensors of these names hold the activations: on two samples of noise, of the data's sizes."""
        random = np.random.default_rng(0)
        noise = {
            name: random.normal(0, 1, (2, *value.shape[1:])).astype(value.dtype)
            if value.dtype.kind == "f"
            else np.resize(value, (2, *value.shape[1:]))
            for name, value in inputs.items()
        }
        written, values = self._run_written(noise), self._normalised(noise)
        if written is None or any(name not in written for name in self.activations):
            return False
        (own, off), (normalised, _) = self._read(written), self._read(values)
        return all(
            _alike(own[name], normalised[name]) and not _holds_others(off[name]) for name in self.activations
        )

    def _instrumented(self, model: SplitModel) -> Runner | None:
        """The file as it is written, with those activations as further outputs that it holds."""
        graph = model.structure.graph
        there = {name for node in graph.node for name in node.output}
        have = {output.name for output in graph.output}
        instrumented = onnx.ModelProto()
        instrumented.CopyFrom(model.structure)
        added = [name for name in self.activations if name in there and name not in have]
        instrumented.graph.output.extend(onnx.ValueInfoProto(name=name) for name in added)
        try:
            return make_runner(SplitModel(instrumented, model.weights))
        except InvalidModelError:
            return None

    def _run_written(self, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
        if self._written is not None:
            try:
                return self._written(inputs)
            except InvalidModelError:
                self._written = None
        return None

    def _outputs(self, values: Mapping[str, Array]) -> dict[str, Array]:
        return {name: values[name] for name in self.outputs}

    def _read(self, values: Mapping[str, Array]) -> tuple[dict[str, Levels], dict[str, Mask | None]]:
        read = {name: activation.levels(values[name]) for name, activation in self.activations.items()}
        return {name: k for name, (k, _) in read.items()}, {name: off for name, (_, off) in read.items()}


def _inexact(graph: gs.Graph) -> frozenset[str]:
    """Names of the user's nodes that multiply or divide by something else than powers of two."""
    return frozenset(
        name
        for node in graph.nodes
        if node.op not in _WITHOUT_FACTORS and not _by_powers_of_two(node)
        for name in origin(node)
    )


def _by_powers_of_two(node: gs.Node) -> bool:
    if node.op not in ("Mul", "Div"):
        return False
    factors = (constant_input(node, i) for i in range(len(node.inputs)))
    return all(is_power_of_two(f) for f in factors if f is not None)


def _alike(one: Levels, other: Levels) -> bool:
    """Whether both are readings of one activation: of one shape, and the same save for what rounding may have decided."""
    return one.shape == other.shape and (one.size == 0 or float(np.mean(one == other)) > 0.5)


def _holds_others(off: Mask | None) -> bool:
    """Whether most of what was read is no level."""
    return off is not None and off.size > 0 and float(np.mean(off)) > 0.5


def _with_outputs(graph: gs.Graph, names: list[str]) -> SplitModel:
    tensors = graph.tensors()
    have = {tensor.name for tensor in graph.outputs}
    graph.outputs = [*graph.outputs, *(tensors[name] for name in names if name not in have)]
    return to_split_model(graph)
