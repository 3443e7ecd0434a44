"""Places of quantisers: any function, product or quotient between synapses goes to a spiking network, losslessly."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import Activation, Builder, twice_activated

import onnx2snn
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.calibration.quantiser_places import find_places
from onnx2snn.cli.calibrate import calibration_lines
from onnx2snn.exact import rounded_network
from onnx2snn.model.reference import run_reference
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model

X = {"x": np.random.default_rng(0).normal(0, 1, (24, 6)).astype(np.float32)}
SEQUENCE = {"x": np.random.default_rng(1).normal(0, 1, (12, 5, 8)).astype(np.float32)}


def gelu(b: Builder, z: str) -> str:
    """As PyTorch exports it for older operator sets."""
    inner = b.add("Add", b.add("Erf", b.add("Div", z, np.float32(np.sqrt(2)))), 1.0)
    return b.add("Mul", b.add("Mul", z, inner), 0.5)


def gated(b: Builder, z: str) -> str:
    """A gated linear unit: a product of two activations."""
    return b.add("Mul", b.dense(z, (8, 8), 11), b.add("Sigmoid", b.dense(z, (8, 8), 13)))


FUNCTIONS: dict[str, Activation] = {
    "LeakyRelu": lambda b, z: b.add("LeakyRelu", z),
    "PRelu": lambda b, z: b.add("PRelu", z, np.linspace(0.1, 0.3, 8, dtype=np.float32)),
    "HardSwish": lambda b, z: b.add("HardSwish", z),
    "Sigmoid": lambda b, z: b.add("Sigmoid", z),
    "Tanh": lambda b, z: b.add("Tanh", z),
    "Elu": lambda b, z: b.add("Elu", z),
    "SiLU": lambda b, z: b.add("Mul", z, b.add("Sigmoid", z)),
    "GELU": gelu,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_tables(name: str) -> None:
    model = twice_activated(FUNCTIONS[name])
    calibration = onnx2snn.calibrate(model, X, timesteps=6)
    assert [layer.levels for layer in calibration.layers] == [63, 63]
    assert calibration.output_error is not None
    assert calibration.output_error < 0.06
    conversion = onnx2snn.convert(calibration.model)
    assert not conversion.non_spiking
    certificate = onnx2snn.verify(calibration.model, conversion.model, X)
    assert certificate.lossless
    assert sum(layer.ambiguous for layer in certificate.layers) == 0
    assert calibration.exact is not None
    assert calibration.exact.exact


@pytest.mark.parametrize("exact", [True, False])
def test_gates_are_products_of_levels(exact: bool) -> None:
    calibration = onnx2snn.calibrate(twice_activated(gated), X, timesteps=6, exact=exact)
    assert calibration.output_error is not None
    assert calibration.output_error < 0.15
    conversion = onnx2snn.convert(calibration.model)
    assert not conversion.non_spiking
    assert onnx2snn.verify(calibration.model, conversion.model, X).lossless


def encoder() -> onnx.ModelProto:
    """A layer norm, attention of one head, a perceptron with GELU, each beside a shortcut."""
    b = Builder()
    width = 8

    def dense(x: str, size: tuple[int, int], seed: int) -> str:
        drawn = np.random.default_rng(seed).normal(0, size[0] ** -0.5, size)
        return b.add("Add", b.add("MatMul", x, drawn.astype(np.float32)), np.full(size[1], 0.1, np.float32))

    stream = dense("x", (width, width), 1)

    def norm(x: str, seed: int) -> str:
        drawn = np.random.default_rng(seed)
        gamma, beta = drawn.uniform(0.5, 1.5, width), drawn.normal(0, 0.2, width)
        return b.add("LayerNormalization", x, gamma.astype(np.float32), beta.astype(np.float32), axis=-1)

    read = norm(stream, 2)
    query, key, value = (dense(read, (width, width), seed) for seed in (3, 5, 7))
    scores = b.add("Mul", b.add("MatMul", query, b.add("Transpose", key, perm=[0, 2, 1])), 0.35)
    mixed = b.add("MatMul", b.add("Softmax", scores, axis=-1), value)
    stream = b.add("Add", stream, dense(mixed, (width, width), 9))
    inner = gelu(b, dense(norm(stream, 11), (width, 2 * width), 13))
    stream = b.add("Add", stream, dense(inner, (2 * width, width), 15))
    out = dense(norm(stream, 17), (width, 3), 19)
    return b.model({"x": ["N", 5, width]}, {"y": (out, ["N", 5, 3])})


def test_an_encoder_of_a_transformer() -> None:
    model = encoder()
    calibration = onnx2snn.calibrate(model, SEQUENCE, timesteps=7)
    assert calibration.output_error is not None
    assert calibration.output_error < 0.1
    conversion = onnx2snn.convert(calibration.model)
    assert not conversion.non_spiking
    assert onnx2snn.verify(calibration.model, conversion.model, SEQUENCE).lossless


def test_grids_that_prove_nothing_are_left_out_where_they_cost_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounded_network, "WORTH", 0.0)
    rounded = onnx2snn.calibrate(encoder(), SEQUENCE, timesteps=5)
    assert rounded.exact is None
    assert rounded.output_error is not None
    assert rounded.output_error < 0.12
    assert rounded.error_on_grids not in (None, rounded.output_error)
    told = [line.plain for line in calibration_lines(rounded.to_dict())]
    assert any("weights stay float" in line for line in told)


def test_quantisers_stand_where_values_enter_synapses_or_products() -> None:
    graph = apply_owned(import_model(encoder()), PREPARE)
    operators = [place.operator for place in find_places(graph, exact=True)]
    assert operators.count("LayerNormalization") == 3
    assert operators.count("Softmax") == 1
    assert len(operators) == 9  # and query, key, value, what they mix, and the function


@pytest.mark.parametrize(("side", "exact", "means"), [(16, True, 1), (4, True, 0), (16, False, 0)])
def test_averages_of_many_levels_are_quantised_in_front_of_hidden_synapses(
    side: int, exact: bool, means: int
) -> None:
    b = Builder()
    a = b.add("Relu", b.conv("x", (3, 4), 1))
    squeezed = b.add("Relu", b.dense(b.add("Flatten", b.add("GlobalAveragePool", a)), (4, 8), 3))
    gates = b.add("Unsqueeze", b.add("Sigmoid", b.dense(squeezed, (8, 4), 5)), np.array([2, 3]))
    last = b.add("Relu", b.conv(b.add("Mul", a, gates), (4, 8), 7))
    out = b.dense(b.add("Flatten", b.add("GlobalAveragePool", last)), (8, 3), 9)  # a readout
    model = b.model({"x": ["N", 3, side, side]}, {"y": (out, ["N", 3])})
    places = find_places(apply_owned(import_model(model), PREPARE), exact=exact)
    assert sum(place.operator == "Flatten" for place in places) == means


def test_a_number_without_an_axis_is_quantised_where_it_has_one() -> None:
    b = Builder()
    z = b.dense(b.add("Relu", b.dense("x", (6, 8), 1)), (8, 1), 3)
    number = b.add("Sigmoid", b.add("Squeeze", z, np.array([1], np.int64)))
    out = b.dense(b.add("Unsqueeze", number, np.array([1], np.int64)), (1, 3), 5)
    model = b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])})
    calibration = onnx2snn.calibrate(model, X, timesteps=5)
    assert calibration.output_error is not None
    assert calibration.output_error < 0.1
    conversion = onnx2snn.convert(calibration.model)
    assert not conversion.non_spiking
    assert onnx2snn.verify(calibration.model, conversion.model, X).lossless


def test_in_front_of_the_first_synapses_and_behind_the_last_ones_nothing_is_touched() -> None:
    b = Builder()
    read = b.dense(b.add("Tanh", "x"), (6, 8), 1)
    out = b.add("Softmax", b.dense(b.add("Sigmoid", read), (8, 3), 3), axis=-1)
    model = b.model({"x": ["N", 6]}, {"y": (b.add("Mul", out, out), ["N", 3])})
    places = find_places(apply_owned(import_model(model), PREPARE), exact=True)
    assert [place.operator for place in places] == ["Sigmoid"]


def test_an_activation_of_few_levels_is_worse_than_one_of_many() -> None:
    model = twice_activated(FUNCTIONS["SiLU"])
    expected = run_reference(model, X)["y"]
    errors = []
    for timesteps in (3, 5, 7):
        found = run_reference(onnx2snn.calibrate(model, X, timesteps=timesteps).model, X)["y"]
        errors.append(float(np.std(found - expected)))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("method", ["mse", "percentile", "max"])
def test_thresholds_alone(method: str) -> None:
    calibration = onnx2snn.calibrate(twice_activated(FUNCTIONS["GELU"]), X, timesteps=7, method=method)  # type: ignore[arg-type]
    assert calibration.output_error is not None
    assert calibration.output_error < 0.1


def test_a_range_has_to_be_seen() -> None:
    with pytest.raises(onnx2snn.InputError, match="has to be seen in data"):
        onnx2snn.calibrate(twice_activated(FUNCTIONS["SiLU"]))


def test_what_is_no_function_is_kept_on_request() -> None:
    b = Builder()
    hard = b.add("Hardmax", b.dense(b.add("Relu", b.dense("x", (6, 8), 1)), (8, 8), 3))
    out = b.dense(b.add("Relu", b.dense(hard, (8, 8), 5)), (8, 3), 7)
    model = b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])})
    with pytest.raises(onnx2snn.ConversionError) as caught:
        onnx2snn.calibrate(model, X)
    assert caught.value.operator == "Hardmax"
    calibration = onnx2snn.calibrate(model, X, timesteps=6, hybrid=True)
    assert calibration.non_spiking == ("n3",)
    conversion = onnx2snn.convert(model, calibrate=X, timesteps=6, hybrid=True)
    assert [k.operator for k in conversion.non_spiking] == ["Hardmax"]
    assert onnx2snn.verify(calibration.model, conversion.model, X).lossless


@pytest.mark.parametrize("shape", [(1, 5, 8), (5, 8), (5, 1), (8,), (1, 1, 8)])
def test_a_function_that_differs_by_place(shape: tuple[int, ...]) -> None:
    """A term of each position, or of each channel, between two functions."""
    b = Builder()
    rng = np.random.default_rng(0)

    def dense(x: str, inner: int, outer: int) -> str:
        return b.add("MatMul", x, (rng.normal(size=(inner, outer)) * inner**-0.5).astype(np.float32))

    first = b.add("Relu", dense("x", 8, 8))
    second = b.add("Relu", b.add("Add", first, rng.normal(size=shape).astype(np.float32)))
    model = b.model({"x": ["N", 5, 8]}, {"y": (dense(second, 8, 3), ["N", 5, 3])})
    calibration = onnx2snn.calibrate(model, SEQUENCE, timesteps=6)
    assert calibration.output_error is not None
    assert calibration.output_error < 0.05
    assert onnx2snn.verify(calibration.model, onnx2snn.convert(calibration.model), SEQUENCE).lossless
