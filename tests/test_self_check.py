"""What is written loads in onnxruntime, and answers a drawn sample as its source does; otherwise it is not written."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from click.testing import CliRunner
from helpers_graphs import make_model, node
from helpers_wrong import WRONG, changed, network, put_in
from onnx import TensorProto

import onnx2snn
from onnx2snn.certificate.source_network import SourceNetwork
from onnx2snn.cli.group import main
from onnx2snn.errors import SelfCheckError
from onnx2snn.graph.core import Pass, graph_pass
from onnx2snn.model.reference import Batches


@graph_pass
def breaks_the_rules(graph: gs.Graph) -> gs.Graph:
    """An operator that ONNX has not."""
    next(found for found in graph.nodes if found.op == "MatMul").op = "NoSuchOperator"
    return graph


BROKEN = {
    "no operator": breaks_the_rules,
    "a type that does not fit": changed("MatMul", 1, lambda w: w.astype(np.int64), -1),
    "a shape that does not fit": changed("MatMul", 1, lambda w: w[:7], -1),
    **WRONG,
}


def put_last(wrong: Pass, patch: pytest.MonkeyPatch) -> None:
    """After all other passes: what they check of each other is not asked."""
    module = importlib.import_module("onnx2snn.conversion")
    neurons = module.neurons
    patch.setattr(module, "neurons", lambda **form: (*neurons(**form), wrong))


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_pass_is_found_before_anything_is_handed_out(
    wrong: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(wrong, monkeypatch)
    with pytest.raises(SelfCheckError, match="this is a defect of onnx2snn"):
        onnx2snn.convert(network())
    assert onnx2snn.convert(network(), check=False).tried == "not tried"


@pytest.mark.parametrize("name", ["no operator", "a type that does not fit", "a shape that does not fit"])
def test_a_file_that_loads_nowhere_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_last(BROKEN[name], monkeypatch)
    with pytest.raises(SelfCheckError):
        onnx2snn.convert(network())


class TestCommand:
    """The same from the command line."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> str:
        path = tmp_path / "ann.onnx"
        onnx.save(network(), path)
        return str(path)

    def test_nothing_is_written(self, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put_in(WRONG["a weight of the readout"], monkeypatch)
        target = tmp_path / "snn.onnx"
        found = CliRunner().invoke(main, ["convert", source, str(target)])
        assert found.exit_code == 3
        assert "--no-check" in found.stderr
        assert not target.exists()
        assert CliRunner().invoke(main, ["convert", source, str(target), "--no-check"]).exit_code == 0
        assert target.exists()

    def test_json_says_what_was_found(self, source: str, tmp_path: Path) -> None:
        found = CliRunner().invoke(main, ["convert", source, str(tmp_path / "snn.onnx"), "--json"])
        assert json.loads(found.stdout)["tried"] == "equal"

    def test_more_and_nothing_exclude_each_other(self, source: str, tmp_path: Path) -> None:
        found = CliRunner().invoke(
            main, ["convert", source, str(tmp_path / "s.onnx"), "--check", source, "--no-check"]
        )
        assert found.exit_code == 2


def enlarged() -> onnx.ModelProto:
    """A Resize takes its sizes from the wrong axes: the convolution behind it gets other channels than it has weights for."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return (random.integers(-8, 9, shape) / 16).astype(np.float32)

    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21]> g (float[N,2,6,8] x) => (float[N,3] y) {
            c = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(x, w0)
            q = QuantizeLinear(c, s, z)
            d = DequantizeLinear(q, s, z)
            sizes = Shape(x)
            first = Slice(sizes, i0, i2, i0)
            others = Slice(sizes, i2, i4, i0)
            larger = Mul(others, i2)
            wanted = Concat<axis=0>(first, larger)
            u = Resize<mode="nearest">(d, , , wanted)
            c2 = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(u, w2)
            q2 = QuantizeLinear(c2, s, z)
            d2 = DequantizeLinear(q2, s, z)
            p = ReduceMean<keepdims=0>(d2, axes)
            y = MatMul(p, w3)
        }"""
    )
    constants = {
        "s": np.float32(0.25),
        "z": np.uint8(0),
        "w0": weights(4, 2, 3, 3),
        "w2": weights(4, 4, 3, 3),
        "w3": weights(4, 3),
    }
    constants |= {"axes": np.array([2, 3])} | {f"i{i}": np.array([i]) for i in (0, 2, 4)}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()
    )
    return model


@pytest.mark.parametrize("check", [None, False])
def test_a_source_that_no_runtime_computes_is_no_defect_of_ours(check: object) -> None:
    with pytest.raises(onnx2snn.InvalidModelError, match="cannot be computed"):
        onnx2snn.convert(enlarged(), check=check)


def test_nor_when_it_is_verified() -> None:
    with pytest.raises(onnx2snn.InvalidModelError, match="cannot be computed"):
        SourceNetwork(enlarged())({"x": np.ones((2, 2, 6, 8), np.float32)})


def pooled(kind: int = TensorProto.FLOAT, sizes: tuple[str | int, ...] = ("H", "W")) -> onnx.ModelProto:
    """A quantised convolution and means over the picture."""
    random = np.random.default_rng(0)
    constants = {
        "w": (random.integers(-8, 9, (3, 2, 3, 3)) / 16).astype(np.float32), "s": np.float32(0.25), "z": np.uint8(0),
        "axes": np.array([2, 3]),
    }  # fmt: skip
    nodes = [
        node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        node("Conv", ["f", "w"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("QuantizeLinear", ["c", "s", "z"], ["q"], "quantise"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise"),
        node("ReduceMean", ["d", "axes"], ["y"], "mean", keepdims=0),
    ]
    types = {"x": kind}
    return make_model(
        nodes, constants, {"x": ["N", 2, *sizes]}, {"y": ["N", 3]}, opset=18, types=types, ir_version=10
    )


def test_open_sizes_are_chosen() -> None:
    source = pooled()
    conversion = onnx2snn.convert(source)
    assert conversion.tried in ("equal", "explained")
    assert onnx2snn.verify(source, conversion.model).lossless


def test_an_open_size_that_has_to_be_one_of_few_is_found() -> None:
    """The readout wants 224 places."""
    constants = {"w": np.ones((224, 2), np.float32) / 64, "s": np.float32(0.25), "z": np.uint8(0)}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("MatMul", ["d", "w"], ["y"]),
    ]
    assert onnx2snn.convert(make_model(nodes, constants, {"x": ["N", "L"]}, {"y": ["N", 2]})).tried == "equal"


def test_where_no_sample_can_be_drawn_the_result_says_so() -> None:
    """The readout wants 1,001 places, which nobody would guess."""
    constants = {"w": np.ones((1001, 2), np.float32) / 64, "s": np.float32(0.25), "z": np.uint8(0)}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("MatMul", ["d", "w"], ["y"]),
    ]
    conversion = onnx2snn.convert(make_model(nodes, constants, {"x": ["N", "L"]}, {"y": ["N", 2]}))
    assert conversion.tried.startswith("loaded; no sample could be drawn")


def test_ties_that_runtimes_resolve_differently_are_explained() -> None:
    """A sum of levels whose scales differ stands on thresholds; our runtime and the file alone may answer either level there."""
    random = np.random.default_rng(1)
    constants: dict[str, Any] = {
        n: random.normal(0, 1, (4, 3, 3, 3)).astype(np.float32) for n in ("w0", "w1")
    }
    constants["w2"] = random.normal(0, 1, (144, 3)).astype(np.float32)
    nodes = []

    def quantised(source: str, target: str, scale: float, zero: int) -> None:
        parameters = [f"{target}/scale", f"{target}/zero"]
        constants.update(zip(parameters, (np.float32(scale), np.uint8(zero)), strict=True))
        nodes.append(node("QuantizeLinear", [source, *parameters], [f"{target}/code"]))
        nodes.append(node("DequantizeLinear", [f"{target}/code", *parameters], [target]))

    for i, scale, zero in ((0, 0.05, 120), (1, 0.07, 99)):
        nodes.append(node("Conv", ["x", f"w{i}"], [f"z{i}"]))
        quantised(f"z{i}", f"a{i}", scale, zero)
    nodes.append(node("Add", ["a0", "a1"], ["s"]))
    quantised("s", "b", 0.1, 111)
    nodes += [node("Flatten", ["b"], ["f"]), node("MatMul", ["f", "w2"], ["y"])]
    source = make_model(nodes, constants, {"x": ["N", 3, 8, 8]}, {"y": ["N", 3]})
    assert onnx2snn.convert(source).tried in ("equal", "explained")


@pytest.mark.parametrize("native", [True, False])
def test_what_onnxruntime_does_not_run_is_no_defect(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """The reference evaluator of the onnx package has computed the source, and onnxruntime does not take what it becomes."""

    def checked(*_given: Any, **_options: Any) -> str:
        raise SelfCheckError("onnxruntime cannot run the spiking network", found="dilation not supported")

    conversion = importlib.import_module("onnx2snn.conversion")
    monkeypatch.setattr(conversion, "check_finished", checked)
    monkeypatch.setattr(Batches, "native", native)
    with pytest.raises(onnx2snn.errors.Onnx2SnnError) as caught:
        onnx2snn.convert(network())
    assert isinstance(caught.value, SelfCheckError) == native
    assert ("nor what it becomes" in caught.value.message) != native
    assert caught.value.found == "dilation not supported"
