"""The bound is a bound: float32 against float64, for every operator that may stand between neurons, and for chains of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

from onnx2snn.dialect.subnetworks import POTENTIAL
from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import split_model
from onnx2snn.operators.signals import EXACT, UNIT64, Precision, Signal, gamma, quantum

Nodes = list[tuple[str, list[Any], dict[str, Any]]]
RANDOM = np.random.default_rng(5)


def drawn(*shape: int, unit: float = 0.0) -> np.ndarray:
    """Any numbers, or small multiples of a power of two."""
    values = RANDOM.normal(0, 1, shape) if not unit else RANDOM.integers(-8, 9, shape) * unit
    return values.astype(np.float32)


def chain(nodes: Nodes, shape: tuple[int, ...]) -> onnx.ModelProto:
    """x ─▶ operators, each reading what the one before wrote (as ``None``) ─▶ POTENTIAL."""
    made, constants, last = [], {}, "x"
    for number, (op, inputs, attributes) in enumerate(nodes):
        names = []
        for position, value in enumerate(inputs):
            if value is None or isinstance(value, str):
                names.append(last if value is None else value)
                continue
            names.append(f"c{number}_{position}")
            constants[names[-1]] = np.asarray(value)
        outputs = [f"t{number}"] if op != "Split" else [f"t{number}", f"rest{number}"]
        made.append(node(op, names, outputs, f"n{number}", **attributes))
        last = outputs[0]
    made.append(node("Identity", [last], [POTENTIAL], "last"))
    model = make_model(made, constants, {"x": ["N", *shape[1:]]}, {POTENTIAL: None}, opset=21, ir_version=10)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def conv(
    *size: int, unit: float = 0.0, op: str = "Conv", **attributes: Any
) -> tuple[str, list[Any], dict[str, Any]]:
    outer = size[0] if op == "Conv" else size[1] * attributes.get("group", 1)
    return op, [None, drawn(*size, unit=unit), drawn(outer, unit=unit)], attributes


IMAGE = (3, 4, 9, 8)
CHAINS: dict[str, tuple[tuple[int, ...], Callable[[float], Nodes]]] = {
    "conv": (IMAGE, lambda u: [conv(6, 4, 3, 3, unit=u, pads=[1, 1, 1, 1], strides=[2, 1])]),
    "conv in groups": (IMAGE, lambda u: [conv(8, 2, 3, 2, unit=u, group=2, dilations=[2, 1])]),
    "transposed": (IMAGE, lambda u: [conv(4, 3, 3, 3, unit=u, op="ConvTranspose", strides=[2, 3], pads=[1, 0, 0, 1])]),
    "transposed groups": (IMAGE, lambda u: [conv(4, 3, 2, 3, unit=u, op="ConvTranspose", group=2, strides=[1, 2])]),
    "gemm": ((5, 40), lambda u: [("Gemm", [None, drawn(7, 40, unit=u), drawn(7, unit=u)], {"transB": 1})]),
    "gemm, scaled": ((5, 40), lambda _: [("Gemm", [None, drawn(40, 7), drawn(7)], {"alpha": 0.3, "beta": -1.7})]),
    "matmul": ((5, 6, 40), lambda u: [("MatMul", [None, drawn(40, 7, unit=u)], {}), ("Sub", [drawn(7, unit=u), None], {})]),
    "matmul from the left": ((5, 6, 4), lambda u: [("MatMul", [drawn(3, 6, unit=u), None], {})]),
    "average pool": (IMAGE, lambda _: [("AveragePool", [None], {"kernel_shape": [2, 2], "strides": [2, 2]})]),
    "padded pool": (IMAGE, lambda _: [("AveragePool", [None], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})]),
    "global pool": (IMAGE, lambda _: [("GlobalAveragePool", [None], {})]),
    "mean": (IMAGE, lambda _: [("ReduceMean", [None, np.array([1, 3])], {"keepdims": 1})]),
    "sum": (IMAGE, lambda _: [("ReduceSum", [None, np.array([2])], {"keepdims": 0})]),
    "linear resize": (IMAGE, lambda _: [("Resize", [None, "", np.array([1, 1, 1.7, 2.3], np.float32)], {"mode": "linear"})]),
    "cubic resize": (IMAGE, lambda _: [("Resize", [None, "", np.array([1, 1, 2, 3], np.float32)], {"mode": "cubic"})]),
    "nearest resize": (IMAGE, lambda _: [("Resize", [None, "", np.array([1, 1, 2, 3], np.float32)], {"mode": "nearest"})]),
    "line": (IMAGE, lambda u: [("Div", [None, np.float32(0.25 if u else 0.3)], {}), ("Mul", [drawn(4, 1, 1, unit=u), None], {}),
                               ("Neg", [None], {}), ("Add", [None, drawn(4, 1, 1, unit=u)], {})]),
    "batch norm": (IMAGE, lambda _: [
        ("BatchNormalization", [None, drawn(4), drawn(4), drawn(4) * 9, np.abs(drawn(4)) + 0.01], {})]),
    "pieces": (IMAGE, lambda u: [conv(6, 4, 3, 3, unit=u), ("Split", [None, np.array([4, 2])], {"axis": 1}),
                                 ("Slice", [None, np.array([1]), np.array([6]), np.array([2])], {}),
                                 ("Transpose", [None], {"perm": [0, 2, 1, 3]}), ("Concat", [None, None], {"axis": 1})]),
    "two in a row": (IMAGE, lambda u: [conv(6, 4, 3, 3, unit=u), conv(5, 6, 1, 1, unit=u), ("Mean", [None, None], {}),
                                       ("Pad", [None, np.array([0, 0, 1, 1, 0, 0, 1, 0]), np.float32(0.5)], {}),
                                       ("MaxPool", [None], {"kernel_shape": [2, 2]})]),
    "functions": (IMAGE, lambda _: [conv(6, 4, 3, 3), ("Sigmoid", [None], {}), conv(5, 6, 1, 1), ("Tanh", [None], {}),
                                    ("Softmax", [None], {"axis": 1}), ("LeakyRelu", [None], {"alpha": 0.3}),
                                    ("Clip", [None, np.float32(0.1), np.float32(0.4)], {}), ("HardSwish", [None], {})]),
    "curves": (IMAGE, lambda _: [conv(6, 4, 3, 3), ("Tanh", [None], {}), ("Exp", [None], {}),
                                 conv(5, 6, 1, 1), ("Softplus", [None], {}),
                                 ("Sqrt", [None], {}), ("Log", [None], {}), ("Pow", [None, np.float32(2)], {})]),
    "products": (IMAGE, lambda u: [conv(6, 4, 3, 3, unit=u), ("Mul", [None, None], {}), conv(5, 6, 1, 1, unit=u)]),
}  # fmt: skip


def analysed(model: onnx.ModelProto, x: np.ndarray) -> Signal:
    """Potentials in float64, Σ|w|·|x|, and what is known of the rounding."""
    signal = RunningError(split_model(model))({"x": x}, {"x": quantum(x)}, Precision(timesteps=4))
    assert not signal.measured
    return signal


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_float32_stays_within_the_bound(name: str, scale: float) -> None:
    shape, nodes = CHAINS[name]
    model = chain(nodes(0.0), shape)
    x = drawn(200, *shape[1:]) * np.float32(scale)
    signal = analysed(model, x)
    found = run_reference(model, {"x": x})[POTENTIAL]
    assert signal.value.shape == found.shape == signal.size.shape
    bound = gamma(max(signal.rounding.terms, 1)) * signal.size + 1e-30
    assert (np.abs(found - signal.value) <= bound).all()
    assert (np.abs(signal.value) <= signal.size * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", CHAINS)
def test_multiples_of_a_power_of_two_are_exact(name: str) -> None:
    shape, nodes = CHAINS[name]
    model = chain(nodes(0.125), shape)
    x = RANDOM.integers(0, 16, (50, *shape[1:])).astype(np.float32)
    signal = analysed(model, x)
    exact, held = signal.value, signal.rounding.quantum
    if not np.all(held):
        return
    sure = signal.size <= EXACT * held
    assert sure.all() or name == "products"
    np.testing.assert_array_equal(run_reference(model, {"x": x})[POTENTIAL][sure], exact[sure])
    np.testing.assert_array_equal(exact / held, np.rint(exact / held))


def test_most_dyadic_operators_are_known_to_be_exact() -> None:
    x = RANDOM.integers(0, 16, (2, *IMAGE[1:])).astype(np.float32)
    exact = [
        name
        for name, (shape, nodes) in CHAINS.items()
        if shape == IMAGE and np.all(analysed(chain(nodes(0.125), shape), x).rounding.quantum)
    ]
    assert {
        "conv",
        "conv in groups",
        "transposed",
        "average pool",
        "sum",
        "line",
        "pieces",
        "two in a row",
    } <= set(exact)
    assert not {"batch norm", "linear resize", "functions", "padded pool"} & set(exact)


def test_sums_that_are_too_long_are_not_called_exact() -> None:
    weights = np.full((1, 4096), 2.0**-12 + 1, np.float32)
    model = chain([("Gemm", [None, weights, np.zeros(1, np.float32)], {"transB": 1})], (1, 4096))
    signal = analysed(model, np.full((1, 4096), 255.0, np.float32))
    assert signal.rounding.quantum == 2.0**-12
    assert signal.size > EXACT * signal.rounding.quantum


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0, 0.75, 0.0], 0.25), ([6.0], 2.0), ([2.0**-30, 1.0], 2.0**-30), ([0.1], np.spacing(0.1))],
)
def test_the_quantum_of_numbers(values: list[float], expected: float) -> None:
    assert quantum(np.array(values)) == pytest.approx(expected) or quantum(np.array(values)) > expected
    assert np.all(np.array(values) / quantum(np.array(values)) % 1 == 0)


def test_float64_is_fine_enough() -> None:
    assert gamma(1) > 2**28 * UNIT64


def test_an_operator_without_a_rule_is_measured() -> None:
    model = chain([("LRN", [None], {"size": 3})], (2, 3, 4, 4))
    x = drawn(2, 3, 4, 4)
    signal = RunningError(split_model(model))({"x": x}, {}, Precision(timesteps=4))
    assert signal.measured
    assert signal.reach is not None
    assert (np.abs(run_reference(model, {"x": x})[POTENTIAL] - signal.value) <= signal.reach).all()


def test_quotients_and_products_of_potentials_have_bounds_near_what_rounds() -> None:
    """A normalised sample, divided by its own range, times itself: attention that is quantised by the data."""
    nodes = [
        node("ReduceMean", ["x", "axis"], ["mean"]),
        node("Sub", ["x", "mean"], ["d"]),
        node("Mul", ["d", "d"], ["square"]),
        node("ReduceMean", ["square", "axis"], ["variance"]),
        node("Sqrt", ["variance"], ["deviation"]),
        node("Div", ["d", "deviation"], ["y"]),
        node("ReduceMax", ["y", "axis"], ["range"]),
        node("Div", ["y", "range"], ["share"]),
        node("Transpose", ["share"], ["turned"], perm=[0, 2, 1]),
        node("MatMul", ["share", "turned"], ["scores"]),
        node("Softmax", ["scores"], [POTENTIAL], axis=-1),
    ]
    model = make_model(
        nodes, {"axis": np.array([2])}, {"x": ["N", 6, 16]}, {POTENTIAL: ["N", 6, 6]}, opset=21
    )
    x = drawn(50, 6, 16)
    signal = analysed(model, x)
    found = run_reference(model, {"x": x})[POTENTIAL]
    bound = gamma(signal.rounding.terms) * signal.size
    assert (np.abs(found - signal.value) <= bound).all()
    assert bound.max() < 0.01
    assert signal.reach is None
