"""Which operators work entry by entry: as their records say, or found by running them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.errors import Onnx2SnnError
from onnx2snn.graph.core import Array, is_constant, is_float, signals, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.reference import Reference
from onnx2snn.model.weights import SplitModel, split_model
from onnx2snn.operators import of


@dataclass(frozen=True)
class Opsets:
    """Versions of operators: of the default domain, and of others."""

    version: int
    others: Any = None

    @classmethod
    def of(cls, graph: gs.Graph) -> Opsets:
        """Those of a graph."""
        return cls(graph.opset, getattr(graph, "import_domains", None))

    def of_graph(self) -> dict[str, Any]:
        """Arguments of a new graph."""
        return {"opset": self.version, "import_domains": self.others}


#: A constant with more values than this is data, not an activation's parameter; a list to pick from may be longer.
MAX_PARAMETERS, MAX_LIST = 1 << 17, 1 << 22
#: Samples, and entries along an axis, with which an operator is tried.
_SAMPLES, _ENTRIES = 2, 3
_TRIALS = 4


def is_elementwise(node: gs.Node) -> bool:
    """Whether constants are parameters and the output has the shape of what it is made from."""
    shapes = [tuple(t.shape) for t in signals(node) if t.shape is not None]
    if len(shapes) != len(signals(node)) or not shapes or not shapes[0] or len(node.outputs) != 1:
        return False
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        return False
    return all(_fits(value_of(t), shapes[0]) for t in node.inputs if is_constant(t) and not t.is_empty())


def _fits(values: Array, shape: tuple[int | str, ...]) -> bool:
    """Whether constants broadcast to ``shape`` without widening it, and are the same for every sample."""
    if values.size > MAX_PARAMETERS or values.ndim > len(shape):
        return False
    aligned = shape[len(shape) - values.ndim :]
    if values.ndim == len(shape) and values.shape[0] != 1:
        return False
    return all(size in (1, dim) for size, dim in zip(values.shape, aligned, strict=True))


def leaves_float32(node: gs.Node) -> bool:
    """Whether it is the Cast to an output of another floating-point type, which may round."""
    return any(is_float(t) and t.dtype is not None and np.dtype(t.dtype) != np.float32 for t in node.outputs)


def acts_entrywise(node: gs.Node, opsets: Opsets) -> bool:
    """Whether each entry of the output depends on the entries at the same place of what ``node`` reads, and on constants.

    Shapes must say so, and the operator itself: entries are changed at random places, and no others may change; where
    entries and constants are the same, so is what it makes of them (a Trilu knows places).
    """
    read = signals(node)
    if len(node.outputs) != 1 or not read or any(True for _ in node.subgraphs()):
        return False
    shapes = [tuple(t.shape) for t in (*read, *node.outputs) if t.shape is not None]
    if len(shapes) != len(read) + 1 or len(set(shapes)) > 1 or not shapes[0]:
        return False
    if any(t.dtype is None for t in read) or any(_is_large(t) for t in node.inputs):
        return False
    sizes = sample_of(read_by_place(node), shapes[0])
    if sizes is None:
        return False
    if of(node).elementwise:
        return True
    tried = [_SAMPLES, *(size if size > 1 else _ENTRIES for size in sizes)]
    read = list({id(t): t for t in read}.values())
    model = _alone(node, read, opsets).whole()
    types = tuple(_common(t).str for t in read)
    alike = (1, *sizes)
    return _tried(model.SerializeToString(deterministic=True), (tuple(tried), alike), types)


def read_by_place(node: gs.Node) -> list[gs.Tensor]:
    """What ``node`` reads but a list that it picks from, which may be as long as an axis and has nothing to do with it."""
    return [tensor for position, tensor in enumerate(node.inputs) if position != of(node).listed]


def sample_of(tensors: Iterable[gs.Tensor], shape: Sequence[int | str]) -> tuple[int, ...] | None:
    """Along which axes of a sample of ``shape`` (N, ...) constants among ``tensors`` differ; None if samples differ, too."""
    found = [1] * len(shape)
    for tensor in tensors:
        if is_parameter(tensor, shape):
            for axis, size in zip(range(-value_of(tensor).ndim, 0), value_of(tensor).shape, strict=True):
                found[axis] = max(found[axis], size)
    return tuple(found[1:]) if found[0] == 1 else None


def is_parameter(tensor: gs.Tensor, shape: Sequence[int | str]) -> bool:
    """Whether a constant may differ by place of a tensor of ``shape``: others are lists of values, bounds and the like."""
    if not is_constant(tensor) or tensor.is_empty() or not 0 < value_of(tensor).ndim <= len(shape):
        return False
    own = value_of(tensor).shape
    return value_of(tensor).size > 1 and all(
        size in (1, dim) for size, dim in zip(own, shape[len(shape) - len(own) :], strict=True)
    )


def _is_large(tensor: gs.Tensor) -> bool:
    if not is_constant(tensor) or tensor.is_empty():
        return False
    return value_of(tensor).size > (MAX_LIST if value_of(tensor).ndim == 1 else MAX_PARAMETERS)


def _alone(node: gs.Node, read: Sequence[gs.Tensor], opsets: Opsets) -> SplitModel:
    """``node`` between tensors of types that NumPy has."""
    copies: dict[int, gs.Tensor] = {}
    entrances: list[gs.Tensor] = []
    nodes: list[gs.Node] = []
    for i, tensor in enumerate(read):
        shape = [f"x{i}_{axis}" for axis in range(len(tensor.shape))]
        entrance: gs.Tensor = gs.Variable(f"x{i}", _common(tensor), shape)
        entrances.append(entrance)
        copies[id(tensor)] = entrance
        if np.dtype(tensor.dtype) != _common(tensor):
            copies[id(tensor)] = gs.Variable(f"x{i}/cast", tensor.dtype, shape)
            nodes.append(_cast(entrance, copies[id(tensor)]))
    nodes.append(copied(node, copies, "alone"))
    made = nodes[-1].outputs[0]
    result: gs.Tensor = gs.Variable("y", _common(made) if made.dtype is not None else None)
    if made.dtype is None or np.dtype(made.dtype) == _common(made):
        made.name, result = "y", made
    else:
        nodes.append(_cast(made, result))
    return to_split_model(gs.Graph(nodes, entrances, [result], name="alone", **opsets.of_graph()))


def _common(tensor: gs.Tensor) -> np.dtype[Any]:
    """The type of ``tensor``, or float32 in place of one that NumPy has not."""
    dtype: np.dtype[Any] = np.dtype(tensor.dtype)
    return dtype if dtype.isbuiltin == 1 else np.dtype(np.float32)


def _cast(one: gs.Tensor, other: gs.Tensor) -> gs.Node:
    to = int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(other.dtype)))
    return gs.Node("Cast", f"{other.name}/cast", {"to": to}, [one], [other])


def copied(node: gs.Node, copies: dict[int, gs.Tensor], suffix: str) -> gs.Node:
    """``node`` on ``copies`` of what it reads, by id; what it writes joins them. Constants, too, if there."""
    inputs: list[gs.Tensor] = []
    for position, tensor in enumerate(node.inputs):
        held = copies.get(id(tensor))
        if held is None and is_constant(tensor):
            held = gs.Constant(f"{node.name}/{position}#{suffix}", value_of(tensor))
        inputs.append(tensor if held is None else held)
    outputs = [gs.Variable(f"{t.name}#{suffix}", t.dtype) for t in node.outputs]
    copies.update((id(t), o) for t, o in zip(node.outputs, outputs, strict=True))
    name = f"{node.name}#{suffix}"
    return gs.Node(node.op, name, dict(node.attrs), inputs, outputs, domain=node.domain)


@functools.lru_cache(maxsize=512)
def _tried(model: bytes, shapes: tuple[tuple[int, ...], tuple[int, ...]], types: tuple[str, ...]) -> bool:
    """By drawn values of the first of the ``shapes``; of the second are those that constants tell apart."""
    shape, alike = shapes
    try:
        reference = Reference(split_model(onnx.ModelProto.FromString(model)))
        draws = [np.random.default_rng(seed) for seed in range(_TRIALS)]
        return all(
            _is_local(reference, shape, types, drawn) and _is_alike(reference, shape, alike, types, drawn)
            for drawn in draws
        )
    except Onnx2SnnError:
        return False


def _is_local(
    reference: Reference, shape: tuple[int, ...], types: tuple[str, ...], draws: np.random.Generator
) -> bool:
    one, other = ({f"x{i}": _drawn(shape, t, draws) for i, t in enumerate(types)} for _ in range(2))
    places = draws.random(shape) < 0.5
    mixed = {name: np.where(places, other[name], one[name]) for name in one}
    first, second, third = (reference.run(given)["y"] for given in (one, other, mixed))
    return first.shape == shape and np.array_equal(
        third, np.where(places, second, first), equal_nan=first.dtype.kind == "f"
    )


def _is_alike(
    reference: Reference,
    shape: tuple[int, ...],
    alike: tuple[int, ...],
    types: tuple[str, ...],
    draws: np.random.Generator,
) -> bool:
    """Whether equal entries are answered by equal ones, along every axis along which no constants differ."""
    given = {f"x{i}": np.broadcast_to(_drawn(alike, t, draws), shape) for i, t in enumerate(types)}
    result = reference.run({name: np.ascontiguousarray(value) for name, value in given.items()})["y"]
    one = result[tuple(slice(0, size) for size in alike)]
    return np.array_equal(result, np.broadcast_to(one, shape), equal_nan=result.dtype.kind == "f")


def _drawn(shape: tuple[int, ...], kind: str, draws: np.random.Generator) -> Array:
    dtype = np.dtype(kind)
    values: NDArray[Any] = (
        draws.uniform(0.05, 0.95, shape) if dtype.kind == "f" else draws.integers(0, 2, shape)
    )
    return values.astype(dtype)
