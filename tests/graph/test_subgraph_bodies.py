"""What subgraphs read from outside is among the inputs of their nodes, and goes back where it came from."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_control_flow import KINDS, network
from helpers_operators import dyadic

from onnx2snn.graph.exporter import to_model
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.importer import import_model

X = {"x": dyadic(3, 6, seed=5)}


@pytest.mark.parametrize(
    "name", ["loop_reads_a_potential", "loop_with_a_branch", "branch_with_a_loop", "scan_over_rows"]
)
def test_there_and_back(name: str) -> None:
    model = network(KINDS[name], "between")
    back = to_model(import_model(model).copy())
    onnx.checker.check_model(back, full_check=True)
    np.testing.assert_array_equal(run_reference(back, X)["y"], run_reference(model, X)["y"])


def test_inputs_tell_what_a_subgraph_reads() -> None:
    graph = import_model(network(KINDS["loop_with_a_branch"], "between"))
    loop = next(node for node in graph.nodes if node.op == "Loop")
    assert [tensor.name for tensor in loop.inputs][2:] == [
        "a0",
        "a0",
    ]  # its start, and what it reads from outside
