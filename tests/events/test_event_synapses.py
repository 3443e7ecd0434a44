"""Synapses by events against onnxruntime: sums that are exact in float32, so every bit has to agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node
from helpers_networks import dyadic

pytest.importorskip("numba")

from onnx2snn.events.channels_last import last, reshaped, second
from onnx2snn.events.event_synapses import followed, pool
from onnx2snn.events.programs import Spelled, loop

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((3, 4, 6, 7), (5, 4, 3, 3), {}),
    "padded": ((2, 4, 6, 7), (8, 4, 3, 3), {"pads": [1, 1, 1, 1]}),
    "padded at one side": ((2, 4, 6, 7), (8, 4, 3, 2), {"pads": [0, 1, 2, 0]}),
    "one place": ((2, 20, 3, 3), (6, 20, 1, 1), {}),
    "a kernel as large as its image": ((2, 17, 3, 3), (6, 17, 3, 3), {}),
    "padding wider than the image": ((2, 3, 2, 2), (4, 3, 5, 5), {"pads": [4, 4, 4, 4]}),
    "strides": ((2, 4, 9, 8), (6, 4, 3, 3), {"strides": [2, 3], "pads": [1, 1, 1, 1]}),
    "dilations": ((2, 4, 9, 8), (6, 4, 3, 3), {"dilations": [2, 1], "pads": [2, 0, 1, 1]}),
    "strides and dilations": ((1, 2, 9, 9), (3, 2, 3, 3), {"strides": [2, 2], "dilations": [2, 2]}),
    "groups": ((2, 6, 5, 5), (8, 3, 3, 3), {"group": 2, "pads": [1, 1, 1, 1]}),
    "depthwise": ((2, 6, 5, 5), (6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    "depthwise, two outputs each": ((2, 3, 5, 5), (6, 1, 3, 3), {"group": 3, "strides": [2, 2]}),
}


def spikes(shape: tuple[int, ...], share: float = 0.3) -> np.ndarray:
    """Levels, of both signs, most of them zero."""
    rng = np.random.default_rng(1)
    return (rng.integers(-7, 8, shape) * (rng.random(shape) < share)).astype(np.float32)


def expected(operator: onnx.NodeProto, constants: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    sizes = {"x": [None] * x.ndim, "y": None}
    model = make_model([operator], constants, {"x": sizes["x"]}, {"y": sizes["y"]})  # type: ignore[dict-item]
    found: np.ndarray = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    return found


def ran(spelled: Spelled | None, x: np.ndarray) -> np.ndarray | None:
    """Its answer, channels second; None where it is not worth it."""
    assert spelled is not None
    refused: list[np.ndarray] = []
    step = loop(("x",), ("y",), spelled, lambda values: refused.append(values) or [values])  # type: ignore[func-returns-value]
    (found,) = step.run(last(x))
    return None if refused else second(found)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str, biased: bool) -> None:
    before, shape, held = CONVOLUTIONS[name]
    constants = {"w": dyadic(*shape, seed=2)} | ({"b": dyadic(shape[0], seed=3)} if biased else {})
    operator = node("Conv", ["x", *constants], ["y"], **held)
    found = ran(followed(operator, constants.get, 4), spikes(before))
    np.testing.assert_array_equal(found, expected(operator, constants, spikes(before)))


@pytest.mark.parametrize("size", [5, 16, 40])
@pytest.mark.parametrize("form", ["MatMul", "Gemm", "Gemm, transposed", "Gemm, one bias"])
def test_matrices(form: str, size: int) -> None:
    turned = form == "Gemm, transposed"
    constants = {"w": dyadic(*((7, size) if turned else (size, 7)), seed=2)}
    constants |= {} if form == "MatMul" else {"b": dyadic(1 if form.endswith("bias") else 7, seed=3)}
    operator = node(
        form.split(",", maxsplit=1)[0], ["x", *constants], ["y"], **({"transB": 1} if turned else {})
    )
    found = ran(followed(operator, constants.get, 2), spikes((3, size)))
    np.testing.assert_array_equal(found, expected(operator, constants, spikes((3, size))))


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize(
    ("kernel", "strides"), [([2, 2], [2, 2]), ([2, 4], [1, 3]), ([1, 1], [2, 2]), ([2, 2], None)]
)
def test_pools(kind: str, kernel: list[int], strides: list[int] | None) -> None:
    """Silent entries are larger than negative ones."""
    held = {"kernel_shape": kernel} | ({"strides": strides} if strides else {})
    operator, x = node(kind, ["x"], ["y"], **held), spikes((2, 5, 7, 8), 0.8)
    np.testing.assert_array_equal(ran(pool(operator, 4), x), expected(operator, {}, x))


@pytest.mark.parametrize(
    "operator",
    [
        node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1, 1, 0, 0]),
        node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], ceil_mode=1),
        node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[2, 2]),
        node("MaxPool", ["x"], ["y", "places"], kernel_shape=[2, 2]),
        node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
        node("Relu", ["x"], ["y"]),
    ],
)
def test_what_is_no_pool_of_plain_windows_has_no_loop(operator: onnx.NodeProto) -> None:
    assert pool(operator, 4) is None


def test_what_is_not_constant_has_no_loop() -> None:
    assert followed(node("MatMul", ["x", "z"], ["y"]), lambda _: None, 2) is None
    weights = {"w": dyadic(4, 4, 3, 3, seed=0)}
    assert followed(node("Conv", ["x", "w", "z"], ["y"]), weights.get, 4) is None
    assert followed(node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER"), weights.get, 4) is None
    assert followed(node("Gemm", ["x", "w"], ["y"], alpha=0.5), {"w": dyadic(4, 4, seed=0)}.get, 2) is None


def test_a_bias_by_row_has_no_loop() -> None:
    """It may have as many values as there are columns."""
    held = {"w": dyadic(4, 4, seed=0), "b": dyadic(4, 1, seed=1)}
    assert followed(node("Gemm", ["x", "w", "b"], ["y"]), held.get, 2) is None
    held["b"] = held["b"].reshape(1, 4)
    found = ran(followed(node("Gemm", ["x", "w", "b"], ["y"]), held.get, 2), spikes((4, 4)))
    np.testing.assert_array_equal(found, spikes((4, 4)) @ held["w"] + held["b"])


def test_many_events_are_left_to_dense_kernels() -> None:
    constants = {"w": dyadic(64, 64, 3, 3, seed=0)}
    spelled = followed(node("Conv", ["x", "w"], ["y"]), constants.get, 4)
    assert ran(spelled, spikes((1, 64, 16, 16), 0.02)) is not None
    assert ran(spelled, spikes((1, 64, 16, 16), 0.9)) is None


@pytest.mark.parametrize("strides", [[1, 1], [2, 1]])
def test_images_smaller_than_a_window_are_left_to_those_who_refuse_them(strides: list[int]) -> None:
    constants = {"w": dyadic(4, 2, 5, 5, seed=0)}
    spelled = followed(node("Conv", ["x", "w"], ["y"], strides=strides), constants.get, 4)
    assert ran(spelled, spikes((1, 2, 5, 5))) is not None
    assert ran(spelled, spikes((1, 2, 4, 6))) is None


@pytest.mark.parametrize(
    ("before", "sizes"),
    [((2, 3, 4, 5), (60,)), ((2, 60), (3, 4, 5)), ((2, 3, 20), (4, 15)), ((6, 2), (4,)), ((2, 3, 4), (3, 4))],
)
def test_shapes_change_as_onnx_counts(before: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    x = np.arange(np.prod(before), dtype=np.float32).reshape(before)
    np.testing.assert_array_equal(ran(reshaped(before[1:], sizes), x), x.reshape(-1, *sizes))
