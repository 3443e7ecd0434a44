"""Staircase nodes: how recognised activations stand in the graph between passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations import Staircase, Table, neuron_parameters, table_parameters
from onnx2snn.activations.rules import names_of
from onnx2snn.errors import ConversionError
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Names, is_constant, origin, value_of
from onnx2snn.operators.linear import DOMAIN, INTEGRATE, STAIRCASE, TABLE_STAIRCASE
from onnx2snn.remedies import SHAPES

#: Where a node keeps its :class:`Staircase`, in units of its present input; not exported.
PARAMETERS = "_onnx2snn_staircase"
#: The tensor of the normalised source that holds α·k + o, with the α and o of :data:`DECODING`.
SOURCE_TENSOR = "_onnx2snn_source_tensor"
#: On a maximum of potentials that has a neuron behind it; it stays where it is.
POOLED = "_onnx2snn_pooled"
#: What shows its level where no tensor of the source holds α·k + o: a :class:`Reading`.
READING = "_onnx2snn_reading"
#: Whether its activation divides by θ in front of a rounding: a quotient of whole numbers decides as an exact one does.
DIVIDES_WHOLE = "_onnx2snn_divides_whole"
#: Names of the user's nodes that decide its level; missing where those are all of its origin.
DECIDED_BY = "_onnx2snn_decided_by"
#: On the difference of two neurons' levels on one potential: the least and the most that it is, by channel.
EXTENT = "_onnx2snn_extent"
#: The staircase as recognised, in units of the source.
SOURCE = "_onnx2snn_source"


@dataclass(frozen=True)
class Reading:
    """A tensor of the normalised source that decides the level of a neuron.

    Attributes:
        tensor: Its name.
        levels: It holds those of this staircase, and the neuron's level is a function of them; None: it is the potential.
        sum: Of a potential that several neurons share, the tensor of the source that holds the sum of their levels,
        total: and that sum as a level, counted from the lowest that there may be.
    """

    tensor: str
    levels: Staircase | None
    sum: str = ""
    total: Staircase | None = None


def parameters(node: gs.Node) -> Staircase | Table:
    """What ``node`` computes, in units of its input."""
    found: Staircase | Table = node.attrs[PARAMETERS]
    return found


def staircase_of(node: gs.Node) -> Staircase | None:
    """The uniform staircase that ``node`` computes; None where it computes a table, or is no neuron."""
    found = node.attrs.get(PARAMETERS)
    return found if isinstance(found, Staircase) else None


def staircase_node(
    names: Names,
    staircase: Staircase | Table,
    pre_activation: gs.Tensor,
    *,
    name: str,
    origin: list[str],
    source: str,
) -> gs.Node:
    """A new ``Staircase`` or ``TableStaircase`` node: pre-activation (N, ...) → level (N, ...), both float32."""
    level = gs.Variable(names.fresh(f"{source}/level"), np.float32, list(pre_activation.shape))
    op = TABLE_STAIRCASE if isinstance(staircase, Table) else STAIRCASE
    node = gs.Node(op=op, name=names.fresh(name), domain=DOMAIN, outputs=[level])
    node.attrs.update({ORIGIN: origin, SOURCE_TENSOR: source, SOURCE: staircase})
    node.inputs = [pre_activation]
    set_parameters(names, node, staircase)
    return node


def set_parameters(
    names: Names,
    node: gs.Node,
    staircase: Staircase | Table,
    *,
    timesteps: int | None = None,
    bias: Any = None,
) -> None:
    """Make ``node`` compute ``staircase`` in ``timesteps``, or what it needs; ``bias``, values or a tensor, is its offset."""
    steps = timesteps or staircase.timesteps
    computed = isinstance(bias, gs.Tensor)
    first = np.atleast_1d(np.asarray(staircase.offset if bias is None or computed else bias, np.float32))
    node.attrs[PARAMETERS] = staircase
    node.attrs["timesteps"] = steps
    node.attrs["levels"] = staircase.levels
    columns: dict[str, Any]
    if isinstance(staircase, Table):
        table = table_parameters(staircase, steps)
        columns = {"thresholds": table.thresholds, "rows": table.rows}
    else:
        held = neuron_parameters(staircase, steps)
        node.attrs["rounding"] = names_of(staircase.rounding)
        node.attrs["unit"] = int(np.all(held.subtract[-1] == 1))
        columns = {"compare": held.compare, "subtract": held.subtract, "ceiling": np.atleast_1d(held.ceiling)}
    tensors = [make_constant(names, f"{node.name}/{key}", v) for key, v in {"bias": first, **columns}.items()]
    node.inputs = [node.inputs[0], *tensors, *node.inputs[5:]]
    if computed:
        node.inputs[1] = bias


def scaled_bias(graph: gs.Graph, names: Names, node: gs.Node, factor: NDArray[np.float64]) -> Any:
    """The bias of ``node`` times ``factor``, shaped as one sample: values in float64, or a tensor if the graph computes it."""
    bias = node.inputs[1]
    if is_constant(bias):
        return value_of(bias).astype(np.float64) * factor
    out = gs.Variable(names.fresh(f"{bias.name}/scaled"), np.float32, list(bias.shape))
    held = make_constant(names, f"{bias.name}/factor", np.atleast_1d(factor.astype(np.float32)))
    graph.nodes.append(gs.Node(op="Mul", name=names.fresh(out.name), inputs=[bias, held], outputs=[out]))
    return out


def give_unit_threshold(graph: gs.Graph, names: Names, node: gs.Node, factor: NDArray[np.float64]) -> None:
    """θ becomes 1, for a potential that was multiplied by ``factor``, 1/θ shaped as one sample."""
    staircase = parameters(node)
    bias = scaled_bias(graph, names, node, factor)
    unit, offset = np.ones_like(staircase.threshold), staircase.offset / staircase.threshold
    set_parameters(names, node, replace(staircase, threshold=unit, offset=offset), bias=bias)


def scale_potential(graph: gs.Graph, names: Names, node: gs.Node, factor: NDArray[np.float64]) -> None:
    """Thresholds for a potential that was multiplied by ``factor``, shaped as one sample."""
    staircase = parameters(node)
    bias = scaled_bias(graph, names, node, factor)
    threshold, offset = staircase.threshold * factor, staircase.offset * factor
    set_parameters(names, node, replace(staircase, threshold=threshold, offset=offset), bias=bias)


def integrate_node(names: Names, train: gs.Tensor, output: gs.Tensor) -> gs.Node:
    """A new ``Integrate`` node without a bias: train (T·N, ...) → value (N, ...)."""
    bias = make_constant(names, f"{output.name}/bias", np.zeros(1, np.float32))
    node = gs.Node(op=INTEGRATE, name=names.fresh(f"{train.name}/integrate"), domain=DOMAIN)
    node.attrs.update({"input_steps": 1, ORIGIN: [name for p in train.inputs for name in origin(p)]})
    node.inputs, node.outputs = [train, bias], [output]
    return node


def integrated(graph: gs.Graph, names: Names, train: gs.Tensor) -> gs.Tensor:
    """The value of ``train``, by an ``Integrate`` of its own.

    Raises:
        ConversionError: its shape is not known.
    """
    if train.shape is None:
        made = train.inputs[0]
        raise ConversionError(
            "the shape of what it makes is not known",
            node=next(iter(origin(made)), made.name),
            operator=made.op,
            remedy=SHAPES,
        )
    value = gs.Variable(names.fresh(f"{train.name}/potential"), np.float32, list(train.shape))
    graph.nodes.append(integrate_node(names, train, value))
    return value
