"""Learned values back into the graph that they came from.

Nothing is exported again: the imported graph keeps its operators, names and dynamic axes. Its constants take
the values of the torch parameters that onnx2torch made of them, and each marker becomes the operators of
QCFS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import fx, nn

from onnx2snn.operators import of
from onnx2snn.training.qcfs import QCFS

#: Where operators that normalise read what torch calls by these names.
_NORMALISED_BY = {"weight": 1, "bias": 2, "running_mean": 3, "running_var": 4}


class UnmatchedError(ValueError):
    """A torch parameter that is no constant of the graph."""


def constants_behind(model: onnx.ModelProto, module: fx.GraphModule) -> dict[str, tuple[str, bool]]:
    """Which constant each parameter or buffer of the freshly imported ``module`` was made from.

    Module names are node names. Within one node a constant is told by its place (normalisers) or by shape and
    values.

    Returns:
        By name in ``module.state_dict()``: the constant's name, and whether torch keeps it transposed.

    Raises:
        UnmatchedError: a parameter was not found.
    """
    held = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    result: dict[str, tuple[str, bool]] = {}
    for key, values, node_name in _learnable(module):
        node = nodes[node_name]
        place = _NORMALISED_BY.get(key.rpartition(".")[2])
        if place is not None and _normalises(node):
            result[key] = (node.input[place], False)
            continue
        found = _same(values, [(name, held[name]) for name in node.input if name in held])
        if found is None:
            raise UnmatchedError(f"{key} of {node.op_type}")
        result[key] = found
    return result


def _normalises(node: onnx.NodeProto) -> bool:
    record = of(node)
    return record.normalises is not None or (record.divides is not None and not record.elementwise)


def _learnable(module: fx.GraphModule) -> Iterator[tuple[str, np.ndarray, str]]:
    """State entry, values and the node that it belongs to: for a plain constant, the one that reads it."""
    readers = {
        str(node.target): str(user.target)
        for node in module.graph.nodes
        if node.op == "get_attr"
        for user in node.users
        if user.op == "call_module"
    }
    for key, values in module.state_dict().items():
        if values.is_floating_point() and values.numel():
            owner = key.rpartition(".")[0]
            node = readers.get(key) if owner == "initializers" else owner.partition(".")[0]
            if node is not None:
                yield key, values.numpy(), node


def _same(values: np.ndarray, candidates: list[tuple[str, np.ndarray]]) -> tuple[str, bool] | None:
    for name, held in candidates:
        if held.shape == values.shape and np.array_equal(held, values):
            return name, False
        if held.ndim == 2 and held.T.shape == values.shape and np.array_equal(held.T, values):
            return name, True
    return None


def write_back(
    model: onnx.ModelProto, module: nn.Module, behind: dict[str, tuple[str, bool]]
) -> onnx.ModelProto:
    """``model`` with what ``module`` has learned; the arguments stay as they are."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    learned = {
        name: values.T if transposed else values
        for key, (name, transposed) in behind.items()
        if (values := module.state_dict()[key].detach().numpy()) is not None
    }
    for constant in result.graph.initializer:
        if constant.name in learned:
            values = np.ascontiguousarray(
                learned[constant.name], helper.tensor_dtype_to_np_dtype(constant.data_type)
            )
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
    _expand(result, {name: child for name, child in module.named_children() if isinstance(child, QCFS)})
    return result


def _expand(model: onnx.ModelProto, activations: dict[str, QCFS]) -> None:
    """The operators of QCFS in the place of each marker."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    for node in nodes:
        if node.name not in activations:
            model.graph.node.append(node)
            continue
        made, constants = _operators(node, activations[node.name], ranks.get(node.output[0], 0))
        model.graph.node.extend(made)
        model.graph.initializer.extend(constants)


def _operators(node: Any, activation: QCFS, rank: int) -> tuple[list[Any], list[Any]]:
    step = (activation.broadcast(activation.threshold, rank or 1) / activation.levels).detach().numpy()
    values = {"step": step, "half": 0.5, "low": 0.0, "high": activation.levels}
    constants = [
        numpy_helper.from_array(np.asarray(value, np.float32), f"{node.name}/{name}")
        for name, value in values.items()
    ]
    chain = [
        ("Div", ["step"]),
        ("Add", ["half"]),
        ("Floor", []),
        ("Clip", ["low", "high"]),
        ("Mul", ["step"]),
    ]
    made, value = [], node.input[0]
    for position, (operator, names) in enumerate(chain):
        last = position == len(chain) - 1
        out = node.output[0] if last else f"{node.name}/{operator}"
        inputs = [value, *(f"{node.name}/{name}" for name in names)]
        made.append(helper.make_node(operator, inputs, [out], name=f"{node.name}/{operator.lower()}"))
        value = out
    return made, constants
