"""Which neurons of a converted network stand for which activations of its source; nothing in the file is taken on trust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onnx2snn.activations import NeuronParameters, Staircase, Table
from onnx2snn.activations.rules import names_of
from onnx2snn.activations.tables import TABLE
from onnx2snn.certificate.neuron_check import Neuron, TableNeuron
from onnx2snn.dialect.functions import DOMAIN, NEURONS, OPERANDS, TABLE_IF
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.dialect.train_shapes import train_names
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.weights import SplitModel

_REMEDY = "convert the source again, or give the file that it was converted from"


@dataclass(frozen=True)
class Pair:
    """A layer of neurons and the activation it stands for.

    Attributes:
        name: The IF node.
        train: The tensor it writes.
        source: The source tensor that holds the activation.
        neuron: Thresholds, what spikes take, and ceiling, as the IF node holds them (its bias belongs to the synapses).
    """

    name: str
    train: str
    source: str
    neuron: Neuron


def pair(
    network: SplitModel, activations: Mapping[str, Staircase | Table], outputs: Sequence[str]
) -> tuple[Pair, ...]:
    """Every IF node with its activation, in the order of the layer table.

    Raises:
        InvalidModelError: the layer table is damaged or speaks of another network, a layer is missing or there twice, or
            outputs differ; it says which.
    """
    converted = network.structure
    table = read_layer_table(converted)
    entries = _entries(table)
    if entries and not activations:
        raise InvalidModelError(
            "this source has no quantised activation to compare with",
            remedy="give the quantised network: onnx2snn calibrate in.onnx quantised.onnx, then convert and verify that",
        )
    _check_steps(converted, int(table["timesteps"]))
    nodes = {
        node.name: node for node in converted.graph.node if node.domain == DOMAIN and node.op_type in NEURONS
    }
    _same_names("IF node", [e["name"] for e in entries], list(nodes))
    _same_names("activation", [e["source_tensor"] for e in entries], list(activations))
    declared = [output.name for output in converted.graph.output]
    _same_names("output", table["outputs"], declared)
    _same_names("output", list(outputs), declared)
    constants = network.constants
    pairs = []
    for entry in entries:
        node, staircase = nodes[entry["name"]], activations[entry["source_tensor"]]
        _check_facts(entry, node, staircase, table)
        _check_kind(node, staircase)
        neuron = _parameters(node, constants, int(table["timesteps"]), entry.get("unit"))
        pairs.append(Pair(entry["name"], entry["output"], entry["source_tensor"], neuron))
    return tuple(pairs)


def _entries(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    kinds: dict[str, type | tuple[type, ...]] = {
        "name": str,
        "output": str,
        "source_tensor": str,
        "neurons": int,
        "timesteps": int,
        "levels": int,
        "rounding": (str, list),
    }
    entries = table.get("layers")
    sound = (
        isinstance(entries, list)
        and isinstance(table.get("outputs"), list)
        and isinstance(table.get("timesteps"), int)
        and 1 <= table["timesteps"] <= 24
        and table.get("bias", "once") in ("once", "per-step", "paper")
        and all(
            isinstance(e, dict) and all(isinstance(e.get(k), t) for k, t in kinds.items()) for e in entries
        )
    )
    if not sound or not isinstance(entries, list):
        raise InvalidModelError(
            "the layer table of this model is damaged", remedy="give the file that onnx2snn wrote"
        )
    return entries


def _same_names(what: str, listed: Sequence[str], there: Sequence[str]) -> None:
    twice = [name for name, count in Counter(listed).items() if count > 1]
    missing, foreign = sorted(set(there) - set(listed)), sorted(set(listed) - set(there))
    found = (
        [f"no layer for the {what} {m}" for m in missing]
        + [f"there is no {what} {f}" for f in foreign]
        + [f"the {what} {t} is listed twice" for t in twice]
    )
    if found:
        raise InvalidModelError(
            "this spiking network was not made from this source", found="; ".join(found[:3]), remedy=_REMEDY
        )


def _check_facts(
    entry: Mapping[str, Any], node: onnx.NodeProto, staircase: Staircase | Table, table: Mapping[str, Any]
) -> None:
    """What the table says of a layer against the IF node and the activation."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    facts = (
        ("output", entry["output"], node.output[0]),
        ("time steps", int(table["timesteps"]), attributes.get("timesteps")),
        ("time steps", entry["timesteps"], staircase.timesteps),
        ("levels", entry["levels"], staircase.levels),
        ("levels", entry["levels"], attributes.get("levels")),
        ("rounding", entry["rounding"], names_of(staircase.rounding)),
        ("rounding", entry["rounding"], _decoded(attributes.get("rounding", TABLE))),
    )
    for what, listed, there in facts:
        if listed != there:
            raise InvalidModelError(
                f"the layer table gives this neuron other {what}",
                node=entry["name"],
                operator=node.op_type,
                found=f"{listed} in the table, {there} in the network",
                remedy=_REMEDY,
            )


def _decoded(names: Any) -> Any:
    """Text of an attribute, or a list of texts."""
    if isinstance(names, list):
        return [_decoded(name) for name in names]
    return names.decode() if isinstance(names, bytes) else names


def _check_steps(converted: onnx.ModelProto, timesteps: int) -> None:
    """Trains are integrated over T steps, analog values over one."""
    trains = train_names(converted)
    for node in converted.graph.node:
        if node.domain == DOMAIN and node.op_type != "Hold":
            steps = next((a.i for a in node.attribute if a.name == "input_steps"), None)
            if steps != (timesteps if node.input[0] in trains else 1):
                raise _unfit(node, f"it integrates {steps} steps; T = {timesteps}")


def _check_kind(node: onnx.NodeProto, activation: Staircase | Table) -> None:
    if (node.op_type == TABLE_IF) != isinstance(activation, Table):
        raise _unfit(node, "its activation has other steps")


def _parameters(
    node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]], timesteps: int, unit: Any
) -> Neuron:
    if node.op_type == TABLE_IF:
        return _table(node, constants, timesteps, unit)
    if len(node.input) != 1 + len(OPERANDS[node.op_type]) or any(
        name not in constants for name in node.input[2:5]
    ):
        raise _unfit(node, "its thresholds are not constants")
    compare, subtract, ceiling = (constants[name] for name in node.input[2:5])
    if any(a.dtype != np.float32 for a in (compare, subtract, ceiling)) or not _finite(
        compare, subtract, ceiling
    ):
        raise _unfit(node, "its thresholds are not finite numbers")
    if compare.shape != subtract.shape or compare.ndim < 1 or len(compare) != timesteps:
        raise _unfit(node, f"thresholds {compare.shape}, resets {subtract.shape}, T = {timesteps}")
    if np.any(subtract[-1] <= 0):
        raise _unfit(node, "a threshold is not positive")
    if bool(next((a.i for a in node.attribute if a.name == "unit"), 0)) != bool(np.all(subtract[-1] == 1)):
        raise _unfit(node, "its attribute 'unit' does not tell whether all thresholds are 1")
    return NeuronParameters(np.zeros(1, np.float32), compare, subtract, ceiling)


def _table(
    node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]], timesteps: int, unit: Any
) -> TableNeuron:
    if len(node.input) != 4 or any(name not in constants for name in node.input[2:]):
        raise _unfit(node, "its thresholds are not constants")
    thresholds, rows = (constants[name] for name in node.input[2:])
    width = 2**timesteps - 1
    if thresholds.dtype != np.float32 or rows.dtype != np.int64 or thresholds.ndim != 1:
        raise _unfit(node, f"thresholds {thresholds.dtype} {thresholds.shape}, rows {rows.dtype}")
    if not rows.size or rows.min() < 0 or rows.max() + width > thresholds.size:
        raise _unfit(node, f"its rows do not lie in its table of {thresholds.size} thresholds")
    columns = np.moveaxis(thresholds[rows[..., None] + np.arange(width)], -1, 0)
    if np.isnan(columns).any() or np.any(columns[1:] < columns[:-1]):
        raise _unfit(node, "its thresholds are not sorted")
    theta = np.asarray(unit, np.float64) if isinstance(unit, (float, int, list)) else np.zeros(())
    if theta.size not in (1, rows.size) or not np.all(np.isfinite(theta) & (theta > 0)):
        raise _unfit(node, "the layer table does not tell in which unit its thresholds are")
    return TableNeuron(columns, theta.reshape(rows.shape if theta.size > 1 else ()))


def _finite(*arrays: NDArray[Any]) -> bool:
    return all(bool(np.isfinite(a).all()) for a in arrays)


def _unfit(node: onnx.NodeProto, found: str) -> InvalidModelError:
    return InvalidModelError(
        "this is no neuron of the dialect", node=node.name, operator=node.op_type, found=found, remedy=_REMEDY
    )
