"""What must hold for every convertible network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime as ort
import pytest

import onnx2snn
from onnx2snn.analysis.pass_manager import apply_owned, state_of
from onnx2snn.dialect.functions import attach_functions
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import Array
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.reference import run_reference
from onnx2snn.model.repairs import repaired
from onnx2snn.passes import pipeline
from onnx2snn.passes.importer import import_model
from onnx2snn.runtime import SpikingSession
from random_networks.architecture import Drawn

EXECUTIONS = ("spiking", "fused", "streaming")


def check(drawn: Drawn) -> None:
    """Every property, on one network."""
    for one in PROPERTIES.values():
        one(drawn)


def check_passes(drawn: Drawn) -> None:
    """After each pass the graph is valid, and (in an exact network) answers bit for bit the same."""
    graph = import_model(repaired(drawn.model))
    for graph_pass in pipeline(bias=drawn.bias):
        before = state_of(graph)
        graph = apply_owned(graph, [graph_pass])
        if state_of(graph).equals(before):
            continue
        model = _model(graph, drawn.bias)
        onnx.checker.check_model(model)
        found = run_reference(model, drawn.inputs)
        if drawn.exact:
            same(found, drawn.expected, graph_pass.__name__)


def _model(graph: gs.Graph, bias: str) -> onnx.ModelProto:
    model = to_model(graph)
    attach_functions(model, bias=bias)
    return model


def same(found: Mapping[str, Array], expected: Mapping[str, Array], what: str) -> None:
    """Bit for bit, but for the functions of a head."""
    assert list(found) == list(expected), what
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, what
        assert found[name].shape == value.shape, what
        np.testing.assert_array_equal(found[name], value, err_msg=f"{name} after {what}")


def check_files(drawn: Drawn) -> None:
    """The file that is written, in onnxruntime as whoever loads it has it, answers what the source file answers."""
    session = ort.InferenceSession(
        drawn.conversion.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, drawn.inputs), strict=True))
    if drawn.exact:
        same(found, drawn.expected, "conversion")
        return
    assert {n: (v.dtype, v.shape) for n, v in found.items()} == {
        n: (v.dtype, v.shape) for n, v in drawn.expected.items()
    }


def check_certificate(drawn: Drawn) -> None:
    """It is certified lossless; an exact network without any neuron that rounding could move."""
    certificate = onnx2snn.verify(drawn.model, drawn.conversion.model, drawn.inputs)
    assert certificate.lossless, certificate
    assert [output.name for output in certificate.outputs] == list(drawn.expected)
    if drawn.exact:
        assert all(layer.exact == layer.levels_compared for layer in certificate.layers), certificate


def check_executions(drawn: Drawn) -> None:
    """All executions agree on every spike and every answer; in general floats, each is certified for itself."""
    model = drawn.conversion.model
    if not drawn.exact:
        assert all(
            onnx2snn.verify(drawn.model, model, drawn.inputs, execution=e).lossless for e in EXECUTIONS[1:]
        )
        return
    content = model.SerializeToString()
    first, *others = (SpikingSession(content, execution=e).levels(drawn.inputs) for e in EXECUTIONS)
    for execution, answer in zip(EXECUTIONS[1:], others, strict=True):
        same(answer, first, execution)


def check_repetition(drawn: Drawn) -> None:
    """Converting again gives the same bytes of a valid model; the spiking network is refused as a source."""
    first, second = (
        drawn.conversion.model,
        onnx2snn.convert(drawn.model, bias=drawn.bias, hybrid=drawn.hybrid).model,
    )
    assert first.SerializeToString() == second.SerializeToString()
    onnx.checker.check_model(first, full_check=True)
    with pytest.raises(ConversionError, match="already a spiking network"):
        onnx2snn.convert(first)


PROPERTIES: Mapping[str, Callable[[Drawn], None]] = {
    "passes": check_passes,
    "files": check_files,
    "certificate": check_certificate,
    "executions": check_executions,
    "repetition": check_repetition,
}
