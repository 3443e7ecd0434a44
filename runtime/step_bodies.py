"""The neuron of a pipeline, one time step at a time: the equations of :mod:`onnx2snn.runtime.bodies`, state in, state out.

    Accumulate   v ← 2·v + I(t)                                       the potential that integrates a sample's currents
    Fire         s(t) = [v ≥ compare(t)];   v ← v − s(t)·subtract(t)  the potential of the sample before, which it generates

A neuron of a pipeline has both potentials, because it generates one sample's spikes while it integrates the next. At the
end of a phase of T steps the first, with its bias added and saturated, becomes the second.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.runtime.bodies import DOMAIN, FIRE, integration_step
from onnx2snn.runtime.wire import call, function, node

#: The further inputs of ``Accumulate`` in each bias form.
_FURTHER = {"once": (), "per-step": ("bias",), "paper": ("bias", "step")}


def step_functions(bias: str, opset: int) -> list[bytes]:
    """FunctionProtos ``Accumulate`` and ``Fire``, for models that store biases in the form ``bias``."""
    step = integration_step(bias)
    if bias == "paper":
        step = [*_gain(), *step]
    accumulate = function(
        DOMAIN,
        "Accumulate",
        step,
        ["v_in", "current", *_FURTHER[bias]],
        ["v_out"],
        attributes=["input_steps"] if bias == "paper" else [],
        opset=opset,
        doc="One time step of integration.",
    )
    fire = function(
        DOMAIN,
        "Fire",
        [
            node("Gather", ["compare", "step"], ["c"], axis=0),
            node("Gather", ["subtract", "step"], ["d"], axis=0),
            *FIRE,
        ],
        ["v_in", "compare", "subtract", "step"],
        ["s", "v_out"],
        attributes=[],
        opset=opset,
        doc="One time step of generation, with soft reset.",
    )
    return [accumulate, fire]


def accumulate(
    bias: str, timesteps: int, *, v: str, current: str, biases: str, step: str, output: str
) -> bytes:
    """The node that adds the current of one time step to the potential ``v``."""
    given = {"bias": biases, "step": step}
    attributes = {"input_steps": timesteps} if bias == "paper" else {}
    further = [given[name] for name in _FURTHER[bias]]
    return call(DOMAIN, "Accumulate", [v, current, *further], [output], **attributes)


def fire(v: str, compare: str, subtract: str, *, step: str, spikes: str, output: str) -> bytes:
    """The node that makes the ``spikes`` of one time step of the potential ``v``."""
    return call(DOMAIN, "Fire", [v, compare, subtract, step], [spikes, output])


def _gain() -> list[bytes]:
    """``gain``: 2^(S−1−t), of time step t."""
    return [
        node("Constant", [], ["steps"], value_int="@input_steps"),
        node("Constant", [], ["one"], value=np.asarray(1, np.int64)),
        node("Sub", ["steps", "one"], ["last"]),
        node("Sub", ["last", "step"], ["exponent"]),
        node("Cast", ["exponent"], ["power"], to=1),
        node("Constant", [], ["two"], value=np.asarray(2, np.float32)),
        node("Pow", ["two", "power"], ["gain"]),
    ]
