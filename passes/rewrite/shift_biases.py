"""The bias shift, as one evaluation (METHOD 4)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import Kind, is_train
from onnx2snn.errors import ConversionError
from onnx2snn.float64 import streamed
from onnx2snn.graph.core import Array, Names, constant_input, graph_pass, is_constant, origin, tidy, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.graph.neuron_nodes import make_constant
from onnx2snn.operators import of
from onnx2snn.operators.linear import ROWS, is_integrate, is_neuron, is_weighted
from onnx2snn.remedies import ROWS_APART


@graph_pass
def shift_biases(graph: gs.Graph) -> gs.Graph:
    """Move the constant part of every train into the bias of the neuron, or Integrate, that it reaches.

        k ─▶ Conv(W, b) ─▶ Add c ─▶ Staircase(bias δ)     becomes     k ─▶ Conv(W) ─▶ Staircase(bias δ + A(0))

    What lies between neurons is an affine map A of the levels. A(0) is its answer to no spikes: one evaluation of the
    whole graph, with zeros for all levels, gives it for every neuron at once, near padded borders as they are.

    1. Spatial sizes are known: A(0) is evaluated here and kept as one value a channel, where channels are uniform.
    2. They are not: the same operators stay in the graph, on zeros of batch one, and feed the bias.
    """
    names = Names(graph)
    kinds = facts(graph).kinds
    sinks = [n for n in graph.nodes if (is_neuron(n) or is_integrate(n)) and is_train(n.inputs[0], kinds)]
    if not sinks:
        return graph
    sources = [n for n in graph.nodes if is_neuron(n)]
    if all(_is_static(n.outputs[0]) for n in sources):
        constants = _answers_to_silence(graph, sinks)
        for node in sinks:
            _add_to_bias(names, node, constants[node.inputs[0].name])
    else:
        _keep_evaluation(graph, names, sinks, kinds)
    for node in list(graph.nodes):
        if kinds.get(id(node.outputs[0])) is Kind.TRAIN and not is_neuron(node):
            _drop_constant_part(names, node)
    return graph


def _is_static(tensor: gs.Tensor) -> bool:
    return tensor.shape is not None and all(isinstance(s, (int, np.integer)) for s in tensor.shape[1:])


def _answers_to_silence(graph: gs.Graph, sinks: list[gs.Node]) -> dict[str, Array]:
    """A(0), (1, ...) in float64, for the train that each of ``sinks`` reads, by the train's name."""
    silent = graph.copy()
    tensors = silent.tensors()
    wanted = list(dict.fromkeys(node.inputs[0].name for node in sinks))
    for node in list(silent.nodes):
        if is_neuron(node):
            level = node.outputs[0]
            zeros = gs.Constant(
                f"{level.name}/silent", np.zeros([node.attrs.get(ROWS, 1), *level.shape[1:]], np.float32)
            )
            for reader in list(level.outputs):
                reader.inputs = [zeros if t is level else t for t in reader.inputs]
    _silence_synapses(silent)
    silent.inputs = []
    silent.outputs = []
    for name in wanted:
        tensor = tensors[name]
        if tensor.inputs and not is_neuron(tensor.inputs[0]):
            silent.outputs.append(tensor)
    answers = streamed(to_split_model(tidy(silent))) if silent.outputs else {}
    return {name: answers.get(name, np.zeros(1)) for name in wanted}


def _silence_synapses(graph: gs.Graph) -> None:
    """Weights answer nothing but their bias to silence: they need not be there, and most of a network is weights.

    0 ─▶ Conv(W, b) ─▶ y      becomes      b ─▶ Expand ─▶ y
    """
    quiet: set[int] = set()
    for node in graph.nodes:
        first = node.inputs[0] if node.inputs else None
        zero = first is not None and (
            id(first) in quiet or (is_constant(first) and not node.domain and first.name.endswith("/silent"))
        )
        if not zero or node.domain or not all(is_constant(t) for t in node.inputs[1:]):
            continue
        made = node.outputs[0]
        bias = _answer_to_zeros(node) if _is_static(made) else None
        if of(node).silent:
            quiet.update(id(t) for t in node.outputs)
        elif bias is not None:
            shape = np.array([node.attrs.get(ROWS, 1), *made.shape[1:]], np.int64)
            held = {"bias": bias, "shape": shape}
            node.op, node.attrs = "Expand", {}
            node.inputs = [gs.Constant(f"{made.name}/silent_{key}", values) for key, values in held.items()]
            if not np.any(bias):
                quiet.add(id(made))


def _answer_to_zeros(node: gs.Node) -> Array | None:
    """What a layer of synapses answers to zeros, up to broadcasting; None of another operator."""
    weights = of(node).weights
    if weights is None or node.attrs.get("beta", 1.0) != 1.0:
        return None
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return np.zeros(1, np.float32)
    bias = value_of(node.inputs[2])
    if bias.ndim > 1:
        return bias if len(bias) == 1 else None
    return bias if weights.channels == -1 else bias.reshape(1, -1, *(1,) * (len(node.outputs[0].shape) - 2))


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
    copies: dict[int, gs.Tensor] = {}
    for node in list(graph.nodes):
        if kinds.get(id(node.outputs[0])) is not Kind.TRAIN:
            continue
        if is_neuron(node):
            copies[id(node.outputs[0])] = _silent(graph, names, node)
            continue
        outputs = [
            gs.Variable(names.fresh(f"{t.name}/silent"), t.dtype, [1, *t.shape[1:]]) for t in node.outputs
        ]
        inputs = [_private(names, copies.get(id(t), t)) for t in node.inputs]
        attrs = dict(node.attrs)
        graph.nodes.append(
            gs.Node(
                op=node.op,
                name=names.fresh(f"{node.name}/silent"),
                attrs=attrs,
                inputs=inputs,
                outputs=outputs,
            )
        )
        copies.update((id(t), o) for t, o in zip(node.outputs, outputs, strict=True))
    for node in sinks:
        total = gs.Variable(
            names.fresh(f"{node.name}/bias_total"), np.float32, [1, *node.inputs[0].shape[1:]]
        )
        added = [copies[id(node.inputs[0])], node.inputs[1]]
        graph.nodes.append(
            gs.Node(op="Add", name=names.fresh(f"{node.name}/bias_sum"), inputs=added, outputs=[total])
        )
        node.inputs[1] = total


def _private(names: Names, tensor: gs.Tensor) -> gs.Tensor:
    return make_constant(names, tensor.name, value_of(tensor)) if is_constant(tensor) else tensor


def _silent(graph: gs.Graph, names: Names, neuron: gs.Node) -> gs.Tensor:
    """Zeros (1, ...) of the size of one sample of a neuron's level: they depend on its size alone, never on a spike."""
    level, rows = neuron.outputs[0], neuron.attrs.get(ROWS, 1)
    sizes = gs.Variable(names.fresh(f"{level.name}/sizes"), np.int64, [len(level.shape) - 1])
    shape = gs.Variable(names.fresh(f"{level.name}/one_sample"), np.int64, [len(level.shape)])
    zeros = gs.Variable(names.fresh(f"{level.name}/zeros"), np.float32, [1, *level.shape[1:]])
    one = make_constant(names, f"{level.name}/one", np.array([rows], np.int64))
    for op, attrs, read, made in (
        ("Shape", {"start": 1}, [level], sizes),
        ("Concat", {"axis": 0}, [one, sizes], shape),
        ("ConstantOfShape", {}, [shape], zeros),
    ):
        graph.nodes.append(
            gs.Node(op=op, name=names.fresh(made.name), attrs=attrs, inputs=read, outputs=[made])
        )
    return zeros


def _drop_constant_part(names: Names, node: gs.Node) -> None:
    """Make a linear operator of an affine one: its answer to zeros becomes zero."""
    terms = of(node).terms
    if is_weighted(node):
        node.inputs = list(node.inputs[:2])
    for position in [] if terms is None else terms(node):
        values = constant_input(node, position)
        if values is not None and np.any(values):
            node.inputs[position] = make_constant(names, node.inputs[position].name, np.zeros_like(values))
    node.attrs.pop("extrapolation_value", None)
