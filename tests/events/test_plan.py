"""In which steps a network is computed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_networks import dyadic

pytest.importorskip("numba")

from onnx2snn.events.channels_last import last, second
from onnx2snn.events.plan import Planner
from onnx2snn.events.programs import EventStep, program
from onnx2snn.model.reference import run_reference

CONSTANTS = {
    "w": dyadic(8, 2, 3, 3, seed=0),
    "v": dyadic(8, 4, seed=1),
    "zero": np.float32(0),
    "top": np.float32(3),
    "axes": np.array([2, 3]),
    "shape": np.array([-1, 8]),
}


def planned(
    nodes: list[onnx.NodeProto], outputs: dict[str, list[int | str]]
) -> tuple[onnx.ModelProto, list[EventStep]]:
    read = {name for one in nodes for name in one.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in read}
    model = make_model(nodes, constants, {"x": ["N", 2, 6, 6]}, outputs, opset=18)
    return model, Planner(onnx.shape_inference.infer_shapes(model), {}).steps()


def neuron(potential: str, level: str) -> list[onnx.NodeProto]:
    return [
        node("Clip", [potential, "zero", "top"], [f"{level}/cut"]),
        node("Floor", [f"{level}/cut"], [level]),
    ]


def assert_right(model: onnx.ModelProto, steps: list[EventStep]) -> None:
    x = dyadic(3, 2, 6, 6, seed=2)
    names = [info.name for info in model.graph.output]
    for name, value in zip(names, program(steps, ["x"], names)(last(x)), strict=True):
        np.testing.assert_array_equal(second(value), run_reference(model, {"x": x})[name])


def test_synapses_neurons_and_shapes_are_loops() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["z"]),
        *neuron("z", "k"),
        node("ReduceMax", ["k", "axes"], ["largest"]),
        node("Reshape", ["largest", "shape"], ["flat"]),
        node("MatMul", ["flat", "v"], ["y"]),
    ]
    model, steps = planned(nodes, {"y": ["N", 4]})
    assert [step.writes for step in steps] == [("z",), ("k",), ("largest",), ("flat",), ("y",)]
    assert [step.spelled is not None for step in steps] == [
        True,
        True,
        False,
        True,
        True,
    ]  # the maximum is onnxruntime's
    assert_right(model, steps)


def test_what_nothing_waits_for_is_one_piece_at_the_end() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["z"]),
        *neuron("z", "k"),
        node("ReduceSum", ["k", "axes"], ["counted"], keepdims=0),
        node("Mul", ["counted", "top"], ["spikes/first"]),
        node("Conv", ["x", "w"], ["other"]),
        *neuron("other", "y"),
        node("ReduceSum", ["y", "axes"], ["spikes/second"], keepdims=0),
    ]
    outputs: dict[str, list[int | str]] = {
        "y": ["N", 8, 4, 4],
        "spikes/first": ["N", 8],
        "spikes/second": ["N", 8],
    }
    model, steps = planned(nodes, outputs)
    assert steps[-1].writes == ("spikes/first", "spikes/second")
    assert all(step.spelled is not None for step in steps[:-1])
    assert_right(model, steps)


def test_neurons_of_two_potentials_are_two_loops() -> None:
    """They may be of as many channels and places, and not of as many samples."""
    nodes = [
        node("Conv", ["x", "w"], ["z"]),
        node("Concat", ["z", "z"], ["twice"], axis=0),
        *neuron("z", "k"),
        *neuron("twice", "y"),
    ]
    model, steps = planned(nodes, {"k": ["N", 8, 4, 4], "y": ["M", 8, 4, 4]})
    assert [step.writes for step in steps] == [("z",), ("k",), ("twice",), ("y",)]
    assert_right(model, steps)


def test_large_loops_are_not_compiled_with_their_neighbours() -> None:
    model = make_model(
        [node("Conv", ["x", "w"], ["z"]), *neuron("z", "y")],
        {name: CONSTANTS[name] for name in ("w", "zero", "top")},
        {"x": ["N", 2, 66, 66]},
        {"y": ["N", 8, 64, 64]},
    )
    steps = Planner(onnx.shape_inference.infer_shapes(model), {}).steps()
    assert [step.spelled for step in steps] == [None, None]


def test_what_does_not_fit_a_loop_is_computed_from_the_same_tensors() -> None:
    """An open size is 1, and a clock that is one number stands in front of what it chooses from."""
    nodes = [node("Where", ["clock", "x", "zero"], ["chosen"]), node("Mul", ["chosen", "gain"], ["y"])]
    sizes: dict[str, list[int | str]] = {"clock": [], "x": ["N", 3], "gain": ["M", 3], "y": ["K", 3]}
    inputs = {name: sizes[name] for name in ("clock", "x", "gain")}
    model = make_model(
        nodes, {"zero": np.float32(0)}, inputs, {"y": sizes["y"]}, types={"clock": onnx.TensorProto.BOOL}
    )
    steps = Planner(onnx.shape_inference.infer_shapes(model), {}).steps()
    x = dyadic(4, 3, seed=0)
    for gain in (dyadic(4, 3, seed=1), dyadic(1, 3, seed=1)):
        (found,) = program(steps, list(inputs), ["y"])(np.array(True), x, gain)
        np.testing.assert_array_equal(found, x * gain)
