"""The functions of the dialect in stock runtimes, against the equations of METHOD 3 and 11 in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node
from onnx.reference import ReferenceEvaluator

from onnx2snn.dialect.functions import DOMAIN, TABLE_IF, TABLE_STAIRCASE, attach_functions

Array = np.ndarray[Any, Any]
BITS = 3
#: Rows of sorted thresholds, one a channel; the third layer has fewer levels, and all but two thresholds coincide.
TABLE = np.array(
    [
        [-1.5, -0.25, 0.5, 0.75, 2, 3, 8],
        [-8, -7, -6, 0, 0.5, 0.5, 0.5],
        [0.25, 0.5, np.inf, np.inf, np.inf, np.inf, np.inf],
    ],
    np.float32,
)
ROWS = (np.arange(3) * TABLE.shape[1]).reshape(3, 1)
SAMPLES = np.random.default_rng(0).integers(-40, 40, (5, 3, 4)).astype(np.float32) / 4


def levels_of(v: Array, table: Array) -> Array:
    """How many thresholds are reached, (N, C, ...), of a table (C, ...)."""
    return (v[:, :, None] >= table[None, :, :, None]).sum(axis=2)


def train_of(levels: Array, timesteps: int) -> Array:
    """Spikes (T·N, ...), most significant bit first."""
    bits = np.arange(timesteps - 1, -1, -1).reshape(-1, 1, 1, 1)
    return ((levels[None] >> bits) & 1).reshape(-1, *levels.shape[1:])


def answers(model: onnx.ModelProto, **inputs: Array) -> list[Array]:
    """What both runtimes agree on."""
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, inputs)
    for one, other in zip(found, ReferenceEvaluator(model).run(None, inputs), strict=True):
        np.testing.assert_array_equal(one, other)
    return list(found)


def function_call(operator: str, read: list[str], written: str, **attributes: Any) -> onnx.NodeProto:
    return node(operator, read, [written], f"node_{written}", domain=DOMAIN, **attributes)


def network(
    nodes: list[onnx.NodeProto], constants: dict[str, Array], outputs: list[str], **options: str
) -> onnx.ModelProto:
    shape = ["N", *SAMPLES.shape[1:]]
    model = make_model(
        nodes, constants, {"x": shape}, {name: ["M", *shape[1:]] for name in outputs}, domains=[DOMAIN]
    )
    attach_functions(model, **options)
    return model


@pytest.mark.parametrize("rows", [ROWS, np.array([7])], ids=["a row a channel", "one row for all"])
def test_a_neuron_with_a_table_spikes_its_thresholds_place(rows: Array) -> None:
    """The input is a train of whole numbers; the neuron in front of it has the same T."""
    bias = np.array([[0.25], [0], [-0.5]], np.float32)
    constants = {"bias": bias, "table": TABLE.ravel(), "rows": rows, "none": np.zeros(1, np.float32)}
    nodes = [
        function_call(TABLE_IF, ["x", "bias", "table", "rows"], "s", input_steps=1, timesteps=BITS, levels=7),
        function_call(
            TABLE_IF, ["s", "bias", "table", "rows"], "t", input_steps=BITS, timesteps=BITS, levels=7
        ),
        function_call("Integrate", ["t", "none"], "y", input_steps=BITS),
    ]
    s, t, y = answers(network(nodes, constants, ["s", "t", "y"]), x=SAMPLES)
    table = TABLE if rows.size > 1 else np.repeat(TABLE[1:2], 3, axis=0)
    first = levels_of(SAMPLES + bias, table)
    second = levels_of(first + bias, table)
    np.testing.assert_array_equal(s, train_of(first, BITS))
    np.testing.assert_array_equal(t, train_of(second, BITS))
    np.testing.assert_array_equal(y, second)
    assert len(np.unique(second)) > 2
    fused = answers(network(nodes, constants, ["s", "t", "y"], execution="fused"), x=SAMPLES)
    for found, expected in zip(fused, (first, second, second), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_staircases_of_different_bits_stand_in_one_graph() -> None:
    """Between passes each staircase has its own T: a table of 3 bits, one of 1 bit, and a uniform staircase of 2."""
    theta = np.array([2, 1], np.float32)
    constants = {
        "zero": np.zeros(1, np.float32),
        "table": TABLE.ravel(),
        "rows": ROWS,
        "one": np.array([0.5, 1.5, 2.5], np.float32),
        "places": np.arange(3).reshape(3, 1),
        "theta": theta,
        "top": np.array([3.5], np.float32),
    }
    nodes = [
        function_call(TABLE_STAIRCASE, ["x", "zero", "table", "rows"], "a", timesteps=BITS, levels=7),
        function_call(TABLE_STAIRCASE, ["x", "zero", "one", "places"], "b", timesteps=1, levels=1),
        function_call(
            "Staircase",
            ["x", "zero", "theta", "theta", "top"],
            "c",
            timesteps=2,
            levels=3,
            rounding="floor",
            unit=1,
        ),
    ]
    a, b, c = answers(network(nodes, constants, ["a", "b", "c"]), x=SAMPLES)
    np.testing.assert_array_equal(a, levels_of(SAMPLES, TABLE))
    np.testing.assert_array_equal(b, constants["one"][:, None] <= SAMPLES)
    np.testing.assert_array_equal(c, np.clip(np.floor(SAMPLES), 0, 3))
