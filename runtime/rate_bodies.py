"""The dialect's functions for rate-coded trains: plain integrate-and-fire neurons that fire while they integrate.

    t = 1..T:   v ← v + I(t) + bias;   s(t) = [v ≥ compare(t)];   v ← v − s(t)·subtract(t)

A train carries the number of its spikes, k = Σ s(t). An analog input x is a constant current x/T. With compare = θ/2 and
subtract = θ this is the neuron that starts at half its threshold θ (Rueckauer et al., Front. Neurosci. 11:682, 2017): on a
constant current it fires clip(floor(x/θ + 1/2), 0, T) times. Other currents may come too late, or bring spikes that nothing
takes back: rate-coded networks of several layers are approximations.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.runtime.wire import graph, node


def rate_nodes(name: str, fire: list[bytes]) -> list[bytes]:
    """``y`` of ``x`` and ``bias``: a train for ``IF``, the decoded potential for ``Integrate``.

    Args:
        name: ``IF`` or ``Integrate``; biases are stored divided by T (``IF``) or S (``Integrate``).
        fire: One time step of generation: ``s`` and ``v_out`` of ``v_in``, ``c`` and ``d``.
    """
    return [*_currents(), *(_fired(fire) if name == "IF" else _summed())]


def _currents() -> list[bytes]:
    """``currents`` (S, N, ...) of ``x`` (S·N, ...), and ``steps`` = [S]."""
    return [
        node("Constant", [], ["steps_scalar"], value_int="@input_steps"),
        _constant("one_axis", 1),
        node("Reshape", ["steps_scalar", "one_axis"], ["steps"]),
        _constant("rest", -1),
        node("Shape", ["x"], ["sample_shape"], start=1),
        node("Concat", ["steps", "rest", "sample_shape"], ["unfolded_shape"], axis=0),
        node("Reshape", ["x", "unfolded_shape"], ["currents"]),
        node("Cast", ["steps"], ["count"], to=1),
    ]


def _summed() -> list[bytes]:
    return [
        _constant("time", 0),
        node("ReduceSum", ["currents", "time"], ["v_integrated"], keepdims=0),
        node("Mul", ["bias", "count"], ["whole_bias"]),
        node("Add", ["v_integrated", "whole_bias"], ["y"]),
    ]


def _fired(fire: list[bytes]) -> list[bytes]:
    step = [
        node("Add", ["v", "current"], ["driven"]),
        node("Add", ["driven", "bias"], ["v_in"]),
        *fire,
        node("Identity", ["s"], ["spike"]),
    ]
    body = graph("step", step, ["v", "current", "c", "d"], ["v_out", "spike"])
    return [
        node("Constant", [], ["timesteps_scalar"], value_int="@timesteps"),
        node("Reshape", ["timesteps_scalar", "one_axis"], ["timesteps_vector"]),
        node("Shape", ["currents"], ["potential_shape"], start=1),
        node("Concat", ["timesteps_vector", "potential_shape"], ["wide_shape"], axis=0),
        node("Expand", ["currents", "wide_shape"], ["held"]),
        node("Cast", ["timesteps_vector"], ["presented"], to=1),
        node("Div", ["count", "presented"], ["share"]),
        node("Mul", ["held", "share"], ["presented_currents"]),
        node("ConstantOfShape", ["potential_shape"], ["v_start"], value=np.zeros(1, np.float32)),
        node(
            "Scan",
            ["v_start", "presented_currents", "compare", "subtract"],
            ["v_left", "spikes"],
            body=body,
            num_scan_inputs=3,
        ),
        node("Concat", ["rest", "sample_shape"], ["wire_shape"], axis=0),
        node("Reshape", ["spikes", "wire_shape"], ["y"]),
    ]


def _constant(name: str, value: int) -> bytes:
    return node("Constant", [], [name], value=np.asarray([value], np.int64))
