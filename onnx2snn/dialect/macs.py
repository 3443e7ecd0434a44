"""Multiply-accumulates of a network: what its ANN spends (METHOD 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx

from onnx2snn.dialect.functions import DOMAIN, NEURONS
from onnx2snn.dialect.layer_table import Layer
from onnx2snn.model.reference import sampled_tensors
from onnx2snn.operators import of


def dense_macs(model: onnx.ModelProto) -> dict[str, int | None]:
    """Multiply-accumulates of one sample, of all weighted operators and of those that read no train.

    Dense products, as a framework computes them; None where a size is not static.

    Returns:
        ``ann``: of all; ``analog``: of those that read analog values; ``non_spiking``: of those among them that some
        neuron influences, which only a network converted as a hybrid has.
    """
    shapes = shapes_of(model)
    trains, behind = train_names(model), _behind_neurons(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    total: dict[str, int | None] = {"ann": 0, "analog": 0, "non_spiking": 0}
    for node, signal in _weighted(model, constants):
        macs = _macs(node, shapes, constants)
        for key in _keys(signal, trains, behind):
            known = total[key]
            total[key] = None if macs is None or known is None else known + macs
    return total


def _keys(signal: str, trains: set[str], behind: set[str]) -> list[str]:
    """What an operator that reads ``signal`` counts for."""
    if signal in trains:
        return ["ann"]
    return ["ann", "analog", "non_spiking"] if signal in behind else ["ann", "analog"]


def macs_by_layer(model: onnx.ModelProto, layers: Sequence[Layer]) -> dict[str, int | None]:
    """Multiply-accumulates of one sample that the ANN spends where a layer's spikes go, by layer.

    An operator that several layers reach (behind a residual sum) belongs to the deepest of them: with the operators of
    the analog input, the layers then add up to the whole ANN.
    """
    shapes, constants = shapes_of(model), {tensor.name for tensor in model.graph.initializer}
    found: dict[str, int | None] = {layer.name: 0 for layer in layers}
    deepest = _deepest(model, layers)
    for node, signal in _weighted(model, constants):
        if signal in deepest:
            name, macs = deepest[signal], _macs(node, shapes, constants)
            known = found[name]
            found[name] = None if macs is None or known is None else known + macs
    return found


def open_macs(model: onnx.ModelProto, layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Weighted operators of those totals that are None above: what each spends, once sizes are known.

    Returns:
        For each operator: ``tensor``, whose sizes for one sample, times ``factor``, are its multiply-accumulates; ``of``, the
        keys of :func:`dense_macs` that it counts for, and ``layer``, that of :func:`macs_by_layer` or None.
    """
    shapes, constants = shapes_of(model), {tensor.name for tensor in model.graph.initializer}
    trains, behind, deepest = train_names(model), _behind_neurons(model), _deepest(model, layers)
    totals, by_layer = dense_macs(model), macs_by_layer(model, layers)
    found = []
    for node, signal in _weighted(model, constants):
        counted = [key for key in _keys(signal, trains, behind) if totals[key] is None]
        layer = deepest.get(signal)
        held = layer if layer is not None and by_layer[layer] is None else None
        spent = _spent(node, shapes, constants)
        if spent is not None and (counted or held is not None):
            found.append({"tensor": spent[0], "factor": spent[1], "of": counted, "layer": held})
    return found


def _deepest(model: onnx.ModelProto, layers: Sequence[Layer]) -> dict[str, str]:
    """By tensor, the deepest layer whose spikes reach it."""
    order = {layer.output: number for number, layer in enumerate(layers)}
    deepest: dict[str, int] = {}
    for node in model.graph.node:
        read = [deepest[name] for name in node.input if name in deepest]
        if node.domain == DOMAIN and node.op_type in NEURONS:
            deepest[node.output[0]] = order[node.output[0]]
        elif read:
            deepest.update(dict.fromkeys(node.output, max(read)))
    return {tensor: layers[number].name for tensor, number in deepest.items()}


def _weighted(model: onnx.ModelProto, constants: set[str]) -> Iterator[tuple[onnx.NodeProto, str]]:
    """Operators with weights, and the signal that each reads; what sizes alone decide is no signal, but a bias."""
    reached = sampled_tensors(model)
    for node in model.graph.node:
        if of(node).weights is not None:
            signal = next((name for name in node.input[:2] if name not in constants), node.input[0])
            if signal in reached:
                yield node, signal


def _macs(node: onnx.NodeProto, shapes: dict[str, list[int | None]], constants: set[str]) -> int | None:
    """Of one sample; None where sizes are not known."""
    spent = _spent(node, shapes, constants)
    sizes = [None] if spent is None else shapes.get(spent[0], [None])[1:]
    if spent is None or any(size is None for size in sizes):
        return None
    return int(np.prod([size for size in sizes if size is not None], dtype=np.int64)) * spent[1]


def _spent(
    node: onnx.NodeProto, shapes: dict[str, list[int | None]], constants: set[str]
) -> tuple[str, int] | None:
    """Multiply-accumulates as entries of one sample of a tensor, times a factor; None where that is not known."""
    before, weights = (shapes.get(name) for name in node.input[:2])
    if not weights or not before:
        return None
    if node.op_type == "ConvTranspose":
        tensor, each = node.input[0], weights[1:]
    elif node.op_type == "Conv":
        tensor, each = node.output[0], weights[1:]
    elif node.op_type == "MatMul" and node.input[0] in constants:
        tensor, each = node.output[0], before[-1:]
    else:
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        tensor, each = node.output[0], [weights[-1] if transposed else weights[max(len(weights) - 2, 0)]]
    known = [size for size in each if size is not None]
    return (tensor, int(np.prod(known, dtype=np.int64))) if len(known) == len(each) else None


def _behind_neurons(model: onnx.ModelProto) -> set[str]:
    """Names of tensors that some neuron influences."""
    found: set[str] = set()
    for node in model.graph.node:
        if (node.domain == DOMAIN and node.op_type in NEURONS) or any(name in found for name in node.input):
            found.update(node.output)
    return found


def shapes_of(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Sizes by tensor name, constants too; None for a size that is open."""
    found: dict[str, list[int | None]] = {}
    for info in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        dims = info.type.tensor_type.shape.dim
        found[info.name] = [d.dim_value if d.HasField("dim_value") else None for d in dims]
    found.update((tensor.name, list(tensor.dims)) for tensor in model.graph.initializer)
    return found


def train_names(model: onnx.ModelProto) -> set[str]:
    """Names of the trains of a converted network: what comes from an IF before the next Integrate."""
    found: set[str] = set()
    no_signals = {tensor.name for tensor in model.graph.initializer} | _integers(model)
    for node in model.graph.node:
        if node.domain == DOMAIN:
            if node.op_type in NEURONS:
                found.update(node.output)
            continue
        given = node.input[:1] if node.op_type == "Resize" else node.input  # its factors are no signal
        read = [name for name in given if name and name not in no_signals]
        if read and all(name in found for name in read):
            found.update(name for name in node.output if name not in no_signals)
    return found


def _integers(model: onnx.ModelProto) -> set[str]:
    """Names of tensors that hold sizes, indices or masks."""
    others = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
    sizes = {name for node in model.graph.node if of(node).sizes for name in node.output}
    return sizes | {v.name for v in model.graph.value_info if v.type.tensor_type.elem_type in others}
