"""Networks with general float32 weights made exact: the same bits in every execution, runtime setting and thread count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_exact_networks import NETWORKS, convolved, read_out, residual, weights
from helpers_graphs import make_model, node
from helpers_networks import Builder, Network

import onnx2snn
from onnx2snn.exact.proof import Proof, prove_model, surplus
from onnx2snn.model.reference import make_runner
from onnx2snn.runtime import SpikingSession


def answers(model: onnx.ModelProto, inputs: dict[str, np.ndarray], level: Any, threads: int) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level, options.intra_op_num_threads = level, threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


@pytest.mark.parametrize("made", NETWORKS)
def test_the_same_bits_however_it_is_run(made: Callable[[], Network], tmp_path: Path) -> None:
    network = made()
    x = {"x": np.random.default_rng(0).normal(size=(8, *network.shapes["x"])).astype(np.float32)}
    exact = onnx2snn.snap(network.model, x)
    before, expected = make_runner(network.model)(x)["y"], make_runner(exact.model)(x)["y"]
    assert np.abs(expected - before).max() < 0.02 * np.abs(before).max()  # a few neurons near thresholds
    assert exact.exact
    assert all(proof.exact for proof in exact.proofs)
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        for threads in (1, 2):
            np.testing.assert_array_equal(answers(exact.model, x, level, threads), expected)
    conversion = onnx2snn.convert(exact.model)
    assert all(layer.exact for layer in conversion.layers)
    certificate = onnx2snn.verify(exact.model, conversion, x)
    assert certificate.lossless
    assert certificate.exact
    assert certificate.to_dict()["exact"]
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
    path = tmp_path / "snn.onnx"
    conversion.save(path)
    for execution in ("spiking", "fused", "int8"):
        outputs = SpikingSession(path, execution=execution).run(x).outputs
        np.testing.assert_array_equal(outputs["y"], expected)


def test_what_is_exact_stays_as_it_is() -> None:
    first = onnx2snn.snap(residual().model)
    again = onnx2snn.snap(first.model)
    assert first.changes
    assert not again.changes
    assert again.model == first.model


def test_depthwise_synapses_whose_channels_differ_in_size() -> None:
    b = Builder()
    a = b.act(convolved(b, "x", (3, 8), 1), step=0.137, shift=0.5)
    sizes = np.float32(10.0) ** np.arange(-4, 4, dtype=np.float32).reshape(-1, 1, 1, 1)
    own = b.add(
        "Conv",
        a,
        weights(8, 1, 3, 3, seed=3) * sizes,
        weights(8, 1, seed=4)[:, 0] * sizes[:, 0, 0, 0],
        pads=[1] * 4,
        group=8,
    )
    steps = (0.3 * np.sqrt(sizes[:, 0])).astype(np.float32)
    network = read_out(b, b.add("GlobalMaxPool", b.act(own, step=steps, shift=0.5)), 8, (3, 7, 7))
    made = onnx2snn.snap(network.model)
    assert made.exact, [proof.reason for proof in made.proofs]
    assert max(change.weights for change in made.changes[:-1]) < 0.02


def test_general_weights_are_not_proved() -> None:
    network = residual()
    assert not any(proof.exact for proof in prove_model(network.model))
    conversion = onnx2snn.convert(network.model)
    assert not any(layer.exact for layer in conversion.layers)
    x = {"x": np.random.default_rng(0).normal(size=(2, 3, 7, 7)).astype(np.float32)}
    assert not onnx2snn.verify(network.model, conversion, x).exact


def test_a_weight_off_the_grid_is_found() -> None:
    model = onnx2snn.snap(residual().model).model
    held = next(t for t in model.graph.initializer if len(t.dims) == 4)
    values = onnx.numpy_helper.to_array(held).copy()
    values[0, 0, 0, 0] *= 1 + 2.0**-20
    held.CopyFrom(onnx.numpy_helper.from_array(values, held.name))
    assert any(proof.reason for proof in prove_model(model))


def test_the_grid_of_an_input_holds_its_data() -> None:
    network = residual()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3, 7, 7)).astype(np.float32)
    (found,) = onnx2snn.snap(network.model, {"x": pixels}).inputs
    assert (found.step, found.low, found.high) == (1.0, 0.0, 256.0)
    (found,) = onnx2snn.snap(network.model, {"x": pixels / 255 - 0.5}).inputs
    assert (found.step, found.low, found.high) == (2.0**-11, -0.5, 0.5)


def gated_in_16_bits(grids: dict[str, tuple[float, int]]) -> onnx.ModelProto:
    """x·σ(x), every tensor of it in 16 bits, of these scales and zero points: levels that rise and fall a thousand times."""
    codes = np.random.default_rng(0).integers(-90, 91, (16, 32)).astype(np.int8)
    constants: dict[str, Any] = {"w1/code": codes, "w1/scale": np.float32(0.00685288), "w1/zero": np.int8(0)}
    constants["w2"] = weights(32, 4, seed=1)
    for name, (scale, zero) in grids.items():
        constants |= {f"{name}/scale": np.float32(scale), f"{name}/zero": np.uint16(zero)}

    def quantised(name: str) -> list[onnx.NodeProto]:
        held = [f"{name}/scale", f"{name}/zero"]
        return [
            node("QuantizeLinear", [name, *held], [f"{name}/code"]),
            node("DequantizeLinear", [f"{name}/code", *held], [f"{name}/level"]),
        ]

    nodes = [
        *quantised("x"),
        node("DequantizeLinear", ["w1/code", "w1/scale", "w1/zero"], ["w1"]),
        node("MatMul", ["x/level", "w1"], ["h"]),
        *quantised("h"),
        node("Sigmoid", ["h/level"], ["s"]),
        *quantised("s"),
        node("Mul", ["h/level", "s/level"], ["g"]),
        *quantised("g"),
        node("MatMul", ["g/level", "w2"], ["y"]),
    ]
    return make_model(nodes, constants, {"x": ["N", 16]}, {"y": ["N", 4]}, opset=21, ir_version=10)


GRIDS = [
    {"x": (8e-5, 31000), "h": (1.1e-4, 31000), "s": (3.1e-5, 0), "g": (9.7e-5, 9000)},
    {
        "x": (8.0248115e-05, 33785),
        "h": (8.346924e-05, 33580),
        "s": (1.4268205e-05, 0),
        "g": (4.2306052e-05, 6582),
    },
]


@pytest.mark.parametrize("grids", GRIDS, ids=["one potential", "one with a bias"])
def test_functions_of_many_bits_are_written_as_they_are_read(grids: dict[str, tuple[float, int]]) -> None:
    model = gated_in_16_bits(grids)
    exact = onnx2snn.snap(model, {"x": np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)})
    certificate = onnx2snn.verify(exact.model, onnx2snn.convert(exact.model))
    assert certificate.lossless


def test_a_network_without_levels_is_refused() -> None:
    b = Builder()
    out = b.add("Relu", convolved(b, "x", (3, 8), 1))
    model = read_out(b, convolved(b, out, (8, 1), 3), 16, (3, 4, 4)).model
    with pytest.raises(onnx2snn.ConversionError, match="no quantised activation"):
        onnx2snn.snap(model)


def test_a_readout_of_long_sums_keeps_its_weights() -> None:
    b = Builder()
    a = b.act(convolved(b, "x", (3, 32), 1), step=0.02, levels=63, shift=0.5)
    network = read_out(b, b.add("GlobalAveragePool", a), 32, (3, 48, 48))
    x = {"x": np.random.default_rng(0).normal(size=(2, 3, 48, 48)).astype(np.float32)}
    exact = onnx2snn.snap(network.model, x)
    assert exact.exact
    assert [proof.exact for proof in exact.proofs] == [True, False]
    before, after = (make_runner(model)(x)["y"] for model in (network.model, exact.model))
    np.testing.assert_allclose(after, before, rtol=2e-3)  # rounded to 5 bits: 2e-2
    conversion = onnx2snn.convert(exact.model)
    certificate = onnx2snn.verify(exact.model, conversion, x)
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)


def test_bits_are_given_up_for_what_fewer_bits_make_exact() -> None:
    assert surplus(Proof("p", 2.0**27, "its sums are too many")) == 3
    assert surplus(Proof("p", None, "Exp is computed in float32")) == 0
    assert surplus(Proof("p", 2.0**20, "its threshold is no power of two")) == 0
    assert surplus(Proof("p", 2.0**20)) == 0
