"""What a network answers without spikes: A(0), the constant part of the affine map between neurons (METHOD 4)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.float64 import streamed
from onnx2snn.graph.core import Array, is_constant, tidy, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.operators import of
from onnx2snn.operators.linear import ROWS, is_neuron


def is_static(tensor: gs.Tensor) -> bool:
    """Whether all sizes of a sample are known."""
    return tensor.shape is not None and all(isinstance(s, (int, np.integer)) for s in tensor.shape[1:])


def answers_to_silence(graph: gs.Graph, wanted: list[str], quiet: set[int]) -> dict[str, Array]:
    """A(0), (1, ...) in float64, of each train in ``wanted``, by name; trains in ``quiet`` (by ``id``) answer nothing."""
    silent = graph.copy()
    tensors = silent.tensors()
    wanted = list(dict.fromkeys(wanted))
    none = {t.name for node in graph.nodes for t in node.outputs if id(t) in quiet}
    for node in list(silent.nodes):
        if is_neuron(node) or node.outputs[0].name in none:
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
        if tensor.inputs and not is_neuron(tensor.inputs[0]) and name not in none:
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
        bias = _answer_to_zeros(node) if is_static(made) else None
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
