"""Operators on float64 windows against onnxruntime in float32."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from helpers_graphs import make_model, node

from onnx2snn.float64 import Float64Network
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime.backends import Loadable, ReferenceEngine

RANDOM = np.random.default_rng(0)


def agree(op: str, shape: tuple[int, ...], /, *constants: tuple[int, ...], **attributes: Any) -> None:
    held = {f"c{i}": RANDOM.normal(size=sizes).astype(np.float32) for i, sizes in enumerate(constants)}
    nodes = [node(op, ["x", *held], ["y"], "n", **attributes)]
    model = make_model(
        nodes,
        held,
        {"x": ["N", *shape[1:]]},
        {"y": [f"y{i}" for i in range(len(shape))]},
        opset=21,
        ir_version=10,
    )
    x = RANDOM.normal(size=shape).astype(np.float32)
    wide = Float64Network(model).run({"x": x})["y"]
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, run_reference(model, {"x": x})["y"], atol=2e-5)


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 2, 0, 1]])
def test_convolutions(group: int, pads: list[int]) -> None:
    for stride, dilation in itertools.product((1, 2, 3), (1, 2)):
        grid: dict[str, Any] = {
            "strides": [stride, 1],
            "dilations": [1, dilation],
            "group": group,
            "pads": pads,
        }
        agree("Conv", (3, 4, 11, 10), (8, 4 // group, 3, 2), (8,), **grid)
        for extra in {0, stride - 1}:
            agree(
                "ConvTranspose", (3, 4, 5, 6), (4, 3, 3, 2), (3 * group,), **grid, output_padding=[extra, 0]
            )


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_padding_by_name(auto_pad: str) -> None:
    agree("Conv", (2, 4, 11, 10), (8, 4, 3, 2), strides=[2, 2], auto_pad=auto_pad)
    agree("ConvTranspose", (2, 4, 5, 6), (4, 3, 3, 2), strides=[2, 2], auto_pad=auto_pad)
    agree("AveragePool", (2, 4, 11, 10), kernel_shape=[3, 2], strides=[2, 2], auto_pad=auto_pad)
    agree("MaxPool", (2, 4, 11, 10), kernel_shape=[3, 2], strides=[2, 2], auto_pad=auto_pad)


@pytest.mark.parametrize("mode", ["align_corners", "asymmetric", "half_pixel", "tf_crop_and_resize"])
def test_the_nearest_cell_is_where_float32_finds_it(mode: str) -> None:
    for rounding in ("round_prefer_floor", "ceil"):
        how = {"coordinate_transformation_mode": mode, "nearest_mode": rounding, "extrapolation_value": 0.7}
        held = {"roi": np.array([0, 0, 0.1, 0.2, 1, 1, 0.8, 1.3], np.float32)}
        held["scales"] = np.array([1, 1, 1.5, 2.1], np.float32)
        nodes = [node("Resize", ["x", *held], ["y"], "n", mode="nearest", **how)]
        model = make_model(nodes, held, {"x": ["N", 2, 7, 7]}, {"y": ["N", 2, 10, 14]}, opset=13)
        x = RANDOM.normal(size=(3, 2, 7, 7)).astype(np.float32)
        found = Float64Network(model).run({"x": x})["y"].astype(np.float32)
        np.testing.assert_array_equal(found, run_reference(model, {"x": x})["y"])


@pytest.mark.parametrize("axes", [None, [1, 2, 3], [2, 3]])
def test_sizes_are_listed_for_axes(axes: list[int] | None) -> None:
    sizes = np.array([3, 2, 10, 14])[axes if axes is not None else slice(None)]
    attributes: dict[str, Any] = {"mode": "nearest"} | ({} if axes is None else {"axes": axes})
    nodes = [node("Resize", ["x", "", "", "sizes"], ["y"], "n", **attributes)]
    shapes: dict[str, Any] = {"y": ["N", 2, 10, 14]}
    model = make_model(nodes, {"sizes": sizes}, {"x": ["N", 2, 7, 7]}, shapes, opset=18)
    x = RANDOM.normal(size=(3, 2, 7, 7)).astype(np.float32)
    found = Float64Network(model).run({"x": x})["y"].astype(np.float32)
    np.testing.assert_array_equal(found, run_reference(model, {"x": x})["y"])


def test_global_maxima() -> None:
    for shape in ((3, 4, 7), (3, 4, 5, 6), (2, 3, 4, 2, 3)):
        agree("GlobalMaxPool", shape)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_normalisation_over_channels(channels: int) -> None:
    for shape in ((2, 7, 3, 4), (5, 3, 2, 2)):
        agree("LRN", shape, size=channels, alpha=0.3, beta=0.7, bias=1.5)


@pytest.mark.parametrize(("axis", "shape"), [(0, (2, 3)), (1, (3, 40)), (-1, (2, 5)), (1, (1, 50))])
def test_entries_by_index(axis: int, shape: tuple[int, ...]) -> None:
    """Fewer indices than data along other axes, negative ones, more than 32 of them."""
    indices = RANDOM.integers(-3, 3, shape)
    nodes = [node("GatherElements", ["x", "i"], ["y"], "n", axis=axis)]
    model = make_model(nodes, {"i": indices}, {"x": [3, 40]}, {"y": list(shape)}, opset=21, ir_version=10)
    x = RANDOM.normal(size=(3, 40)).astype(np.float32)
    for found in (
        Float64Network(model).run({"x": x})["y"],
        ReferenceEngine(Loadable(model.SerializeToString())).run({"x": x})["y"],
    ):
        np.testing.assert_array_equal(found, run_reference(model, {"x": x})["y"])


def test_a_mean_in_front_of_a_jump_is_float32() -> None:
    nodes = [
        node("AveragePool", ["x"], ["m"], "n0", kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
        node("Div", ["m", "third"], ["t"], "n1"),
        node("Round", ["t"], ["y"], "n2"),
    ]
    third = {"third": np.float32(1 / 3)}
    model = make_model(nodes, third, {"x": ["N", 2, 4, 4]}, {"y": ["N", 2, 5, 5]}, opset=21, ir_version=10)
    x = RANDOM.normal(size=(2, 2, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        Float64Network(model).run({"x": x})["y"], run_reference(model, {"x": x})["y"]
    )


def test_other_ranks_and_sizes() -> None:
    agree("Conv", (2, 4, 11), (8, 4, 3), strides=[2])
    agree("Conv", (2, 4, 5, 6, 7), (8, 4, 3, 2, 1), (8,))
    agree("ConvTranspose", (2, 4, 5, 6), (4, 3, 3, 2), strides=[2, 2], output_shape=[10, 12])


@pytest.mark.parametrize("ceil_mode", [0, 1])
def test_pools(ceil_mode: int) -> None:
    """Sizes are such that windows over the end start inside of it: there runtimes agree."""
    for stride, pads, counted in itertools.product((1, 2), ([0] * 4, [1, 1, 1, 1], [1, 0, 0, 1]), (0, 1)):
        grid: dict[str, Any] = {
            "kernel_shape": [3, 3],
            "strides": [stride, stride],
            "pads": pads,
            "ceil_mode": ceil_mode,
        }
        agree("AveragePool", (2, 3, 11, 9), **grid, count_include_pad=counted)
        agree("MaxPool", (2, 3, 11, 9), **grid)
        agree("MaxPool", (2, 3, 11, 9), **grid | {"ceil_mode": 0}, dilations=[2, 1])


def test_what_comes_before_a_jump_is_float32() -> None:
    """0.1 · 35 is 3.5 in float32 and a little more in float64; the network rounds the former, to even."""
    nodes = [
        node("Mul", ["x", "tenth"], ["t"], "n0"),
        node("Round", ["t"], ["r"], "n1"),
        node("Mul", ["r", "third"], ["y"], "n2"),
    ]
    constants = {"tenth": np.float32(0.1), "third": np.float32(1 / 3)}
    model = make_model(nodes, constants, {"x": ["N", 1]}, {"y": ["N", 1]}, opset=21, ir_version=10)
    x = np.array([[25.0], [35.0], [45.0], [-5.0]], np.float32)
    narrow = np.rint(x * np.float32(0.1)).astype(np.float64) * np.float64(np.float32(1 / 3))
    np.testing.assert_array_equal(Float64Network(model).run({"x": x})["y"], narrow)
    np.testing.assert_array_equal(Float64Network(model, absolute=True).run({"x": x})["y"], np.abs(narrow))
    exact = np.rint(x * np.float64(np.float32(0.1))) * np.float64(np.float32(1 / 3))
    np.testing.assert_array_equal(Float64Network(model, throughout=True).run({"x": x})["y"], exact)
    assert not np.array_equal(exact, narrow)
