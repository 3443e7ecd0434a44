"""An Integrate wherever a train meets an operator that needs values."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import integrate_node, integrated
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import is_train
from onnx2snn.graph.build import Once
from onnx2snn.graph.core import Names, graph_pass, is_float
from onnx2snn.operators.linear import DOMAIN, SCALED_STAIRCASE, is_integrate, reads_sizes


@graph_pass
def insert_integrates(graph: gs.Graph) -> gs.Graph:
    """Integrate trains in front of every operator that is not linear (docs/architecture.md, "one rule").

        train ─▶ Softmax      becomes      train ─▶ Integrate(bias 0) ─▶ analog ─▶ Softmax

    1. The operator is not linear: each train that it reads is integrated first.
    2. It is linear, but reads trains beside analog values (a residual stream): the trains are integrated first.
    3. It decides a quotient whose numerator holding made a train (a product): both are potentials of its dendrite (METHOD 13).
    4. A train is an output of the network: it is integrated, and the output keeps its name.

    One Integrate serves all readers of a train. What reads its sizes alone reads the train.
    """
    names = Names(graph)
    kinds = facts(graph).kinds
    potential = Once[gs.Tensor, gs.Tensor](lambda train: integrated(graph, names, train))
    for node in list(graph.nodes):
        quotient = (node.domain, node.op) == (DOMAIN, SCALED_STAIRCASE)
        current = is_train(node.outputs[0], kinds) and not quotient
        if current or is_integrate(node) or reads_sizes(node):
            continue
        for position, tensor in enumerate(node.inputs):
            if is_train(tensor, kinds) and is_float(tensor):
                node.inputs[position] = potential(tensor)
    for output in list(graph.outputs):
        if is_train(output, kinds):
            _integrate_output(graph, names, output, potential.get(output))
    return graph


def _integrate_output(graph: gs.Graph, names: Names, output: gs.Tensor, shared: gs.Tensor | None) -> None:
    """Case 4: the train gets a name of its own, the integrated value takes the output's."""
    train = gs.Variable(names.fresh(f"{output.name}/current"), np.float32, output.shape)
    output.inputs[0].outputs = [train if t is output else t for t in output.inputs[0].outputs]
    for reader in list(output.outputs):
        reader.inputs = [train if t is output else t for t in reader.inputs]
    if shared is not None:
        graph.nodes.append(
            gs.Node(op="Identity", name=names.fresh(output.name), inputs=[shared], outputs=[output])
        )
    else:
        graph.nodes.append(integrate_node(names, train, output))
