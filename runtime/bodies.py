"""The bodies of the dialect's functions, for every execution: the one place where a neuron is written down.

    integration, t = 1..S:   v ← 2·v + I(t)
    bias, once:              v ← v + bias
    saturation:              v ← min(v, ceiling)
    generation,  t = 1..T:   s(t) = [v ≥ compare(t)];   v ← v − s(t)·subtract(t)

S is ``input_steps``: T for a train, 1 for an analog value. METHOD 3 and Datta et al., arXiv 2312.06900, section 4.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.runtime.rate_bodies import rate_nodes
from onnx2snn.runtime.wire import function, graph, node

DOMAIN = "onnx2snn"
NEURON_ATTRIBUTES = ("input_steps", "timesteps", "levels", "rounding", "unit")

_DOC = {
    "IF": "Integrate-and-fire neuron: integrate, add the bias, saturate, generate (soft reset). Train or analog to train.",
    "Integrate": "Membrane potential after integration and bias. Train or analog to analog.",
    "Staircase": "The level that the neuron's spikes carry. Analog to analog.",
}


def function_body(
    name: str, *, execution: str = "spiking", bias: str = "once", opset: int = 21, coding: str = "binary"
) -> bytes:
    """A serialized FunctionProto.

    Args:
        name: ``IF``, ``Integrate`` or ``Staircase``.
        execution: ``spiking``: trains of 0 and 1, time folded into the batch; ``fused``: integer levels.
        bias: The form in which the model stores biases: ``once``, ``per-step`` or ``paper`` (METHOD 4).
        opset: Version of the default operator set, as in the model.
        coding: ``binary``: spikes carry 2^(T−t); ``rate``: each carries 1 (see :mod:`onnx2snn.runtime.rate_bodies`), and
            trains have no other execution.

    Raises:
        ValueError: there is no such function, execution or bias form.
    """
    if name not in _DOC or execution not in ("spiking", "fused") or bias not in ("once", "per-step", "paper"):
        raise ValueError(f"no body for {name}, {execution}, {bias}")
    if name == "Staircase":
        nodes = [node("Add", ["x", "bias"], ["v"]), *_saturated("v"), *_level("y")]
    elif coding == "rate":
        nodes = rate_nodes(name, FIRE)
    else:
        nodes = _integrated(bias) if execution == "spiking" else _fused_potential(bias)
        if name == "Integrate":
            nodes.append(node("Identity", ["v"], ["y"]))
        elif execution == "spiking":
            nodes += [*_saturated("v"), *_spikes("y")]
        else:
            nodes += [*_saturated("v"), *_level("y")]
    inputs = ["x", "bias"] if name == "Integrate" else ["x", "bias", "compare", "subtract", "ceiling"]
    attributes = {"Integrate": ("input_steps",), "Staircase": NEURON_ATTRIBUTES[1:]}.get(
        name, NEURON_ATTRIBUTES
    )
    return function(DOMAIN, name, nodes, inputs, ["y"], attributes=attributes, opset=opset, doc=_DOC[name])


def _constant(name: str, *values: float, dtype: type = np.int64) -> bytes:
    return node("Constant", [], [name], value=np.asarray(values, dtype))


def _steps() -> list[bytes]:
    """``steps`` = [S]."""
    return [
        node("Constant", [], ["steps_scalar"], value_int="@input_steps"),
        _constant("one_axis", 1),
        node("Reshape", ["steps_scalar", "one_axis"], ["steps"]),
    ]


def integration_step(bias: str) -> list[bytes]:
    """``v_out`` of ``v_in`` and the ``current`` of one time step; reads ``bias`` and ``gain`` where the form needs them."""
    return {
        "once": [node("Add", ["v_in", "v_in"], ["doubled"]), node("Add", ["doubled", "current"], ["v_out"])],
        "per-step": [
            node("Add", ["v_in", "v_in"], ["doubled"]),
            node("Add", ["doubled", "current"], ["driven"]),
            node("Add", ["driven", "bias"], ["v_out"]),
        ],
        "paper": [
            node("Mul", ["gain", "current"], ["weighted"]),
            node("Add", ["v_in", "weighted"], ["driven"]),
            node("Add", ["driven", "bias"], ["v_out"]),
        ],
    }[bias]


def _integrated(bias: str) -> list[bytes]:
    """``v`` (N, ...) of ``x`` (S·N, ...)."""
    scanned = ["current", "gain"] if bias == "paper" else ["current"]
    body = graph("integrate", integration_step(bias), ["v_in", *scanned], ["v_out"])
    nodes = [
        *_steps(),
        _constant("rest", -1),
        node("Shape", ["x"], ["sample_shape"], start=1),
        node("Concat", ["steps", "rest", "sample_shape"], ["unfolded_shape"], axis=0),
        node("Reshape", ["x", "unfolded_shape"], ["currents"]),
        node("Shape", ["currents"], ["potential_shape"], start=1),
        node("ConstantOfShape", ["potential_shape"], ["v_start"], value=np.zeros(1, np.float32)),
    ]
    inputs = ["v_start", "currents"]
    if bias == "paper":
        nodes += _gains()
        inputs.append("gains")
    end = "v" if bias != "once" else "v_integrated"
    nodes.append(node("Scan", inputs, [end], body=body, num_scan_inputs=len(scanned)))
    if bias == "once":
        nodes.append(node("Add", ["v_integrated", "bias"], ["v"]))
    return nodes


def _gains() -> list[bytes]:
    """``gains`` (S,): 2^(S−1−t)."""
    return [
        node("Constant", [], ["minus_one"], value=np.asarray(-1, np.int64)),
        node("Add", ["steps_scalar", "minus_one"], ["last"]),
        node("Range", ["last", "minus_one", "minus_one"], ["exponents"]),
        node("Cast", ["exponents"], ["powers"], to=1),
        _constant("two", 2, dtype=np.float32),
        node("Pow", ["two", "powers"], ["gains"]),
    ]


def _fused_potential(bias: str) -> list[bytes]:
    """``v`` = ``x`` + the whole bias, of levels or analog values ``x`` (N, ...)."""
    if bias == "once":
        return [node("Add", ["x", "bias"], ["v"])]
    scale = [node("Cast", ["steps"], ["count"], to=1)]
    if bias == "per-step":
        scale = [
            node("Cast", ["steps"], ["exponent"], to=1),
            _constant("two", 2, dtype=np.float32),
            node("Pow", ["two", "exponent"], ["power"]),
            _constant("one", 1, dtype=np.float32),
            node("Sub", ["power", "one"], ["count"]),
        ]
    return [
        *_steps(),
        *scale,
        node("Mul", ["bias", "count"], ["whole_bias"]),
        node("Add", ["x", "whole_bias"], ["v"]),
    ]


def _saturated(potential: str) -> list[bytes]:
    return [node("Min", [potential, "ceiling"], ["v_full"])]


#: One time step of generation: ``s`` and ``v_out`` of ``v_in``, the value to compare with and the value to subtract.
FIRE = [
    node("GreaterOrEqual", ["v_in", "c"], ["fires"]),
    node("Cast", ["fires"], ["s"], to=1),
    node("Mul", ["s", "d"], ["taken"]),
    node("Sub", ["v_in", "taken"], ["v_out"]),
]


def _spikes(output: str) -> list[bytes]:
    """The train (T·N, ...), most significant bit first."""
    body = graph(
        "generate", [*FIRE, node("Identity", ["s"], ["spike"])], ["v_in", "c", "d"], ["v_out", "spike"]
    )
    return [
        node("Scan", ["v_full", "compare", "subtract"], ["v_left", "spikes"], body=body, num_scan_inputs=2),
        _constant("folded", -1),
        node("Shape", ["v_full"], ["train_shape"], start=1),
        node("Concat", ["folded", "train_shape"], ["wire_shape"], axis=0),
        node("Reshape", ["spikes", "wire_shape"], [output]),
    ]


def _level(output: str) -> list[bytes]:
    """The level (N, ...) that the spikes would carry: the same comparisons, summed with their weights."""
    step = [*FIRE, node("Add", ["k_in", "k_in"], ["doubled"]), node("Add", ["doubled", "s"], ["k_out"])]
    body = graph("generate", step, ["v_in", "k_in", "c", "d"], ["v_out", "k_out"])
    return [
        node("Shape", ["v_full"], ["level_shape"]),
        node("ConstantOfShape", ["level_shape"], ["k_start"], value=np.zeros(1, np.float32)),
        node(
            "Scan",
            ["v_full", "k_start", "compare", "subtract"],
            ["v_left", output],
            body=body,
            num_scan_inputs=2,
        ),
    ]
