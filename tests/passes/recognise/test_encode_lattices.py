"""Sums, maxima and clips of levels that no activation follows: neurons on the lattice of their values."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_activations import HALVES, X, act, check_exact, model
from helpers_graphs import apply_checked, make_model, operators, samples
from helpers_graphs import node as n

import onnx2snn
from onnx2snn.passes import PREPARE, RECOGNISE


def pool(x: str, **attributes: Any) -> onnx.NodeProto:
    return n("MaxPool", [x], ["p"], "pool", **(attributes or HALVES))


TWO = [*act("z1", "a"), *act("z2", "b")]
BESIDE = [*act("z1", "a"), *act("z2", "b", rule="Round")]
SHUFFLE = {"apart": np.array([-1, 2, 4, 8, 8]), "whole": np.array([-1, 8, 8, 8])}
PADS = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
CASES: dict[str, tuple[onnx.ModelProto, list[int]]] = {
    "a sum": (model(*TWO, n("Add", ["a", "b"], ["c"]), pool("c")), [7, 7, 14]),
    "a difference": (model(*TWO, n("Sub", ["a", "b"], ["c"]), pool("c")), [7, 7, 14]),
    "a sum of two scales": (
        model(*act("z1", "a"), *act("z2", "b", "coarse", low="minus"), n("Sum", ["a", "b"], ["c"]), pool("c")), [7, 9, 25],
    ),
    "a sum of an activation with itself, moved": (
        model(*act("z1", "a"), n("Transpose", ["a"], ["t"], perm=[0, 1, 3, 2]), n("Add", ["a", "t"], ["c"]), pool("c")),
            [7, 14],
    ),
    "a scale for each channel": (
        model(*TWO, n("Mul", ["b", "scales"], ["d"]), n("Add", ["a", "d"], ["c"]), pool("c"),
              scales=np.float32([1, 0.5, 3, -2]).reshape(1, 4, 1, 1)), [7, 7, 28],
    ),
    "batch norm": (
        model(*TWO, n("BatchNormalization", ["b", "gamma", "beta", "mean", "var"], ["d"], epsilon=0.0),
            n("Add", ["a", "d"], ["c"]),
              pool("c"), gamma=np.float32([1, -2, 0.5, 4]), beta=np.float32([1, 0, -1, 2]), mean=np.zeros(4, np.float32),
              var=np.ones(4, np.float32)), [7, 7, 35],
    ),
    "terms by place": (
        model(*act("z1", "a"), n("Add", ["a", "terms"], ["c"]), pool("c"),
              terms=(np.arange(256) % 5 * 0.25).astype(np.float32).reshape(1, 4, 8, 8)), [7, 11],
    ),
    "a mean": (model(*act("z1", "a"), n("AveragePool", ["a"], ["c"], kernel_shape=[2, 2]), pool("c")), [7, 28]),
    "a mean beside zeros": (
        model(*act("z1", "a", low="minus"), n("AveragePool", ["a"], ["c"], kernel_shape=[2, 2], pads=[1] * 4,
            count_include_pad=1),
              pool("c")), [9, 36],
    ),
    "the mean of all": (model(*TWO, n("GlobalAveragePool", ["a"], ["g"]), n("Max", ["g", "b"], ["p"])), [7, 7, 448]),
    "a mean of two": (model(*TWO, n("Mean", ["a", "b"], ["c"]), pool("c")), [7, 7, 14]),
    "padded with another level than zero": (model(*act("z1", "a"), n("Pad", ["a", "pads", "six"], ["c"]), pool("c"),
        **PADS), [7, 24]),
    "two roundings side by side, moved": (
        model(*BESIDE, n("Concat", ["a", "b"], ["c"], axis=1), n("Reshape", ["c", "apart"], ["d"]),
              n("Transpose", ["d"], ["e"], perm=[0, 2, 1, 3, 4]), n("Reshape", ["e", "whole"], ["f"]), pool("f"),
              channels=8, **SHUFFLE),
        [7, 7, 7],
    ),
    "the largest of two grids": (model(*act("z1", "a"), *act("z2", "b", "coarse", low="minus"),
        n("Max", ["a", "b"], ["p"])), [7, 9, 14]),
    "the smallest of two roundings": (model(*BESIDE, n("Min", ["a", "b"], ["p"])), [7, 7, 7]),
    "a sum, cut at zero": (
        model(*act("z1", "a", low="minus"), *act("z2", "b", low="minus"), n("Add", ["a", "b"], ["c"]),
            n("Relu", ["c"], ["p"])), [9, 9, 14],
    ),
    "a sum, clipped, moved and pooled": (
        model(*TWO, n("Add", ["a", "b"], ["c"]), n("Clip", ["c", "zero", "two"], ["d"]),
            n("Transpose", ["d"], ["e"], perm=[0, 1, 3, 2]),
              pool("e")), [7, 7, 8, 8],
    ),
    "a sum of a sum": (
        model(*TWO, n("Add", ["a", "b"], ["c"]), n("MaxPool", ["c"], ["d"], kernel_shape=[3, 3], pads=[1] * 4),
            n("Add", ["d", "a"], ["e"]),
              pool("e")), [7, 7, 14, 21],
    ),
    "signs, moved": (
        model(n("Sign", ["z1"], ["s"]), n("Reshape", ["s", "apart"], ["d"]), n("Transpose", ["d"], ["e"], perm=[0, 2, 1, 3, 4]),
              n("Reshape", ["e", "whole"], ["f"]), pool("f"), apart=np.array([-1, 2, 2, 8, 8]), whole=np.array([-1, 4, 8, 8])),
        [2, 2],
    ),
    "the largest of each channel": (
        model(*TWO, n("Add", ["a", "b"], ["c"]), n("GlobalMaxPool", ["c"], ["p"])), [7, 7, 14],
    ),
    "the largest of all channels": (
        model(*TWO, n("Add", ["a", "b"], ["c"]), n("ReduceMax", ["c"], ["p"], axes=[1], keepdims=1), channels=1), [7, 7, 14],
    ),
    "pools of pools, each of them read": (
        model(*TWO, n("Add", ["a", "b"], ["c"]), n("MaxPool", ["c"], ["d"], kernel_shape=[3, 3], pads=[1] * 4),
              n("MaxPool", ["d"], ["e"], kernel_shape=[3, 3], pads=[1] * 4), n("Concat", ["c", "d", "e"], ["p"], axis=1),
              channels=12), [7, 7, 14, 14],
    ),
    "branches in a row": (
        model(*TWO, n("Add", ["a", "b"], ["c"]), n("MaxPool", ["c"], ["d"], kernel_shape=[2, 2]),
            n("Mul", ["d", "two"], ["e"]), pool("e")),
        [7, 7, 14],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_neuron_on_the_lattice(name: str) -> None:
    check_exact(*CASES[name])


@pytest.mark.parametrize(
    "name", ["a sum", "a sum, cut at zero", "a scale for each channel", "branches in a row"]
)
def test_each_pass_keeps_the_function_and_is_idempotent(name: str) -> None:
    source, levels = CASES[name]
    graph = apply_checked(source, X, *PREPARE, *RECOGNISE)
    assert operators(graph).count("Staircase") == len(levels)


def test_other_readers_and_an_output_keep_what_they_read() -> None:
    nodes = [
        *TWO, n("Add", ["a", "b"], ["c"]), n("MaxPool", ["c"], ["m"], kernel_shape=[3, 3], pads=[1] * 4),
            n("Add", ["c", "m"], ["p"]),
    ]  # fmt: skip
    source = model(*nodes, outputs={"c": ["N", 4, 8, 8], "m": ["N", 4, 8, 8]})
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [7, 7, 14]
    assert onnx2snn.verify(source, conversion.model, X).max_abs_error == 0


def test_general_floats_of_one_scale() -> None:
    step = np.float32(0.37)
    source = model(
        *act("z1", "a", "step"),
        *act("z2", "b", "step"),
        n("Add", ["a", "b"], ["c"]),
        pool("c"),
        channels=4,
        step=step,
    )
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [7, 7, 14]
    assert onnx2snn.verify(source, conversion.model, {"x": samples(6, 3, 8, 8)}).lossless


@pytest.mark.parametrize(
    ("first", "second", "levels"), [(0.1, 0.3, 28), (0.37, 0.074, 42), (0.123, 0.21525, 77)]
)
def test_scales_that_are_multiples_up_to_a_rounding(first: float, second: float, levels: int) -> None:
    """3·fl(0.1) is not fl(0.3)."""
    nodes = [
        *act("z1", "a", "step"),
        *act("z2", "b", "other", rule="Round"),
        n("Add", ["a", "b"], ["c"]),
        pool("c"),
    ]
    source = model(*nodes, step=np.float32(first), other=np.float32(second))
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [7, 7, levels]
    assert onnx2snn.verify(source, conversion.model, {"x": samples(6, 3, 8, 8)}).lossless


def test_terms_by_place_that_are_multiples_up_to_a_rounding() -> None:
    step = np.float32(0.23)
    terms = np.round(samples(1, 4, 8, 8)) * step
    source = model(
        *act("z1", "a", "step"),
        n("Add", ["a", "terms"], ["c"]),
        pool("c"),
        channels=4,
        step=step,
        terms=terms,
    )
    assert onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": samples(6, 3, 8, 8)}).lossless


GENERAL = np.float32(0.31371)
REFUSED = {
    "scales without a common measure": ([*act("z1", "a"), *act("z2", "b", "general"), n("Add", ["a", "b"], ["c"]),
        pool("c")], "pool"),
    "general terms by place": ([*act("z1", "a"), n("Add", ["a", "terms"], ["c"]), pool("c")], "pool"),
    "the largest of such": ([*act("z1", "a"), *act("z2", "b", "general"), n("Max", ["a", "b"], ["p"], "max")], "max"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_on_no_lattice_is_refused(name: str) -> None:
    nodes, fault = REFUSED[name]
    source = model(*nodes, general=GENERAL, terms=samples(1, 4, 8, 8))
    with pytest.raises(onnx2snn.ConversionError, match=rf"'{fault}' .*no common measure(.|\n)*multiples"):
        onnx2snn.convert(source)
    assert onnx2snn.convert(source, hybrid=True).non_spiking


def test_a_function_that_turns_round_takes_no_more_levels_than_it_has() -> None:
    """Its rising and falling steps are 415 in all; the codes behind it are 256, and so are those of a pool behind them."""
    random = np.random.default_rng(0)

    def coded(read: str, made: str, step: str, zero: str) -> list[onnx.NodeProto]:
        quantised = n("QuantizeLinear", [read, step, zero], [f"{made}/codes"])
        return [quantised, n("DequantizeLinear", [f"{made}/codes", step, zero], [made])]

    nodes = [
        n("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        *coded("c", "d", "coarse", "middle"),
        n("PRelu", ["d", "slopes"], ["e"]),
        *coded("e", "a", "fine", "low"),
        pool("a"),
        n("Conv", ["p", "v"], ["f"]),
        *coded("f", "g", "coarse", "middle"),
        n("GlobalAveragePool", ["g"], ["y"]),
    ]
    held = {
        "w": random.normal(0, 0.3, (6, 3, 3, 3)).astype(np.float32),
        "v": random.normal(0, 0.3, (4, 6, 1, 1)).astype(np.float32),
        "slopes": np.float32([0.3, -0.4, 0.1, -0.8, -0.2, 0.5]).reshape(6, 1, 1),
        "coarse": np.float32(0.02), "fine": np.float32(0.012), "middle": np.uint8(120), "low": np.uint8(40),
    }  # fmt: skip
    source = make_model(nodes, held, {"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 1, 1]}, opset=17)
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [255, 160, 255, 255]
    assert conversion.timesteps == 8
    assert onnx2snn.verify(source, conversion).lossless
