"""What belongs to a sample: outputs of any shape, several rows to a sample, networks of a single sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.errors import ConversionError
from onnx2snn.evaluation.answers import run_all
from onnx2snn.model.reference import make_runner, run_reference
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.batches import joined, of_samples

EXECUTIONS = ("spiking", "fused", "int8", "streaming")


def network(text: str, arrays: dict[str, Any]) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> {text}')
    for name, values in ({"s": np.float32(0.25), "z": np.uint8(0)} | arrays).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    onnx.checker.check_model(model)
    return model


def dyadic(*shape: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).integers(-8, 9, shape) / 16).astype(np.float32)


QUANTISED = "q = QuantizeLinear(c, s, z)  d = DequantizeLinear(q, s, z)"


def detector() -> onnx.ModelProto:
    """Scores (N, 3); anchors (10, 4) that no sample decides, and a number; scores of all samples in one row."""
    return network(
        f"""g (float[N,8] x) => (float[N,3] y, float[10,4] p, float[M] r, float t) {{
          c = MatMul(x, w)  {QUANTISED}
          y = MatMul(d, v)
          p = Mul(anchors, two)
          r = Reshape(y, all)
          t = Mul(two, two)
        }}""",
        {
            "w": dyadic(8, 8),
            "v": dyadic(8, 3, seed=1),
            "anchors": dyadic(10, 4),
            "two": np.float32(2),
            "all": [-1],
        },
    )


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("chunk", [64, 10, 7])
def test_outputs_are_handed_out_as_the_file_gives_them(execution: str, chunk: int) -> None:
    source, data = detector(), {"x": dyadic(50, 8, seed=2) * 8}
    model = onnx2snn.convert(source).model.SerializeToString()
    found = SpikingSession(model, execution=execution, chunk=chunk).run(data)
    for name, value in run_reference(source, data).items():
        np.testing.assert_array_equal(found.outputs[name], value)
    assert found.spikes["d/neuron"].shape == (50,)


def test_an_archive_of_answers_holds_them_so_too(tmp_path: Path) -> None:
    source, data = detector(), {"x": dyadic(50, 8, seed=2) * 8}
    onnx2snn.convert(source).save(tmp_path / "snn.onnx")
    run_all(tmp_path / "snn.onnx", data, output=tmp_path / "out.npz", batch=20)
    with np.load(tmp_path / "out.npz") as held:
        for name, value in run_reference(source, data).items():
            np.testing.assert_array_equal(held[name], value)


def test_they_are_certified() -> None:
    source = detector()
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": dyadic(50, 8, seed=2) * 8})
    assert certificate.lossless


def test_a_fixed_batch_cuts_only_what_filled_it_up() -> None:
    text = """g (float[4,3] x) => (float[4,3] y, float[12] r, float[2] p) {
      y = Relu(x)  r = Reshape(y, all)  p = Neg(two) }"""
    run = make_runner(network(text, {"all": [-1], "two": np.ones(2, np.float32)}))
    answers = run({"x": dyadic(6, 3)})
    assert {name: value.shape for name, value in answers.items()} == {"y": (6, 3), "r": (18,), "p": (2,)}
    np.testing.assert_array_equal(answers["r"], answers["y"].ravel())


def test_answers_that_mix_samples_are_not_joined() -> None:
    parts = [{"y": np.zeros(3)}, {"y": np.zeros(3)}]
    assert joined(parts, [2, 2], 4, {"y"}) is None
    assert joined(parts, [2, 2], 4, set()) == {"y": pytest.approx(np.zeros(3))}
    assert of_samples([("Shape", ["x"], ["s"]), ("Neg", ["x"], ["y"])], ["x"]) == {"x", "y"}


FOLDED = {
    "time in the batch": ("float[N,5,6] x", "float[N,5,3] y", "x2 = Reshape(x, m6)", "y = Reshape(u, m53)"),
    "tokens of one sample": (
        "float[1,5,6] x",
        "float[1,5,3] y",
        "x2 = Reshape(x, s56)",
        "y = Reshape(u, s153)",
    ),
    "the batch squeezed away": (
        "float[1,5,6] x",
        "float[1,5,3] y",
        "x2 = Squeeze(x, i0)",
        "y = Unsqueeze(u, i0)",
    ),
}


@pytest.mark.parametrize("name", FOLDED)
def test_rows_of_a_sample_are_its_own(name: str, tmp_path: Path) -> None:
    given, made, before, behind = FOLDED[name]
    arrays = {"w": dyadic(6, 8), "v": dyadic(8, 3, seed=1)} | {"m6": [-1, 6], "m53": [-1, 5, 3], "i0": [0]}
    arrays |= {"s56": [5, 6], "s153": [1, 5, 3]}
    text = (
        f"g ({given}) => ({made}) {{ {before}  c = MatMul(x2, w)  {QUANTISED}  u = MatMul(d, v)  {behind} }}"
    )
    source, data = network(text, arrays), {"x": dyadic(7, 5, 6, seed=2) * 8}
    conversion = onnx2snn.convert(source)
    assert [(layer.neurons, layer.shape) for layer in conversion.layers] == [(40, [5, 8])]
    conversion.save(tmp_path / "snn.onnx")
    expected = make_runner(source)(data)["y"]
    counts = set()
    for execution in EXECUTIONS:
        found = SpikingSession(tmp_path / "snn.onnx", execution=execution).run(data)
        np.testing.assert_array_equal(found.outputs["y"], expected)
        assert found.spikes["d/neuron"].shape == found.synops["d/neuron"].shape == (7,)
        counts.add((*found.spikes["d/neuron"], *found.synops["d/neuron"]))
    assert len(counts) == 1
    assert onnx2snn.verify(source, tmp_path / "snn.onnx", data).lossless


def test_spikes_pass_where_rows_are_folded_between_neurons() -> None:
    text = f"""g (float[1,4,8] x) => (float[1,4,4] y) {{
      f = Reshape(x, s48)  c = Gemm(f, w)  {QUANTISED}
      r = Reshape(d, s148)  c2 = MatMul(r, w)
      q2 = QuantizeLinear(c2, s, z)  d2 = DequantizeLinear(q2, s, z)
      y = MatMul(d2, v) }}"""
    arrays = {"w": dyadic(8, 8), "v": dyadic(8, 4, seed=1), "s48": [4, 8], "s148": [1, 4, 8]}
    source, data = network(text, arrays), {"x": dyadic(3, 4, 8, seed=2) * 8}
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    assert [layer.neurons for layer in conversion.layers] == [32, 32]
    assert onnx2snn.verify(source, conversion.model, data).lossless


@pytest.mark.parametrize("batch", [1, 2])
def test_a_class_token_of_a_fixed_batch_and_biases_that_folded_tokens_share(batch: int) -> None:
    """17 tokens: BLAS rounds a product of the last one otherwise; signed levels make one answer of each row to no spikes."""
    random = np.random.default_rng(0)
    text = f"""g (float[{batch},16,64] x) => (float[{batch},17,10] y) {{
      p = MatMul(x, u)  j = Concat <axis = 1> (token, p)
      q0 = QuantizeLinear(j, s, m)  d0 = DequantizeLinear(q0, s, m)  f = Reshape(d0, fold)  c = Gemm(f, w, b)
      q = QuantizeLinear(c, s, m)  d = DequantizeLinear(q, s, m)  r = Reshape(d, part)  y = MatMul(r, v) }}"""
    arrays: dict[str, Any] = {
        "s": np.float32(0.0243),
        "m": np.uint8(122),
        "fold": [batch * 17, 64],
        "part": [batch, 17, 128],
    }
    arrays |= {"token": np.repeat(random.normal(size=(1, 1, 64)), batch, 0).astype(np.float32)}
    shapes = {"u": (64, 64), "w": (64, 128), "b": (128,), "v": (128, 10)}
    arrays |= {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    source = network(text, arrays)
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    data = {"x": random.normal(size=(3, 16, 64)).astype(np.float32)}
    assert onnx2snn.verify(source, conversion.model, data).lossless


@pytest.mark.parametrize("mask", [np.zeros((2, 1, 1)), np.array([[[0.5]], [[-1.5]]])])
def test_windows_that_lie_in_the_batch_answer_silence_for_each_sample(mask: np.ndarray) -> None:
    """Attention within windows: what a window answers to no spikes meets what is held of as many samples as there are."""
    text = """g (float[N,4,8] x) => (float[N,4,8] y) {
      f = Reshape(x, windows)  k = MatMul(f, w)
      qk = QuantizeLinear(k, s, m)  dk = DequantizeLinear(qk, s, m)
      t = Transpose <perm = [0, 2, 1]> (dk)  c = MatMul(dk, t)
      q = QuantizeLinear(c, s, m)  d = DequantizeLinear(q, s, m)
      r = Reshape(d, apart)  a = Add(r, mask)  b = Reshape(a, together)
      o = MatMul(b, dk)  qo = QuantizeLinear(o, s, m)  do = DequantizeLinear(qo, s, m)
      u = MatMul(do, w)  y = Reshape(u, back) }"""
    arrays: dict[str, Any] = {"w": dyadic(8, 8) / 2, "m": np.uint8(122), "mask": mask.astype(np.float32)}
    arrays |= {"windows": [-1, 2, 8], "apart": [-1, 2, 2, 2], "together": [-1, 2, 2], "back": [-1, 4, 8]}
    source, data = network(text, arrays), {"x": dyadic(5, 4, 8, seed=2) * 8}
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    assert onnx2snn.verify(source, conversion.model, data).lossless
    found = SpikingSession(conversion.model.SerializeToString()).run(data)
    np.testing.assert_array_equal(found.outputs["y"], make_runner(source)(data)["y"])


def test_a_scale_by_row_stays_behind_the_reshape_that_makes_rows_channels() -> None:
    """Where rows lie in the batch no weight of theirs could take it in."""
    text = f"""g (float[1,4,8] x) => (float[1,4,4] y) {{
      f = Reshape(x, s48)  c = Gemm(f, w)  {QUANTISED}
      e = Gemm(d, w)  r = Reshape(e, s148)
      q2 = QuantizeLinear<axis=1>(r, by_row, zeros)  d2 = DequantizeLinear<axis=1>(q2, by_row, zeros)
      y = MatMul(d2, v) }}"""
    arrays = {"w": dyadic(8, 8), "v": dyadic(8, 4, seed=1), "s48": [4, 8], "s148": [1, 4, 8]}
    arrays |= {"by_row": np.array([1, 0.7, 2, 0.3], np.float32), "zeros": np.zeros(4, np.uint8)}
    source, data = network(text, arrays), {"x": dyadic(3, 4, 8, seed=2) * 8}
    conversion = onnx2snn.convert(source)
    assert [layer.neurons for layer in conversion.layers] == [32, 32]
    assert onnx2snn.verify(source, conversion.model, data).lossless


def test_inputs_without_a_batch_axis_are_refused() -> None:
    text = f"""g (float[2,6,6] x) => (float[3] y) {{
      xu = Unsqueeze(x, i0)  c = Conv<kernel_shape=[3,3]>(xu, w)  {QUANTISED}
      p = GlobalAveragePool(d)  g1 = Flatten(p)  y0 = MatMul(g1, v)  y = Squeeze(y0, i0) }}"""
    source = network(text, {"w": dyadic(8, 2, 3, 3), "v": dyadic(8, 3), "i0": [0]})
    with pytest.raises(ConversionError, match="counts no samples") as caught:
        onnx2snn.convert(source)
    assert caught.value.node == "c"
    batched = text.replace("float[2,6,6] x", "float[1,2,6,6] x").replace(
        "xu = Unsqueeze(x, i0)", "xu = Identity(x)"
    )
    assert onnx2snn.convert(network(batched, {"w": dyadic(8, 2, 3, 3), "v": dyadic(8, 3), "i0": [0]})).layers


def test_a_constant_of_higher_rank_moves_the_batch_behind_the_last_neuron() -> None:
    text = f"""g (float[N,8] x) => (float[N,3] y) {{
      c = MatMul(x, w)  {QUANTISED}
      u = MatMul(d, v)  e = Mul(u, k)  y = ReduceSum<keepdims=0>(e, i0) }}"""
    arrays = {"w": dyadic(8, 8), "v": dyadic(8, 3), "k": dyadic(2, 1, 3, seed=3), "i0": [0]}
    source, data = network(text, arrays), {"x": dyadic(20, 8, seed=2) * 8}
    model = onnx2snn.convert(source).model
    found = SpikingSession(model.SerializeToString()).run(data)
    np.testing.assert_array_equal(found.outputs["y"], run_reference(source, data)["y"])
    assert onnx2snn.verify(source, model, data).lossless


SINGLE = {
    "reshape": ("h = Reshape(d, t)", {"t": np.array([1, 36]), "v": dyadic(36, 3)}),
    "resize": ("u = Resize(d, , , t) h = Flatten(u)", {"t": np.array([1, 4, 3, 6]), "v": dyadic(72, 3)}),
    "resize to three": (
        "u = Resize(d, , , t) h = Flatten(u)",
        {"t": np.array([3, 4, 3, 6]), "v": dyadic(72, 3)},
    ),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_file_that_names_a_batch_inside_is_run_on_so_many(kind: str) -> None:
    """It declares an open batch, and fails on others, or answers as many rows whatever it is given."""
    text, constants = SINGLE[kind]
    source = network(
        f"""g (float[N,2,3,3] x) => (float[N,3] y) {{
            c = Conv<kernel_shape = [1, 1]>(x, w)
            q = QuantizeLinear(c, s, z) d = DequantizeLinear(q, s, z)
            {text}
            y = MatMul(h, v)
        }}""",
        {"w": dyadic(4, 2, 1, 1), **constants},
    )
    x = dyadic(5, 2, 3, 3)
    size = int(constants["t"][0])
    groups = [x[np.minimum(np.arange(at, at + size), 4)] for at in range(0, 5, size)]
    expected = np.concatenate([run_reference(source, {"x": group})["y"] for group in groups])[:5]
    np.testing.assert_array_equal(make_runner(source)({"x": x})["y"], expected)
    conversion = onnx2snn.convert(source)
    assert conversion.tried == "equal"
    at_a_time = "one sample" if size == 1 else f"{size} samples"
    assert conversion.notes[0].startswith(
        f"the source declares an open batch, and works for {at_a_time} at a time"
    )
    assert onnx2snn.verify(source, conversion.model, {"x": x}).lossless
    found = SpikingSession(conversion.model.SerializeToString()).run({"x": x}).outputs["y"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("batch", ["1", "N"])
def test_a_batch_that_is_fixed_is_freed_and_said_so(batch: str) -> None:
    source = network(
        f"g (float[{batch},8] x) => (float[{batch},3] y) {{ c = MatMul(x, w) {QUANTISED} y = MatMul(d, v) }}",
        {"w": dyadic(8, 8), "v": dyadic(8, 3)},
    )
    conversion = onnx2snn.convert(source)
    assert [note.split(":")[0] for note in conversion.notes] == (
        ["the source fixes a batch of 1"] if batch == "1" else []
    )
    answers = SpikingSession(conversion.model.SerializeToString()).run({"x": dyadic(5, 8)})
    np.testing.assert_array_equal(answers.outputs["y"], make_runner(source)({"x": dyadic(5, 8)})["y"])
