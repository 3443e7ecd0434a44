"""Functions of bytes are written as floats once they are read, each once, whatever order they are read in."""

from __future__ import annotations

import itertools

import onnx
import pytest
from onnx.parser import parse_model

from onnx2snn.compile.byte_functions import ByteTensor, identity
from onnx2snn.compile.byte_writer import ByteWriter
from onnx2snn.compile.draft import Draft
from onnx2snn.model.weights import SplitModel

_NETWORK = """
    <ir_version: 8, opset_import: ["" : 17]>
    agraph (float[N, 4] x) => (float[N, 4] t, float[N, 2] p, float[N, 2] q) <int64[2] sizes = {2, 2}>
    {
        t = Abs(x)
        p, q = Split<axis = 1>(t, sizes)
    }"""


class KnownBytes(ByteWriter):
    """Takes all that is written for bytes."""

    def as_bytes(self, node: onnx.NodeProto) -> bool:
        for name in node.output:
            known = ByteTensor(f"{name}/bytes", False, self.draft.sample_shape(name) or ())
            self._functions[name], self._lazy[name] = identity(known), node
        return True


@pytest.mark.parametrize("order", list(itertools.permutations("tpq")))
def test_parts_of_a_split_are_written_once(order: tuple[str, ...]) -> None:
    """One that was looked up is not made once more by what makes the other, where floats of the whole are there by then."""
    draft = Draft(SplitModel(parse_model(_NETWORK), {}))
    writer = KnownBytes(draft, bias="once")
    for node in draft.nodes:
        writer.write(node)
    draft.outputs = {name: draft.outputs[name] for name in order}
    writer.finish()
    names = [name for node in draft.finished().structure.graph.node for name in node.output]
    assert set(order) <= set(names)
    assert len(names) == len(set(names))
