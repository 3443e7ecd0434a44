"""How the source's levels are read: activations, and the tensors of its own file that hold them, as they are, moved or scaled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx import inliner

from onnx2snn.activations import Staircase, Table
from onnx2snn.activations.neuron_nodes import Reading
from onnx2snn.certificate.ways_back import moved_ahead, turned_back
from onnx2snn.graph.core import Array, is_constant, tidy, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.weights import SplitModel, weights_as_inputs
from onnx2snn.operators import of
from onnx2snn.operators.signals import UNIT


def open_functions(model: SplitModel) -> SplitModel:
    """The file with its functions inlined, as a runtime does it, so that tensors inside of them can be read."""
    light = weights_as_inputs(model.structure)
    inlined: onnx.ModelProto = inliner.inline_local_functions(light, convert_version=True)
    return SplitModel(inlined, model.weights)


def with_tensors(model: SplitModel, tensors: Iterable[str]) -> SplitModel:
    """The file as it is, with these tensors as further outputs."""
    instrumented = onnx.ModelProto()
    instrumented.CopyFrom(model.structure)
    have = {output.name for output in instrumented.graph.output}
    added = [onnx.ValueInfoProto(name=name) for name in tensors if name not in have]
    instrumented.graph.output.extend(added)
    return SplitModel(instrumented, model.weights)


def written_tensors(model: SplitModel) -> frozenset[str]:
    """Names of what the nodes of the file write."""
    return frozenset(name for node in model.structure.graph.node for name in node.output if name)


def written_codes(model: SplitModel) -> frozenset[str]:
    """Names of the integers among them."""
    nodes = model.structure.graph.node
    return frozenset(name for node in nodes if of(node).whole for name in node.output if name)


def origins(
    graph: gs.Graph, activations: Iterable[str], there: Collection[str], better: Collection[str] = ()
) -> dict[str, str]:
    """By activation of the normalised ``graph``, the tensor ``there`` in the file that it is a move of; others are left out.

    It stands in front, or behind moves that can be undone. Those that are ``better`` are preferred to nearer ones: where floats
    are coarse, values of codes are rounded, codes are not.
    """
    tensors = graph.tensors()
    found = {name: list(_back(tensors[name])) for name in activations}
    chosen = {
        name: next((t for t in way if t in better), None) or next((t for t in way if t in there), None)
        for name, way in found.items()
    }
    ahead = {n: moved_ahead(tensors[n], there) for n, origin in chosen.items() if origin is None}
    chosen |= {name: str(way[-1].outputs[0].name) for name, way in ahead.items() if way}
    return {name: origin for name, origin in chosen.items() if origin is not None}


def _back(tensor: gs.Tensor) -> Iterator[str]:
    """The tensors in front, over what decides nothing: layouts, and the lines that make values of codes."""
    while True:
        yield str(tensor.name)
        node = tensor.inputs[0] if tensor.inputs else None
        if node is None or not (of(node).plain or of(node).moves or of(node).line):
            return
        signals = [t for t in node.inputs if not is_constant(t) and not t.is_empty()]
        if len(signals) != 1:
            return
        tensor = signals[0]


def moves(graph: gs.Graph, found: Mapping[str, str]) -> SplitModel:
    """What makes activations of the tensors of the file: these, in float32, are its inputs."""
    wanted = [name for name, origin in found.items() if name != origin]
    return resumed(turned_back(graph, found), dict.fromkeys(found.values()), wanted)


def resumed(graph: gs.Graph, given: Iterable[str], wanted: Iterable[str]) -> SplitModel:
    """The part of the normalised form that leads from tensors that are ``given``, and its inputs, to those ``wanted``."""
    copy = graph.copy()
    tensors = copy.tensors()
    entrances = [tensors[name] for name in given]
    for tensor in entrances:
        tensor.inputs.clear()
        tensor.dtype = np.float32
    copy.inputs = [*copy.inputs, *entrances]
    copy.outputs = [tensors[name] for name in wanted]
    copy = tidy(copy)
    copy.inputs = [tensor for tensor in copy.inputs if tensor.outputs]
    return to_split_model(copy)


def responses(graph: gs.Graph, activations: Iterable[str]) -> SplitModel:
    """The normalised form, each activation made of those before it, which are given: ``<name>/own`` are its outputs."""
    copy = graph.copy()
    tensors = copy.tensors()
    copy.outputs = []
    for name in activations:
        given = tensors[name]
        own = gs.Variable(own_name(name), given.dtype, given.shape)
        maker = given.inputs[0]
        maker.outputs = [own if tensor is given else tensor for tensor in maker.outputs]
        given.dtype = np.float32
        copy.inputs.append(given)
        copy.outputs.append(own)
    copy = tidy(copy)
    copy.inputs = [tensor for tensor in copy.inputs if tensor.outputs]
    return to_split_model(copy)


def own_name(activation: str) -> str:
    """What :func:`responses` calls the answer of an activation."""
    return f"{activation}/own"


#: Levels (N, ...): whole numbers, which float32 holds exactly.
Levels: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

#: Numbers that are read at a time: few enough to stay in a processor's cache.
BLOCK = 1 << 16
#: What three roundings in float32 (of the scale, a difference, a quotient) may add to the distance from a level, in units of the
#: last place of the largest.
_QUICK = 5


@dataclass(frozen=True)
class ReadActivation:
    """An activation of the source.

    Attributes:
        tensor: The source tensor that holds α·k + o.
        staircase: Its parameters.
        operators: How many operators of the source compute it: each rounds once.
        exact: Whether they round no few-bit number: they multiply and divide by powers of two, or divide in front of a rounding.
        reading: What shows its level, where no tensor of the source holds α·k + o.
        unit: Unit roundoff of the numbers that the source computes with: 2⁻²⁴ in float32.
    """

    tensor: str
    staircase: Staircase | Table
    operators: int
    exact: bool = False
    unit: float = UNIT
    reading: Reading | None = None

    @property
    def shown_by(self) -> str:
        """The tensor of the normalised source that shows its level."""
        return self.tensor if self.reading is None else self.reading.tensor

    def levels(self, values: Array) -> tuple[Levels, Mask | None]:
        """The level k of what shows it (N, ...), and where that are no such numbers, even up to the source's rounding.

        None if they are such numbers everywhere, as they should be. Activations α·k + o show it themselves, or the levels of a
        quantiser in front of them, or the potential.
        """
        if self.reading is None:
            return self._of_values(values, self.staircase)
        first = self.reading.levels
        if first is None:
            bad = ~np.isfinite(values)
            return self.staircase.level(values).astype(np.float32), bad if bad.any() else None
        k, off = self._of_values(values, first)
        middles = first.lower_edges(k) + first.threshold / 2
        return self.staircase.level(middles).astype(np.float32), off

    def _of_values(self, values: Array, staircase: Staircase | Table) -> tuple[Levels, Mask | None]:
        if values.dtype.kind == "V":  # codes of four bits: NumPy has them from ml_dtypes
            values = values.astype(np.float32)
        if values.dtype.kind not in "fiu" or not _fits(values.shape[1:], staircase):
            return np.zeros(values.shape, np.float32), np.ones(values.shape, bool)
        reach = staircase.levels + 1 + np.abs(staircase.shift / staircase.scale)
        near = np.minimum(2 * (self.operators + 2) * self.unit * reach, 0.25)
        with np.errstate(invalid="ignore", over="ignore"):  # what overflowed is no level
            if values.dtype == np.float32:
                k = self._quickly(values, staircase, float(np.min(near - _QUICK * UNIT * reach)))
                if k is not None:
                    return k, None
            return self._exactly(values, staircase, near)

    @staticmethod
    def _quickly(values: Array, staircase: Staircase | Table, near: float) -> Levels | None:
        """The same in float32, block by block; None where some value is not even then ``near`` to its level."""
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

    @staticmethod
    def _exactly(values: Array, staircase: Staircase | Table, near: Array) -> tuple[Levels, Mask | None]:
        exact = values.astype(np.float64)
        exact -= staircase.shift
        exact /= staircase.scale
        k = np.rint(exact)
        exact -= k
        off = ~((np.abs(exact) <= near) & (k >= 0) & (k <= staircase.ceilings))
        k[~np.isfinite(k)] = 0
        return k.astype(np.float32), off if off.any() else None


def _fits(sample: tuple[int, ...], staircase: Staircase | Table) -> bool:
    """Whether parameters by channel fit the shape of one sample."""
    parameters = (staircase.scale, staircase.shift, staircase.ceilings)
    try:
        return np.broadcast_shapes(sample, *(np.shape(a) for a in parameters)) == sample
    except ValueError:
        return False


def read_alike(one: Levels, other: Levels) -> bool:
    """Whether both are readings of one activation: of one shape, and the same save for what rounding may have decided."""
    return one.shape == other.shape and (one.size == 0 or float(np.mean(one == other)) > 0.5)


def holds_others(off: Mask | None) -> bool:
    """Whether most of what was read is no level."""
    return off is not None and off.size > 0 and float(np.mean(off)) > 0.5


#: Unit roundoff of the narrower types.
_UNITS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def unit_of(graph: gs.Graph) -> float:
    """Unit roundoff of the coarsest floats that a signal is held in: 2⁻²⁴ in float32, and where all are finer."""
    types = {np.dtype(t.dtype) for t in _tensors(graph) if t.dtype is not None and not is_constant(t)}
    return max(map(unit_of_type, types), default=UNIT)


def unit_of_type(dtype: np.dtype[Any]) -> float:
    """Unit roundoff of floats of this type, where they are coarser than float32; 2⁻²⁴ of all others."""
    return _UNITS.get(dtype.name, UNIT)


def narrowed_with_loss(graph: gs.Graph) -> bool:
    """Whether a constant of float64 is no number of float32: the spiking network holds another then."""
    wide = (t for t in _tensors(graph) if is_constant(t) and t.dtype == np.float64)
    with np.errstate(over="ignore"):
        return any(not np.array_equal(v, v.astype(np.float32), equal_nan=True) for v in map(value_of, wide))


def _tensors(graph: gs.Graph) -> Iterator[gs.Tensor]:
    for node in graph.nodes:
        yield from node.inputs
        yield from node.outputs
