"""The dialect's functions, as ONNX functions whose bodies are plain operators, unrolled over the network's T time steps.

| function | inputs | output |
| --- | --- | --- |
| ``IF`` | x, bias, compare, subtract, ceiling | the train of its spikes |
| ``ScaledIF`` | x, bias, compare, subtract, ceiling, scale | the train of its spikes: x over scale, without dividing |
| ``TableIF`` | x, bias, thresholds, rows | the train of its spikes |
| ``Integrate`` | x, bias | v |
| ``Hold`` | x | x, the same at each time step: (T·N, ...) |
| ``Staircase``, ``ScaledStaircase``, ``TableStaircase`` | as these | the level that the spikes carry; between passes only |

x is a train (S·N, ...), S = ``input_steps`` = T, or an analog value, S = 1. A layer of fewer bits is silent in the leading steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.dialect.neuron_bodies import Search, fired, integrated, level, rate_fired, rows_of, searched
from onnx2snn.runtime.layer_records import NEWEST

DOMAIN = "onnx2snn"
VERSION = NEWEST
TABLE_IF, TABLE_STAIRCASE, HOLD = "TableIF", "TableStaircase", "Hold"
SCALED_IF, SCALED_STAIRCASE = "ScaledIF", "ScaledStaircase"
#: Functions that write trains.
NEURONS = ("IF", TABLE_IF, SCALED_IF)

#: The name of a layer's spike counts (N, ...) float32, which the runtime makes, by the name of its train.
COUNT = "{}/count"
#: The name of a counting graph's output for a layer: synaptic operations (N,) float64.
SYNOPS = "synops/{}"

_COMPARED = ("bias", "compare", "subtract", "ceiling")
_SCALED = (*_COMPARED, "scale")
_SEARCHED = ("bias", "thresholds", "rows")
OPERANDS = {
    "IF": _COMPARED,
    TABLE_IF: _SEARCHED,
    SCALED_IF: _SCALED,
    SCALED_STAIRCASE: _SCALED,
    "Integrate": ("bias",),
    HOLD: (),
    "Staircase": _COMPARED,
    TABLE_STAIRCASE: _SEARCHED,
}
_ATTRIBUTES = {
    "IF": ("input_steps", "timesteps", "levels", "rounding", "unit"),
    TABLE_IF: ("input_steps", "timesteps", "levels"),
    SCALED_IF: ("input_steps", "timesteps", "levels", "rounding", "unit"),
    SCALED_STAIRCASE: ("timesteps", "levels", "rounding", "unit"),
    "Integrate": ("input_steps",),
    HOLD: ("timesteps",),
    "Staircase": ("timesteps", "levels", "rounding", "unit"),
    TABLE_STAIRCASE: ("timesteps", "levels"),
}
_DOC = {
    "IF": "Integrate-and-fire neuron: integrate, add the bias, saturate, generate (soft reset). Train or analog to train.",
    TABLE_IF: "Integrate-and-fire neuron whose threshold depends on its spikes so far. Train or analog to train.",
    SCALED_IF: "Integrate-and-fire neuron whose thresholds are multiplied by a potential (METHOD 13). Analog to train.",
    SCALED_STAIRCASE: "The level that the spikes of a neuron with scaled thresholds carry. Analog to analog.",
    "Integrate": "Membrane potential after integration and bias. Train or analog to analog.",
    HOLD: "A potential, held while the T time steps of a train come in (METHOD 12). Analog to held.",
    "Staircase": "The level that the neuron's spikes carry. Analog to analog.",
    TABLE_STAIRCASE: "The level that the spikes of a neuron with a table carry. Analog to analog.",
}


def attach_functions(
    model: onnx.ModelProto, *, bias: str = "once", execution: str = "spiking", coding: str = "binary"
) -> None:
    """Give ``model`` the bodies of the dialect's functions that its nodes call, in place."""
    nodes = [node for node in model.graph.node if node.domain == DOMAIN]
    if not nodes:
        return
    steps = {node.op_type: 0 for node in nodes}
    for node in nodes:
        told = [a.i for a in node.attribute if a.name in ("input_steps", "timesteps")]
        steps[node.op_type] = max(steps[node.op_type], *told)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    kept = [f for f in model.functions if f.domain != DOMAIN]
    del model.functions[:]
    model.functions.extend(kept)
    for name in sorted(steps):
        longest = (
            steps[name] if name == HOLD else max(steps.values())
        )  # before there are spikes, nothing takes time
        body = function_body(
            name, timesteps=longest, execution=execution, bias=bias, opset=opset, coding=coding
        )
        model.functions.append(body)
    for imported in [o for o in model.opset_import if o.domain == DOMAIN]:
        model.opset_import.remove(imported)
    model.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))


def function_body(
    name: str,
    *,
    timesteps: int,
    execution: str = "spiking",
    bias: str = "once",
    opset: int = 21,
    coding: str = "binary",
) -> onnx.FunctionProto:
    """A function of the dialect.

    Args:
        name: One of those in the module's table.
        timesteps: T.
        execution: ``spiking``: trains of 0 and 1, time folded into the batch; ``fused``: integer levels.
        bias: The form in which the model stores biases: ``once``, ``per-step`` or ``paper`` (METHOD 4).
        opset: Version of the default operator set, as in the model.
        coding: ``binary``: spikes carry 2^(T−1−t); ``rate``: each carries 1, and there is no fused execution.

    Raises:
        ValueError: there is no such function, execution or bias form.
    """
    known = execution in ("spiking", "fused") and bias in ("once", "per-step", "paper")
    if name not in OPERANDS or not known:
        raise ValueError(f"no body for {name}, {execution}, {bias}")
    body = _Body(timesteps, bias)
    made = body.made(name, execution, coding)
    body.add("Identity", [made], output="y")
    return helper.make_function(
        DOMAIN,
        name,
        ["x", *OPERANDS[name]],
        ["y"],
        body.nodes,
        [helper.make_opsetid("", opset)],
        list(_ATTRIBUTES[name]),
        doc_string=_DOC[name],
    )


class _Body:
    """Nodes of a function in the making; constants are nodes, each value once."""

    def __init__(self, timesteps: int, form: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._T, self._form = timesteps, form
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], str] = {}

    def add(self, operator: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        """As :class:`onnx2snn.dialect.neuron_bodies.Nodes`."""
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def look_up(self, table: str, places: str) -> str:
        """Likewise."""
        return self.add("Gather", [table, places], axis=0)

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """As :class:`onnx2snn.dialect.neuron_bodies.Nodes`."""
        array = np.asarray(values, dtype)
        key = array.dtype.name, array.tobytes(), array.shape
        if key not in self._constants:
            self._constants[key] = self.add("Constant", [], value=numpy_helper.from_array(array))
        return self._constants[key]

    def made(self, name: str, execution: str, coding: str) -> str:
        """What the function answers."""
        if name == HOLD:
            return "x" if execution == "fused" else self.train(["x"] * self._T)
        if name.endswith("Staircase"):
            return self.levels(name, self.biased(name), aligned=True)
        if coding == "rate":
            return self.rate_train() if name == "IF" else self.rate_potential()
        if name == SCALED_IF:
            v = self.biased(name)
        else:
            v = self.fused_potential() if execution == "fused" else self.potential()
        if name == "Integrate":
            return v
        return self.levels(name, v) if execution == "fused" else self.train(self.spikes(name, v))

    def biased(self, name: str) -> str:
        """An analog ``x`` and its bias, which is multiplied as thresholds are."""
        if name in (SCALED_IF, SCALED_STAIRCASE):
            return self.add("Add", ["x", self.add("Mul", ["bias", "scale"])])
        return self.add("Add", ["x", "bias"])

    def attribute(self, name: str) -> str:
        """An attribute of the node that calls the function, (1,) int64."""
        value = self.add("Constant", [])
        held = self.nodes[-1].attribute.add(name="value_int", type=onnx.AttributeProto.INT)
        held.ref_attr_name = name
        return self.add("Reshape", [value, self.constant([1], np.int64)])

    def potential(self) -> str:
        """The potential v (N, ...) of ``x`` (S·N, ...)."""
        currents = self._currents()
        live = None
        if self._form != "once":
            filled = self.add(
                "ConstantOfShape", [self._steps], value=numpy_helper.from_array(np.ones(1, np.float32))
            )
            live = rows_of(self, self._behind_zeros(filled, self.constant([], np.int64)), self._T)
        return integrated(self, rows_of(self, currents, self._T), "bias", self._form, live)[0]

    def _currents(self) -> str:
        """(T, N, ...): where S is less than T, nothing arrives in the leading steps."""
        unfolded = self._unfolded()
        return self._behind_zeros(unfolded, self.add("Shape", [unfolded], start=1))

    def _unfolded(self) -> str:
        """``x`` as (S, N, ...)."""
        self._steps = self.attribute("input_steps")
        sample = self.add("Shape", ["x"], start=1)
        shape = self.add("Concat", [self._steps, self.constant([-1], np.int64), sample], axis=0)
        return self.add("Reshape", ["x", shape])

    def _behind_zeros(self, values: str, shape: str, zero: float = 0.0) -> str:
        """``values`` (S, ...) behind T − S steps of ``zero``."""
        steps = self.add("Shape", [values], start=0, end=1)
        missing = self.add("Sub", [self.constant([self._T], np.int64), steps])
        silent = self.add(
            "ConstantOfShape",
            [self.add("Concat", [missing, shape], axis=0)],
            value=numpy_helper.from_array(np.full(1, zero, np.float32)),
        )
        return self.add("Concat", [silent, values], axis=0)

    def fused_potential(self) -> str:
        """``x`` + the whole bias, of levels or analog values ``x`` (N, ...)."""
        if self._form == "once":
            return self.add("Add", ["x", "bias"])
        count = self.add("Cast", [self.attribute("input_steps")], to=TensorProto.FLOAT)
        if self._form == "per-step":
            power = self.add("Pow", [self.constant([2]), count])
            count = self.add("Sub", [power, self.constant([1])])
        return self.add("Add", ["x", self.add("Mul", ["bias", count])])

    def spikes(self, name: str, v: str, *, aligned: bool = False) -> list[str]:
        """Of each time step; ``aligned``: the operands may be those of fewer bits."""
        if name.startswith("Table"):
            limit = None
            if aligned:
                limit = self.add("Pow", [self.constant([2], np.int64), self.attribute("timesteps")])
            return searched(self, v, Search(self, "thresholds", "rows", limit), self._T)[0]
        scaled = name in (SCALED_IF, SCALED_STAIRCASE)
        ceiling = self.add("Mul", ["ceiling", "scale"]) if scaled else "ceiling"
        v = self.add("Min", [v, ceiling])
        compare, subtract = "compare", "subtract"
        if aligned:
            shape = self.add("Shape", [compare], start=1)
            compare = self._behind_zeros(compare, shape, np.inf)
            subtract = self._behind_zeros(subtract, shape)
        thresholds, resets = rows_of(self, compare, self._T), rows_of(self, subtract, self._T)
        if scaled:
            thresholds = [self.add("Mul", [row, "scale"]) for row in thresholds]
            resets = [self.add("Mul", [row, "scale"]) for row in resets]
        return fired(self, v, thresholds, resets)[0]

    def levels(self, name: str, v: str, *, aligned: bool = False) -> str:
        """The level (N, ...) that the spikes of ``v`` carry."""
        return level(self, self.spikes(name, v, aligned=aligned))

    def train(self, spikes: Sequence[str]) -> str:
        """(T·N, ...), most significant bit first."""
        return self.add("Concat", spikes, axis=0)

    def rate_potential(self) -> str:
        """The sum of all currents, with the bias of each step."""
        count = self.add("Cast", [self.attribute("input_steps")], to=TensorProto.FLOAT)
        total = self.add("ReduceSum", [self._unfolded(), self.constant([0], np.int64)], keepdims=0)
        return self.add("Add", [total, self.add("Mul", ["bias", count])])

    def rate_train(self) -> str:
        """The train of a plain integrate-and-fire neuron; an analog ``x`` is a constant current x/T."""
        currents = self._unfolded()
        whole = self.add(
            "Concat", [self.constant([self._T], np.int64), self.add("Shape", [currents], start=1)], axis=0
        )
        share = self.add("Cast", [self._steps], to=TensorProto.FLOAT)
        share = self.add("Div", [share, self.constant([self._T])])
        currents = self.add("Mul", [self.add("Expand", [currents, whole]), share])
        compare, subtract = (rows_of(self, name, self._T) for name in ("compare", "subtract"))
        spikes, _ = rate_fired(self, rows_of(self, currents, self._T), "bias", compare, subtract)
        return self.train(spikes)
