"""The bias shift, as one evaluation (METHOD 4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.silence import answers_to_silence, is_static
from onnx2snn.analysis.trains import Kind, is_train
from onnx2snn.errors import ConversionError
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    origin,
    signals,
    value_of,
)
from onnx2snn.graph.walks import values_forward
from onnx2snn.operators import of
from onnx2snn.operators.linear import (
    float_signals,
    is_integrate,
    is_neuron,
    is_product,
    is_weighted,
)
from onnx2snn.passes.rewrite.twins import Twins
from onnx2snn.remedies import ROWS_APART


@graph_pass
def shift_biases(graph: gs.Graph) -> gs.Graph:
    """Move the constant part of every train into the bias of the neuron, or Integrate, that it reaches.

        k ─▶ Conv(W, b) ─▶ Add c ─▶ Staircase(bias δ)     becomes     k ─▶ Conv(W) ─▶ Staircase(bias δ + A(0))

    What lies between neurons is an affine map A of the levels. A(0) is its answer to no spikes: one evaluation of the
    whole graph, with zeros for all levels, gives it for every neuron at once, near padded borders as they are.

    1. Spatial sizes are known: A(0) is evaluated here and kept as one value a channel, where channels are uniform.
    2. They are not: the same operators stay in the graph, on zeros of batch one, and feed the bias.
    3. A(0) depends on the sample, where a held potential meets a train that is not zero without spikes (METHOD 12), or an
       analog value is added to a train or joined to it: the operators behind stay in the graph, on A(0) of what lies before
       them, and feed the bias.
    """
    names = Names(graph)
    kinds = facts(graph).kinds
    sinks = [n for n in graph.nodes if (is_neuron(n) or is_integrate(n)) and is_train(n.inputs[0], kinds)]
    if not sinks:
        return graph
    if all(is_static(n.outputs[0]) for n in graph.nodes if is_neuron(n)):
        _evaluate(graph, names, sinks, kinds)
    else:
        _keep_evaluation(graph, names, sinks, kinds)
    for node in list(graph.nodes):
        if kinds.get(id(node.outputs[0])) is Kind.TRAIN and not is_neuron(node):
            _drop_constant_part(names, node)
            _drop_analog_part(graph, names, node, kinds)
    return graph


def _evaluate(graph: gs.Graph, names: Names, sinks: list[gs.Node], kinds: dict[int, Kind]) -> None:
    """Cases 1 and 3."""
    moved = _moved(graph, kinds)
    behind = [n for n in graph.nodes if any(id(t) in moved for t in n.outputs)]
    read = [t for n in (*sinks, *behind) for t in n.inputs if is_train(t, kinds) and id(t) not in moved]
    constants = answers_to_silence(graph, [t.name for t in read], _silent_products(graph, kinds, moved))
    twins = Twins(graph, names)
    for train in read:
        twins.know(train, constants[train.name])
    for node in behind:
        twins.write(node)
    for node in sinks:
        if id(node.inputs[0]) in moved:
            _add_computed(graph, names, node, twins.answer(node.inputs[0]))
        else:
            _add_to_bias(names, node, constants[node.inputs[0].name])


def _moved(graph: gs.Graph, kinds: dict[int, Kind]) -> set[int]:
    """The trains, by ``id``, whose answer to no spikes depends on the sample.

    A product is silent where its train is: so trains that products read are evaluated, products by products in their order.
    """
    products: dict[int, bool] = {}
    while True:
        moved, waiting = _moved_by(graph, kinds, products)
        if not waiting:
            return moved
        silent = {product for product, answers in products.items() if not answers}
        found = answers_to_silence(graph, [train.name for train in waiting.values()], silent)
        products |= {product: bool(np.any(found[train.name])) for product, train in waiting.items()}


def _moved_by(
    graph: gs.Graph, kinds: dict[int, Kind], products: Mapping[int, bool]
) -> tuple[set[int], dict[int, gs.Tensor]]:
    """As :func:`_moved`, as far as ``products`` tell what answers something; and by result, the trains of those to ask next."""
    waiting: dict[int, gs.Tensor] = {}

    def is_moved(node: gs.Node, read: list[bool | None]) -> bool | None:
        """False where it is not known yet; None of what is not moved, or no current."""
        made = id(node.outputs[0])
        if kinds.get(made) is not Kind.TRAIN or is_neuron(node):
            return None
        joined = any(kinds.get(id(t), Kind.ANALOG) is Kind.ANALOG for t in float_signals(node))
        if joined or True in read or products.get(made):
            return True
        if is_product(node) and False not in read and made not in products:
            waiting[made] = next(t for t in signals(node) if is_train(t, kinds))
        return False if False in read or made in waiting else None

    told = values_forward(graph.nodes, is_moved, {})
    return {tensor for tensor, moved in told.items() if moved}, waiting


def _silent_products(graph: gs.Graph, kinds: dict[int, Kind], moved: set[int]) -> set[int]:
    """Products, by the ``id`` of their result, that answer nothing to no spikes."""
    made = {id(node.outputs[0]) for node in graph.nodes if is_product(node)}
    return {key for key in made if kinds.get(key) is Kind.TRAIN and key not in moved}


def _add_computed(graph: gs.Graph, names: Names, node: gs.Node, answer: gs.Tensor) -> None:
    total = gs.Variable(names.fresh(f"{node.name}/bias_total"), np.float32, list(answer.shape))
    added = [answer, node.inputs[1]]
    graph.nodes.append(
        gs.Node(op="Add", name=names.fresh(f"{node.name}/bias_sum"), inputs=added, outputs=[total])
    )
    node.inputs[1] = total


def collapsed(values: Array) -> Array:
    """``values`` of one sample, (1, ...) or equal rows, without the batch axis, and with size 1 where nothing changes."""
    result = values[0] if values.ndim > 1 else values
    for axis in range(result.ndim):
        first = np.take(result, [0], axis=axis)
        if np.array_equal(np.broadcast_to(first, result.shape), result):
            result = first
    while result.ndim > 1 and result.shape[0] == 1:
        result = result[0]
    return np.atleast_1d(result)


def _add_to_bias(names: Names, node: gs.Node, constant: Array) -> None:
    if not np.any(constant):
        return
    if constant.ndim > 1 and np.any(constant != constant[:1]):
        raise ConversionError(
            "the bias of this neuron differs between the rows of a sample that are folded into the batch",
            node=next(iter(origin(node)), node.name),
            operator=node.op,
            remedy=ROWS_APART,
        )
    total = (value_of(node.inputs[1]).astype(np.float64) + constant).astype(np.float32)
    node.inputs[1] = make_constant(names, f"{node.name}/bias", collapsed(total))


def _keep_evaluation(graph: gs.Graph, names: Names, sinks: list[gs.Node], kinds: dict[int, Kind]) -> None:
    """Case 2: copy the operators between neurons, and run them on one silent sample."""
    twins = Twins(graph, names)
    for node in list(graph.nodes):
        if kinds.get(id(node.outputs[0])) is not Kind.TRAIN:
            continue
        if is_neuron(node):
            twins.silence(node)
        else:
            twins.write(node)
    for node in sinks:
        _add_computed(graph, names, node, twins.answer(node.inputs[0]))


def _drop_constant_part(names: Names, node: gs.Node) -> None:
    """Make a linear operator of an affine one: its answer to zeros becomes zero."""
    terms, fill = of(node).terms, of(node).fill
    if is_weighted(node):
        node.inputs = list(node.inputs[:2])
    for position in [] if terms is None else terms(node):
        values = constant_input(node, position)
        if values is not None and np.any(values):
            node.inputs[position] = make_constant(names, node.inputs[position].name, np.zeros_like(values))
    if fill is not None:
        node.attrs.pop(fill, None)


def _drop_analog_part(graph: gs.Graph, names: Names, node: gs.Node, kinds: dict[int, Kind]) -> None:
    """Take analog values off a sum, or what is joined: they are part of the bias behind."""
    analog = [not is_constant(t) and not is_train(t, kinds) for t in node.inputs]
    if any(analog) and (of(node).sums or of(node).joins):
        _take_off(graph, names, node, analog)


def _take_off(graph: gs.Graph, names: Names, node: gs.Node, analog: list[bool]) -> None:
    """Leave the trains: a sum of them, or side by side, with silent places where analog values stood."""
    trains = [t for t, other in zip(node.inputs, analog, strict=True) if not other]
    if of(node).joins:
        axis = int(node.attrs["axis"]) % len(node.outputs[0].shape)
        sizes = [int(t.shape[axis]) if other else 0 for t, other in zip(node.inputs, analog, strict=True)]
        trains = _beside_silence(graph, names, node, sizes, analog)
    negative = any(not analog[i] for i in of(node).subtracts)
    if len(trains) == 1:
        node.op, node.attrs = "Neg" if negative else "Identity", {ORIGIN: origin(node)}
    node.inputs = trains


def _beside_silence(
    graph: gs.Graph, names: Names, node: gs.Node, sizes: list[int], analog: list[bool]
) -> list[gs.Tensor]:
    """The joined trains, padded with zeros by the ``sizes`` of what stood beside each."""
    axis, rank = int(node.attrs["axis"]) % len(node.outputs[0].shape), len(node.outputs[0].shape)
    places = [i for i, other in enumerate(analog) if not other]
    found = []
    for number, place in enumerate(places):
        end = places[number + 1] if number + 1 < len(places) else len(sizes)
        before, after = (sum(sizes[:place]) if number == 0 else 0), sum(sizes[place:end])
        train = node.inputs[place]
        if before or after:
            pads = np.zeros(2 * rank, np.int64)
            pads[axis], pads[rank + axis] = before, after
            shape = list(train.shape)
            if isinstance(shape[axis], (int, np.integer)):
                shape[axis] += before + after
            out = gs.Variable(names.fresh(f"{train.name}/beside"), np.float32, shape)
            amounts = make_constant(names, f"{out.name}/pads", pads)
            pad = gs.Node(op="Pad", name=names.fresh(out.name), inputs=[train, amounts], outputs=[out])
            pad.attrs[ORIGIN] = origin(node)
            graph.nodes.append(pad)
            train = out
        found.append(train)
    return found
