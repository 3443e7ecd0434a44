"""Trains of a large network are fetched some at a time."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_networks import NETWORKS

import onnx2snn
from onnx2snn.certificate import as_written
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.model.reference import Runner, make_runner
from onnx2snn.model.weights import SplitModel, split_model


def test_levels_and_answers_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS["residual"]()
    inputs = network.inputs(3)
    conversion = onnx2snn.convert(network.model)
    trains = {layer["name"]: layer["output"] for layer in read_layer_table(conversion.model)["layers"]}
    loaded: list[int] = []

    def load(model: SplitModel) -> Runner:
        loaded.append(len(model.structure.graph.output))
        return make_runner(model)

    def shown() -> as_written.Shown:
        split = split_model(conversion.model)
        return as_written.Shown(split, trains, conversion.timesteps, fused=False, load=load)

    whole = shown()
    expected = [whole.levels(inputs), whole.levels(inputs)][1]
    assert loaded == [len(trains) + 1]
    monkeypatch.setattr(as_written, "_NUMBERS", 1)
    parts = shown()
    found = parts.levels(inputs)
    assert loaded[1:] == [2] * len(trains)
    assert list(parts.answers) == list(whole.answers)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
