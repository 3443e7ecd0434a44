"""Networks cut at their neurons: what lies between one layer of neurons and the layers before it, as a model of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.activations.neuron_nodes import SOURCE_TENSOR
from onnx2snn.dialect.functions import DOMAIN, NEURONS, SCALED_IF
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.nodes import needed
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.linear import is_neuron

#: The output of a cut.
POTENTIAL = "onnx2snn/potential"


@dataclass(frozen=True)
class CutNetwork:
    """A network without its neurons: their levels are inputs.

    Attributes:
        model: Standard operators alone; nodes in topological order; large weights apart.
        potentials: By neuron layer, the tensor (N, ...) that its neurons compare with thresholds.
        levels: By neuron layer, the tensor of its levels (N, ...), which nothing writes any more.
        rows: By layer or output, the shape of one sample (S, ...) where S rows belong to it: (N·S, ...) is (N, S, ...) outside;
            an output that all samples make is (1, S, ...).
        joint: These outputs.
    """

    model: SplitModel
    potentials: Mapping[str, str]
    levels: Mapping[str, str]
    rows: dict[str, tuple[int, ...]] = field(default_factory=dict)
    joint: set[str] = field(default_factory=set)

    def layers_before(self, tensor: str) -> tuple[str, ...]:
        """The layers whose levels reach ``tensor`` without passing another layer."""
        given = {name: layer for layer, name in self.levels.items()}
        nodes = needed(self.model.structure.graph.node, [tensor], given)
        read = {tensor, *(name for node in nodes for name in names_read(node))}
        return tuple(layer for name, layer in given.items() if name in read)

    def by_samples(self, tensor: str) -> bool:
        """Whether ``tensor`` has rows of each sample: potentials have, and outputs that :attr:`joint` does not name."""
        return tensor not in self.joint

    def before(self, tensor: str) -> SplitModel:
        """The operators between ``tensor`` and the levels and network inputs it depends on; ``tensor`` as ``POTENTIAL``.

        Inputs are named as network inputs are, and ``level/<layer>``; only those that are read are there.
        """
        graph = self.model.structure.graph
        given = {name: f"level/{layer}" for layer, name in self.levels.items()}
        nodes = needed(graph.node, [tensor], given)
        read = {tensor, *(name for node in nodes for name in names_read(node))}
        piece = onnx.GraphProto(name="before")
        for name in sorted(read & set(given)):
            piece.input.append(helper.make_tensor_value_info(given[name], TensorProto.FLOAT, None))
            layer = given[name].removeprefix("level/")
            if layer in self.rows:
                piece.node.append(_reshaped(piece, given[name], name, (-1, *self.rows[layer][1:])))
            else:
                piece.node.append(helper.make_node("Identity", [given[name]], [name]))
        piece.node.extend(nodes)
        owner = next((layer for layer, name in self.potentials.items() if name == tensor), tensor)
        last = f"{tensor}/by-sample" if owner in self.rows else tensor
        if last != tensor and tensor in self.joint:  # of any number of samples, along whichever axis
            piece.initializer.append(numpy_helper.from_array(np.array([0]), f"{last}/axis"))
            piece.node.append(helper.make_node("Unsqueeze", [tensor, f"{last}/axis"], [last]))
        elif last != tensor:
            piece.node.append(_reshaped(piece, tensor, last, (-1, *self.rows[owner])))
        piece.node.extend(_as_potential(graph, tensor, last))
        piece.input.extend(value for value in graph.input if value.name in read)
        piece.initializer.extend(t for t in graph.initializer if t.name in read)
        piece.value_info.extend(v for v in graph.value_info if v.name in read and v.name not in given)
        piece.output.append(helper.make_tensor_value_info(POTENTIAL, TensorProto.FLOAT, None))
        return self.part(piece)

    def part(self, graph: onnx.GraphProto) -> SplitModel:
        """A piece of the network as a model, with those of its weights that it holds."""
        whole = self.model.structure
        model = helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
        held = {tensor.name for tensor in graph.initializer}
        return SplitModel(model, {name: w for name, w in self.model.weights.items() if name in held})


def _reshaped(piece: onnx.GraphProto, source: str, target: str, shape: tuple[int, ...]) -> onnx.NodeProto:
    """``source`` in ``shape``."""
    piece.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), f"{target}/rows"))
    return helper.make_node("Reshape", [source, f"{target}/rows"], [target])


def _as_potential(graph: onnx.GraphProto, tensor: str, read: str) -> list[onnx.NodeProto]:
    """``read``, which has the type of ``tensor``, as ``POTENTIAL`` in float32: class labels of scikit-learn are integers.

    Text is nothing at each place: it is the same, or it is not.
    """
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    held = types.get(tensor, TensorProto.FLOAT)
    if held == TensorProto.FLOAT:
        return [helper.make_node("Identity", [read], [POTENTIAL])]
    if held == TensorProto.STRING:
        sizes = f"{read}/sizes"
        return [
            helper.make_node("Shape", [read], [sizes]),
            helper.make_node("ConstantOfShape", [sizes], [POTENTIAL]),
        ]
    return [helper.make_node("Cast", [read], [POTENTIAL], to=TensorProto.FLOAT)]


def cut_source(levels: gs.Graph) -> CutNetwork:
    """Cut a graph whose activations are Staircase nodes; layers are named by the source's tensors."""
    potentials, tensors = {}, {}
    for node in levels.nodes:
        if is_neuron(node):
            name = node.attrs[SOURCE_TENSOR]
            potentials[name], tensors[name] = node.inputs[0].name, node.outputs[0].name
    model = to_split_model(levels)
    graph = model.structure.graph
    kept = [node for node in graph.node if node.domain != DOMAIN]
    del graph.node[:]
    graph.node.extend(kept)
    return CutNetwork(model, potentials, tensors)


def cut_spiking(converted: SplitModel, layers: Mapping[str, str], *, bias: str) -> CutNetwork:
    """Cut a converted network, on levels in place of trains: its synapses are linear, so they need not know.

    Args:
        converted: The spiking network.
        layers: By IF node, the layer's name in the result.
        bias: The form in which it stores biases: ``per-step`` and ``paper`` store a share of them (METHOD 4).
    """
    light = onnx.ModelProto()
    light.CopyFrom(converted.structure)
    del light.functions[:], light.metadata_props[:], light.graph.node[:]
    potentials, levels = {}, {}
    for node in converted.structure.graph.node:
        if node.domain != DOMAIN:
            light.graph.node.append(node)
            continue
        if node.op_type == "Hold":
            light.graph.node.append(helper.make_node("Identity", node.input, node.output))
            continue
        steps = next(a.i for a in node.attribute if a.name == "input_steps")
        share = {"once": 1, "per-step": 2**steps - 1, "paper": steps}[bias]
        target = node.output[0] if node.op_type == "Integrate" else f"{node.output[0]}/potential"
        factor, whole = f"{target}/cut/share", f"{target}/cut/bias"
        if share == 1:
            whole = node.input[1]
        else:
            light.graph.initializer.append(numpy_helper.from_array(np.array(share, np.float32), factor))
            light.graph.node.append(helper.make_node("Mul", [node.input[1], factor], [whole]))
        if node.op_type == SCALED_IF:
            light.graph.node.append(
                helper.make_node("Div", [node.input[0], node.input[5]], [f"{target}/cut/quotient"])
            )
        read = f"{target}/cut/quotient" if node.op_type == SCALED_IF else node.input[0]
        light.graph.node.append(helper.make_node("Add", [read, whole], [target]))
        if node.op_type in NEURONS:
            potentials[layers[node.name]], levels[layers[node.name]] = target, node.output[0]
    return CutNetwork(SplitModel(light, converted.weights), potentials, levels)
