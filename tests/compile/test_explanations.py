"""Where a compiled network and its file answer differently, levels of the file have to differ at thresholds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.certificate.defects import check_form
from onnx2snn.certificate.finished import Witness
from onnx2snn.compile import check, compiled, executions
from onnx2snn.compile.network import read_network
from onnx2snn.errors import SelfCheckError
from onnx2snn.model.reference import make_runner

#: One of them stands on a threshold, and one does not.
SAMPLE = {"x": np.array([[2.5, 3.2]], np.float32)}


def network() -> Any:
    """Rounding to whole numbers from 0 to 15, summed."""
    constants = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "top": np.float32(15),
        "w": np.ones((2, 1), np.float32),
    }
    nodes = [
        node("Clip", ["x", "", "top"], ["clipped"]),
        node("QuantizeLinear", ["clipped", "one", "zero"], ["code"]),
        node("DequantizeLinear", ["code", "one", "zero"], ["a"]),
        node("MatMul", ["a", "w"], ["y"]),
    ]
    model = make_model(nodes, constants, {"x": ["N", 2]}, {"y": ["N", 1]})
    return read_network(onnx2snn.convert(model).model)


@pytest.mark.parametrize("execution", ["spiking", "fused"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [(0, None), (1, "answers other levels"), (None, "differs where no level does")],
    ids=["at a threshold", "far from all", "nowhere"],
)
def test_levels_of_the_file_explain(
    monkeypatch: pytest.MonkeyPatch, execution: str, place: int | None, reason: str | None
) -> None:
    class Shown(check.Shown):
        def levels(self, inputs: Any) -> dict[str, Any]:
            found = super().levels(inputs)
            if place is not None:
                next(iter(found.values()))[0, place] += 1
            return found

    monkeypatch.setattr(check, "Shown", Shown)
    made = network()
    answers = make_runner(made.split)(SAMPLE)
    witness = Witness(made.split, SAMPLE, answers)
    found = {"y": answers["y"] + np.float32(1)}
    if reason is None:
        check._explain(made, execution, witness, found)
    else:
        with pytest.raises(SelfCheckError, match=re.escape(reason)):
            check._explain(made, execution, witness, found)


def long_sums(activation: str) -> onnx.ModelProto:
    """A readout of 512 places that all but cancel, and ``activation``."""
    rng = np.random.default_rng(0)
    half, order = np.abs(rng.normal(size=(16, 256))), rng.permutation(512)
    weights = 100 * np.abs(rng.normal(size=(256, 1)))
    last = np.concatenate([weights, -weights]) + 1e-5 * rng.normal(size=(512, 1))
    constants = {
        "s": np.float32(0.1),
        "z": np.uint8(0),
        "w1": np.concatenate([half, half], axis=1)[:, order].astype(np.float32),
        "w2": last[order].astype(np.float32),
    }
    nodes = [
        node("MatMul", ["x", "w1"], ["h"]),
        node("QuantizeLinear", ["h", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["a"]),
        node("MatMul", ["a", "w2"], ["r"]),
        node(activation, ["r"], ["y"]),
    ]
    return make_model(nodes, constants, {"x": ["N", 16]}, {"y": ["N", 1]})


@pytest.mark.parametrize("activation", ["Sigmoid", "Identity"])
@pytest.mark.parametrize(
    ("coding", "execution"),
    [("binary", "spiking"), ("binary", "fused"), ("binary", "int8"), ("binary", "step"), ("rate", "spiking")],
)
def test_the_order_of_a_long_sum_explains_an_output(activation: str, coding: Any, execution: Any) -> None:
    conversion = onnx2snn.convert(long_sums(activation), coding=coding)
    assert onnx2snn.compile(conversion, execution=execution).tried in ("equal", "explained")


@pytest.mark.parametrize("activation", ["Sigmoid", "Identity"])
@pytest.mark.parametrize("coding", ["binary", "rate"])
def test_what_the_order_of_a_sum_cannot_do_is_a_defect(activation: str, coding: Any) -> None:
    made = read_network(onnx2snn.convert(long_sums(activation), coding=coding).model)
    witness = Witness.of(made.split)
    found = {"y": witness.outputs["y"] + np.float32(0.25)}
    with pytest.raises(SelfCheckError, match="differs where no level does"):
        check._explain(made, "spiking", witness, found)


def test_outputs_of_another_form_are_a_defect() -> None:
    found, expected = ({"y": np.zeros((1, size), np.float32)} for size in (2, 1))
    with pytest.raises(SelfCheckError, match="has another form"):
        check_form(found, expected, network="compiled", source="file")


def test_a_file_against_the_rules_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def written(*given: Any, **options: Any) -> Any:
        made = executions.write_execution(*given, **options)
        made.structure.graph.node[0].attribute.add(name="unheard", i=1, type=onnx.AttributeProto.INT)
        return made

    monkeypatch.setattr(compiled, "write_execution", written)
    with pytest.raises(SelfCheckError, match="against the rules of ONNX"):
        onnx2snn.compile(network().split.whole(), execution="fused")
