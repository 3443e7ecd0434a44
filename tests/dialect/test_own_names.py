"""Files in which another tool has given tensors, or neurons, other names: verified and run as they are, or refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from conftest import small_network
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.dialect.functions import DOMAIN, NEURONS
from onnx2snn.dialect.layer_table import METADATA_KEY, read_layer_table
from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime import SpikingSession

DATA = {"image": np.random.default_rng(0).uniform(0, 1, (6, 1, 8, 8)).astype(np.float32)}


@pytest.fixture(scope="module")
def source() -> onnx.ModelProto:
    return small_network()


@pytest.fixture(scope="module")
def written(source: onnx.ModelProto) -> onnx.ModelProto:
    return onnx2snn.convert(source).model


def neurons(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [n for n in model.graph.node if n.domain == DOMAIN and n.op_type in NEURONS]


def rename_tensors(model: onnx.ModelProto) -> None:
    """Whatever is neither an input, an output nor a weight."""
    kept = {v.name for v in (*model.graph.input, *model.graph.output, *model.graph.initializer)}
    fresh = {
        n: f"v{i}" for i, n in enumerate(n for node in model.graph.node for n in node.output if n not in kept)
    }
    for one in model.graph.node:
        for side in (one.input, one.output):
            side[:] = [fresh.get(name, name) for name in side]
    for info in model.graph.value_info:
        info.name = fresh.get(info.name, info.name)


def rename_neurons(model: onnx.ModelProto) -> None:
    rename_tensors(model)
    for number, one in enumerate(neurons(model)):
        one.name = f"call_{number}"


def forget_names(model: onnx.ModelProto) -> None:
    rename_tensors(model)
    for one in model.graph.node:
        one.name = ""


CHANGES: dict[str, Callable[[onnx.ModelProto], None]] = {
    "tensors": rename_tensors,
    "tensors and neurons": rename_neurons,
}


def changed(model: onnx.ModelProto, change: Callable[[onnx.ModelProto], None]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    change(copy)
    onnx.checker.check_model(copy, full_check=True)
    return copy


@pytest.mark.parametrize("what", CHANGES)
def test_it_is_certified_as_the_file_that_was_written(
    source: onnx.ModelProto, written: onnx.ModelProto, what: str
) -> None:
    renamed = changed(written, CHANGES[what])
    first, second = (onnx2snn.verify(source, model, DATA) for model in (written, renamed))
    assert first.lossless
    assert second.lossless
    assert [layer.name for layer in second.layers] == [n.name for n in neurons(renamed)]
    facts = [
        [(x.neurons, x.levels_compared, x.exact, x.ambiguous) for x in c.layers] for c in (first, second)
    ]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("execution", ["spiking", "fused", "streaming"])
@pytest.mark.parametrize("what", CHANGES)
def test_it_runs_and_counts_as_the_file_that_was_written(
    written: onnx.ModelProto, what: str, execution: str
) -> None:
    renamed = changed(written, CHANGES[what])
    first, second = (
        SpikingSession(m.SerializeToString(), execution=execution).run(DATA) for m in (written, renamed)
    )
    np.testing.assert_array_equal(first.outputs["logits"], second.outputs["logits"])
    for kind in ("spikes", "synops"):
        before, after = (list(getattr(result, kind).values()) for result in (first, second))
        assert len(before) == len(neurons(written))
        np.testing.assert_array_equal(before, after)


def test_what_the_table_says_of_names_alone_is_found_again(
    source: onnx.ModelProto, written: onnx.ModelProto
) -> None:
    """Its trains are those of its neurons, whatever it calls them."""

    def exchange(model: onnx.ModelProto) -> None:
        entry = next(e for e in model.metadata_props if e.key == METADATA_KEY)
        table = json.loads(entry.value)
        one, other = table["layers"][:2]
        one["output"], other["output"] = other["output"], one["output"]
        entry.value = json.dumps(table)

    lying = changed(written, exchange)
    trains = [layer["output"] for layer in read_layer_table(lying)["layers"]]
    assert trains == [layer["output"] for layer in read_layer_table(written)["layers"]]
    with pytest.raises(InvalidModelError):  # its counting graph counts what it is told to, of the other train
        onnx2snn.verify(source, lying, DATA)


def test_neurons_whose_names_were_exchanged_are_never_certified(
    source: onnx.ModelProto, written: onnx.ModelProto
) -> None:
    def exchange(model: onnx.ModelProto) -> None:
        one, other = neurons(model)[:2]
        one.name, other.name = other.name, one.name

    with contextlib.suppress(InvalidModelError):
        assert not onnx2snn.verify(source, changed(written, exchange), DATA).lossless


def test_layers_that_nothing_tells_apart_are_refused() -> None:
    """Two alike, side by side: without their names either may be the other."""
    random = np.random.default_rng(1)
    constants = {n: (random.integers(-8, 9, (8, 8)) / 8).astype(np.float32) for n in ("w", "u", "v")}
    constants |= {"zero": np.float32(0), "top": np.float32(7)}
    nodes = []
    for name, weight in (("a", "w"), ("b", "u")):
        nodes += [node("MatMul", ["x", weight], [f"h{name}"]), node("Floor", [f"h{name}"], [f"f{name}"])]
        nodes += [node("Clip", [f"f{name}", "zero", "top"], [name])]
    nodes += [node("Add", ["a", "b"], ["s"]), node("MatMul", ["s", "v"], ["y"])]
    source = make_model(nodes, constants, {"x": ["N", 8]}, {"y": ["N", 8]})
    written = onnx2snn.convert(source).model
    data = {"x": random.normal(0, 2, (5, 8)).astype(np.float32)}
    assert onnx2snn.verify(source, changed(written, rename_tensors), data).lossless
    with pytest.raises(InvalidModelError):
        onnx2snn.verify(source, changed(written, rename_neurons), data)
    with pytest.raises(InvalidModelError):
        SpikingSession(changed(written, rename_neurons).SerializeToString())


def test_sizes_that_nobody_finds_again_are_not_counted_as_none() -> None:
    """Multiply-accumulates of open sizes go by names of tensors: it is certified, and does not run with too few of them."""
    random = np.random.default_rng(1)
    constants = {n: (random.integers(-8, 9, (2, 2, 3, 3)) / 8).astype(np.float32) for n in ("w", "v")}
    constants |= {"zero": np.float32(0), "top": np.float32(7), "half": np.float32(0.5)}
    nodes = [
        node("Mul", ["x", "half"], ["m"]), node("Conv", ["m", "w"], ["h"], pads=[1] * 4), node("Floor", ["h"], ["f"]),
        node("Clip", ["f", "zero", "top"], ["a"]), node("Conv", ["a", "v"], ["y"], pads=[1] * 4),
    ]  # fmt: skip
    source = make_model(nodes, constants, {"x": ["N", 2, "H", "W"]}, {"y": ["N", 2, "H", "W"]})
    renamed = changed(onnx2snn.convert(source).model, rename_tensors)
    data = {"x": random.normal(0, 2, (2, 2, 5, 4)).astype(np.float32)}
    assert onnx2snn.verify(source, renamed, data).lossless
    with pytest.raises(InvalidModelError, match="multiply-accumulates"):
        SpikingSession(renamed.SerializeToString()).run(data)
