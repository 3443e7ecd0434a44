"""Files that other tools have written anew: what is only tidied still verifies, what is lost is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import pytest
from conftest import Example

import onnx2snn
from onnx2snn.certificate.declared import same_function
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.errors import InvalidModelError


def neuron(model: onnx.ModelProto) -> onnx.FunctionProto:
    """The integrate-and-fire neuron of a converted network."""
    return next(function for function in model.functions if function.name == "IF")


def late_first(nodes: list[onnx.NodeProto], known: set[str]) -> list[onnx.NodeProto]:
    """Another order in which every node stands behind what it reads, subgraphs too: the last that may, as onnxslim sorts."""
    placed: list[onnx.NodeProto] = []
    written = {name for n in nodes for name in n.output}
    while len(placed) < len(nodes):
        done = known | {name for n in placed for name in n.output}
        placed.append([n for n in nodes if n not in placed and {*n.input} & written <= done][-1])
    return placed


def reordered(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    for found in nodes:
        for attribute in found.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                inner = reordered(list(attribute.g.node))
                del attribute.g.node[:]
                attribute.g.node.extend(inner)
    return late_first(nodes, set())


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Nodes in another order, tensors and nodes with other names, constants in another form."""
    for function in model.functions:
        fixed = {*function.input, *function.output}
        nodes = reordered(list(function.node))
        del function.node[:]
        function.node.extend(nodes)
        for number, found in enumerate(function.node):
            found.name = f"node_{number}"
            for names in (found.input, found.output):
                names[:] = [n if n in fixed or not n else f"tidy_{n}" for n in names]
    return model


def without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    del model.functions[:]
    return model


def without_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    del model.metadata_props[:]
    return model


def with_other_bodies(model: onnx.ModelProto) -> onnx.ModelProto:
    """The order of the operands of a subtraction changes what is computed."""
    minus = next(found for found in reversed(neuron(model).node) if found.op_type == "Sub")
    minus.input[:] = reversed(minus.input)
    return model


def test_a_tidied_file_is_verified(example: Example, tmp_path: Path) -> None:
    before, after = onnx.load(example.snn), tidied(onnx.load(example.snn))
    assert list(neuron(before).node) != list(neuron(after).node)
    assert same_function(neuron(before), neuron(after))
    onnx.save(after, tmp_path / "tidied.onnx")
    assert onnx2snn.verify(example.ann, tmp_path / "tidied.onnx", example.data).lossless


def test_weights_in_a_file_of_their_own_are_verified(example: Example, tmp_path: Path) -> None:
    options = {"save_as_external_data": True, "location": "weights", "size_threshold": 0}
    onnx.save(onnx.load(example.snn), tmp_path / "snn.onnx", **options)
    assert (tmp_path / "weights").stat().st_size
    assert onnx2snn.verify(example.ann, tmp_path / "snn.onnx", example.data).lossless


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_functions, "no body: another tool has dropped the functions"),
        (without_metadata, "lost its layer table\nfound: none of its metadata"),
        (onnx.inliner.inline_local_functions, "lost its neurons\nfound: plain operators"),
        (with_other_bodies, "another body than the dialect gives it"),
    ],
)
def test_what_was_lost_is_named(
    example: Example, change: Callable[[onnx.ModelProto], onnx.ModelProto], message: str
) -> None:
    with pytest.raises(InvalidModelError, match=message):
        onnx2snn.verify(example.ann, change(onnx.load(example.snn)), example.data)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.node.pop(),
        lambda body: body.output.__setitem__(0, body.node[0].output[0]),
        lambda body: body.opset_import[0].__setattr__("version", 13),
        lambda body: body.node[-1].input.__setitem__(0, "nowhere"),
        lambda body: next(a for n in body.node for a in n.attribute if a.HasField("t")).t.CopyFrom(
            onnx.numpy_helper.from_array(np.array([7]))
        ),
    ],
)
def test_any_other_change_is_another_function(example: Example, change: Callable[[object], object]) -> None:
    before, after = (neuron(onnx.load(example.snn)) for _ in range(2))
    assert before.domain == DOMAIN
    change(after)
    assert not same_function(before, after)
