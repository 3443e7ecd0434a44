"""Codes that lie at a tie: where onnxruntime's own sum of codes rounds it the other way, the certificate says so."""

from __future__ import annotations

import numpy as np
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.model.reference import run_reference

A, B, C = (np.float32(s) for s in (0.02534690499305725, 0.035809919238090515, 0.0365859717130661))
ZEROS = {"za": np.int8(-106), "zb": np.int8(-120), "zc": np.int8(-105)}


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Of all pairs of codes, those whose sum is near the middle between two codes."""
    a, b = (codes.ravel() for codes in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    steps = ((a + 106) * np.float64(A) + (b + 120) * np.float64(B)) / np.float64(C)
    near = np.abs(steps - np.floor(steps) - 0.5) < 2e-3
    return a[near], b[near]


def test_sums_of_codes_that_round_the_other_way_are_ambiguous() -> None:
    a, b = pairs()
    data = {
        "a": ((a + 106) * A).astype(np.float32)[:, None],
        "b": ((b + 120) * B).astype(np.float32)[:, None],
    }
    nodes = [
        node("QuantizeLinear", ["a", "sa", "za"], ["qa"]),
        node("QuantizeLinear", ["b", "sb", "zb"], ["qb"]),
        node("QLinearAdd", ["qa", "sa", "za", "qb", "sb", "zb", "sc", "zc"], ["c"], domain=MICROSOFT),
        node("DequantizeLinear", ["c", "sc", "zc"], ["d"]),
        node("MatMul", ["d", "w"], ["y"]),
    ]
    held = {"sa": A, "sb": B, "sc": C, **ZEROS, "w": np.ones((1, 1), np.float32)}
    source = make_model(nodes, held, {"a": ["N", 1], "b": ["N", 1]}, {"y": ["N", 1]}, domains=[MICROSOFT])
    conversion = onnx2snn.convert(source)
    certificate = onnx2snn.verify(source, conversion, data)
    apart = run_reference(source, data)["y"] - run_reference(conversion.model, data)["y"]
    told = sum(layer.ambiguous for layer in certificate.layers)
    assert certificate.lossless
    assert certificate.max_abs_error == np.abs(apart).max()
    assert told == np.count_nonzero(np.abs(apart) > C / 2) <= 1
    assert certificate.samples - certificate.alike == told
