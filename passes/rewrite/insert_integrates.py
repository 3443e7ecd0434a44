"""An Integrate wherever a train meets an operator that needs values."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.trains import Kind, is_train, node_kind
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_float, origin
from onnx2snn.graph.neuron_nodes import make_constant
from onnx2snn.operators.linear import DOMAIN, INTEGRATE, is_integrate, reads_sizes
from onnx2snn.remedies import SHAPES


@graph_pass
def insert_integrates(graph: gs.Graph) -> gs.Graph:
    """Integrate trains in front of every operator that is not linear (docs/architecture.md, "one rule").

        train ─▶ Softmax      becomes      train ─▶ Integrate(bias 0) ─▶ analog ─▶ Softmax

    1. The operator is not linear: each train that it reads is integrated first.
    2. It is linear, but reads trains beside analog values (a residual stream): the trains are integrated first.
    3. A train is an output of the network: it is integrated, and the output keeps its name.

    One Integrate serves all readers of a train. What reads its sizes alone reads the train.
    """
    names = Names(graph)
    kinds: dict[int, Kind] = {}
    made: dict[int, gs.Tensor] = {}
    for node in list(graph.nodes):
        kind = node_kind(node, kinds)
        kinds.update((id(tensor), kind) for tensor in node.outputs)
        if kind is Kind.TRAIN or is_integrate(node) or reads_sizes(node):
            continue
        for position, tensor in enumerate(node.inputs):
            if is_train(tensor, kinds) and is_float(tensor):
                if id(tensor) not in made:
                    made[id(tensor)] = _integrated(graph, names, tensor)
                node.inputs[position] = made[id(tensor)]
    for output in list(graph.outputs):
        if is_train(output, kinds):
            _integrate_output(graph, names, output, made.get(id(output)))
    return graph


def _node(names: Names, train: gs.Tensor, output: gs.Tensor) -> gs.Node:
    bias = make_constant(names, f"{output.name}/bias", np.zeros(1, np.float32))
    node = gs.Node(op=INTEGRATE, name=names.fresh(f"{train.name}/integrate"), domain=DOMAIN)
    node.attrs.update({"input_steps": 1, ORIGIN: [name for p in train.inputs for name in origin(p)]})
    node.inputs, node.outputs = [train, bias], [output]
    return node


def _integrated(graph: gs.Graph, names: Names, train: gs.Tensor) -> gs.Tensor:
    if train.shape is None:
        made = train.inputs[0]
        raise ConversionError(
            "the shape of what it makes is not known",
            node=next(iter(origin(made)), made.name),
            operator=made.op,
            remedy=SHAPES,
        )
    value = gs.Variable(names.fresh(f"{train.name}/potential"), np.float32, list(train.shape))
    graph.nodes.append(_node(names, train, value))
    return value


def _integrate_output(graph: gs.Graph, names: Names, output: gs.Tensor, shared: gs.Tensor | None) -> None:
    """Case 3: the train gets a name of its own, the integrated value takes the output's."""
    train = gs.Variable(names.fresh(f"{output.name}/current"), np.float32, output.shape)
    output.inputs[0].outputs = [train if t is output else t for t in output.inputs[0].outputs]
    for reader in list(output.outputs):
        reader.inputs = [train if t is output else t for t in reader.inputs]
    if shared is not None:
        graph.nodes.append(
            gs.Node(op="Identity", name=names.fresh(output.name), inputs=[shared], outputs=[output])
        )
    else:
        graph.nodes.append(_node(names, train, output))
