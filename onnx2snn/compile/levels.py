"""The levels of a compiled file's neurons, as further outputs of the file as it is: for whoever compares it with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.packed_levels import unpacked
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime.layer_records import tensors_of


def with_levels(network: SplitModel, table: Mapping[str, Any], facts: Mapping[str, Any]) -> SplitModel:
    """``network`` with outputs ``levels/<layer>`` (N, ...) float32, read from the tensors that its metadata names.

    Args:
        network: A compiled one, of any execution but ``step``, whose trains are outputs already.
        table: Its layer table.
        facts: What it says of itself.

    Raises:
        InvalidModelError: its metadata names no such tensors.
    """
    structure = onnx.ModelProto()
    structure.CopyFrom(network.structure)
    written, trains = {name for node in structure.graph.node for name in node.output}, facts.get("trains", {})
    for layer in table["layers"]:
        train = trains.get(layer["name"])
        if not set(tensors_of(train)) <= written:
            remedy = "compile it again from the converted file"
            raise InvalidModelError(
                "this compiled network does not say where its neurons are", node=layer["name"], remedy=remedy
            )
        name = f"levels/{layer['name']}"
        if isinstance(train, dict):
            _add_look_up(structure.graph, train, name)
        elif facts["execution"] == "spiking":
            _add_sum(structure.graph, train, name, _weights(table))
        else:
            _add_cast(structure.graph, train, name)
        structure.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return SplitModel(structure, network.weights)


def _weights(table: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What a spike of each time step is worth."""
    steps = int(table["timesteps"])
    if table.get("coding", "binary") == "rate":
        return np.ones((1, steps), np.float32)
    return 2 ** np.arange(steps - 1, -1, -1, dtype=np.float32)[None]


def _add_cast(graph: onnx.GraphProto, level: str, name: str) -> None:
    graph.node.append(helper.make_node("Cast", [level], [name], to=TensorProto.FLOAT))


def _add_look_up(graph: onnx.GraphProto, found: Any, name: str) -> None:
    """The level that each byte stands for."""
    if not isinstance(found, dict):
        _add_cast(graph, found, name)
        return
    if "parts" in found:
        parts = [f"{name}/{place}" for place in range(len(found["parts"]))]
        for part, written in zip(found["parts"], parts, strict=True):
            _add_look_up(graph, part, written)
        graph.node.append(helper.make_node("Concat", parts, [name], axis=1))
        return
    by_row = "rows" in found
    levels = unpacked(found["levels"]) if by_row else np.array(found["levels"])
    table = numpy_helper.from_array(levels.reshape(-1).astype(np.float32), f"{name}/table")
    graph.initializer.append(table)
    moved, places = f"{name}/bytes", f"{name}/places"
    perm: dict[str, Any] = {"perm": [0, 3, 1, 2]} if found["channels_last"] else {}
    graph.node.append(
        helper.make_node("Transpose" if perm else "Identity", [found["bytes"]], [moved], **perm)
    )
    graph.node.append(helper.make_node("Cast", [moved], [places], to=TensorProto.INT64))
    if by_row:
        starts = numpy_helper.from_array(256 * unpacked(found["rows"]).astype(np.int64), f"{name}/rows")
        graph.initializer.append(starts)
        graph.node.append(helper.make_node("Add", [places, starts.name], [f"{name}/in_row"]))
        places = f"{name}/in_row"
    graph.node.append(helper.make_node("Gather", [table.name, places], [name]))


def _add_sum(graph: onnx.GraphProto, train: str, name: str, weights: np.ndarray[Any, Any]) -> None:
    """Σ weights(t)·s(t) of a train (T·N, ...)."""
    held = {"weights": weights, "steps": np.array([weights.size, -1]), "batch": np.array([-1])}
    graph.initializer.extend(numpy_helper.from_array(value, f"{name}/{key}") for key, value in held.items())

    def add(operator: str, *read: str, made: str, **attributes: Any) -> None:
        inputs = [f"{name}/{part}" if part in known else part for part in read]
        graph.node.append(
            helper.make_node(operator, inputs, [f"{name}/{made}" if made else name], **attributes)
        )
        known.add(made)

    known = set(held)
    add("Shape", train, made="sample", start=1)
    add("Cast", train, made="floats", to=TensorProto.FLOAT)
    add("Reshape", "floats", "steps", made="unfolded")
    add("MatMul", "weights", "unfolded", made="sum")
    add("Concat", "batch", "sample", made="shape", axis=0)
    add("Reshape", "sum", "shape", made="")
