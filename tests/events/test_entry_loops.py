"""Operators entry by entry in one loop, against onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_networks import dyadic

pytest.importorskip("numba")

from onnx2snn.events.channels_last import last, second
from onnx2snn.events.entry_loops import TYPES, Group, as_operand, has_formula
from onnx2snn.events.programs import loop
from onnx2snn.model.reference import run_reference

FLOAT = np.dtype(np.float32)


def test_constants_are_scalars_or_stand_along_the_channels() -> None:
    for values, rank, shape in (
        (np.ones((1, 1, 1)), 4, ()),
        (np.ones((3, 1, 1)), 4, (3,)),
        (np.ones((1, 3, 1, 1)), 4, (3,)),
        (np.ones(3), 2, (3,)),
        (np.ones((1, 3)), 2, (3,)),
    ):
        operand = as_operand(values.astype(np.float32), rank)
        assert operand is not None
        assert operand.shape == shape
    for values, rank in (
        (np.ones(3), 4),
        (np.ones((3, 2, 2)), 4),
        (np.ones((5, 3)), 2),
        (np.ones((1, 3, 1)), 2),
    ):
        assert as_operand(values.astype(np.float32), rank) is None


def test_only_complete_operators_with_a_formula_stand_in_loops() -> None:
    assert has_formula(node("Clip", ["x", "l", "m"], ["y"]))
    assert not has_formula(node("Clip", ["x", "", "m"], ["y"]))
    assert not has_formula(node("Max", ["x", "l", "m"], ["y"]))
    assert not has_formula(node("Erf", ["x"], ["y"]))


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_loop_answers_as_its_operators(rank: int) -> None:
    """A neuron of two operands, thresholds by channel, and two of its values wanted: the level, and whether it fired."""
    shape = (2, 3, 4, 5)[:rank]
    channels = {"k": dyadic(*shape[1:2], *(1,) * (rank - 2), seed=1)} if rank > 1 else {"k": np.float32(0.5)}
    constants = channels | {"l": np.float32(0), "m": np.float32(3)}
    nodes = [
        node("Add", ["x", "z"], ["sum"]),
        node("Sub", ["sum", "k"], ["shifted"]),
        node("Clip", ["shifted", "l", "m"], ["cut"]),
        node("Floor", ["cut"], ["level"]),
        node("Greater", ["level", "l"], ["fired"]),
    ]
    given = {"x": dyadic(*shape, seed=2), "z": dyadic(*shape, seed=3)}
    model = make_model(
        nodes,
        constants,
        {name: list(shape) for name in given},
        {"level": list(shape), "fired": list(shape)},
        types={"fired": onnx.TensorProto.BOOL},
    )
    held = {name: as_operand(np.asarray(value, np.float32), rank) for name, value in constants.items()}
    group = Group(nodes, {name: value for name, value in held.items() if value is not None})
    types = dict.fromkeys(("sum", "shifted", "cut", "level"), FLOAT) | {"fired": TYPES[onnx.TensorProto.BOOL]}
    reads, spelled = group.spelled(["level", "fired"], types.__getitem__)
    assert reads == ("x", "z")
    found = loop(reads, ("level", "fired"), spelled, None).run(*[last(given[name]) for name in reads])
    for name, values in zip(("level", "fired"), found, strict=True):
        np.testing.assert_array_equal(second(values), run_reference(model, given)[name])


def test_operands_of_other_sizes_are_left_to_others() -> None:
    """An open size may be 1, which ONNX spreads over the other operand."""
    reads, spelled = Group([node("Add", ["x", "z"], ["y"])], {}).spelled(["y"], lambda _: FLOAT)
    step = loop(reads, ("y",), spelled, lambda x, z: (x + z,))
    x, z = dyadic(4, 3, seed=0), dyadic(1, 3, seed=1)
    np.testing.assert_array_equal(step.run(x, z)[0], x + z)
    np.testing.assert_array_equal(step.run(x, x)[0], x + x)


def test_one_number_is_taken_for_all_entries() -> None:
    """A clock decides which of two values all neurons take."""
    nodes = [node("Where", ["clock", "x", "z"], ["chosen"]), node("Mul", ["chosen", "gain"], ["y"])]
    reads, spelled = Group(nodes, {}, {"clock", "gain"}).spelled(["y"], lambda _: FLOAT)
    assert reads == ("x", "z", "clock", "gain")
    step = loop(reads, ("y",), spelled, None)
    x, z, gain = dyadic(2, 3, 4, seed=0), dyadic(2, 3, 4, seed=1), np.full((1, 1, 1), 0.5, np.float32)
    for clock, expected in ((np.array(True), x), (np.array(False), z)):
        np.testing.assert_array_equal(step.run(x, z, clock, gain)[0], expected * gain)


def test_a_result_is_of_its_type_inside_a_loop() -> None:
    """Half of something is true, and as a number, 1."""
    nodes = [
        node("Cast", ["x"], ["b"], to=onnx.TensorProto.BOOL),
        node("Cast", ["b"], ["number"], to=onnx.TensorProto.FLOAT),
        node("Greater", ["x", "zero"], ["above"]),
        node("Xor", ["b", "above"], ["below"]),
    ]
    outputs: dict[str, list[int | str]] = {"number": ["N", 9], "below": ["N", 9]}
    kinds = {"below": onnx.TensorProto.BOOL}
    model = make_model(nodes, {"zero": np.float32(0)}, {"x": ["N", 9]}, outputs, types=kinds)
    types = dict.fromkeys(("b", "above", "below"), TYPES[onnx.TensorProto.BOOL]) | {"number": FLOAT}
    group = Group(nodes, {"zero": np.array(0, np.float32)})
    reads, spelled = group.spelled(list(outputs), types.__getitem__)
    x = dyadic(4, 9, seed=0)
    for name, found in zip(outputs, loop(reads, tuple(outputs), spelled, None).run(x), strict=True):
        np.testing.assert_array_equal(found, run_reference(model, {"x": x})[name])
