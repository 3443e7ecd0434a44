"""Files that onnxruntime runs though they leave something out are read, converted, and certified."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import run_reference
from onnx2snn.model.repairs import repaired


def network(behind: str = "y = MatMul(d, v)", **arrays: np.ndarray) -> onnx.ModelProto:
    random = np.random.default_rng(0)
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]> g (float[N,8] x) => (float[N,3] y) {{
      c = MatMul(x, w)  q = QuantizeLinear(c, s, z)  d = DequantizeLinear(q, s, z)  {behind} }}""")
    held = {
        "w": (random.integers(-8, 9, (8, 8)) / 16).astype(np.float32),
        "s": np.float32(0.25),
        "z": np.uint8(0),
    }
    held |= {"v": (random.integers(-8, 9, (8, 3)) / 16).astype(np.float32)}
    for name, values in (held | arrays).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return model


DATA = {"x": (np.random.default_rng(1).integers(-16, 17, (5, 8)) / 4).astype(np.float32)}


def without_shape(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")


def without_type(model: onnx.ModelProto) -> None:
    model.graph.output[0].ClearField("type")


def without_name(model: onnx.ModelProto) -> None:
    model.graph.name = ""


def in_another_order(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def with_a_weight_twice(model: onnx.ModelProto) -> None:
    other = onnx.TensorProto()
    other.CopyFrom(model.graph.initializer[0])
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((8, 8), np.float32), "w"))
    model.graph.initializer.append(other)


LEFT_OUT = (without_shape, without_type, without_name, in_another_order, with_a_weight_twice)


def keeps_the_rules(model: onnx.ModelProto) -> bool:
    names = [tensor.name for tensor in model.graph.initializer]
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError:
        return False
    return len(set(names)) == len(names)


@pytest.mark.parametrize("change", LEFT_OUT, ids=lambda change: change.__name__)
def test_what_is_left_out_is_put_back(change: Callable[[onnx.ModelProto], None]) -> None:
    model, whole = network(), network()
    change(model)
    assert not keeps_the_rules(model)
    before = model.SerializeToString()
    expected = run_reference(whole, DATA)["y"]
    np.testing.assert_array_equal(run_reference(load_model(model), DATA)["y"], expected)
    certificate = onnx2snn.verify(model, onnx2snn.convert(model).model, DATA)
    assert certificate.lossless
    assert model.SerializeToString() == before


OTHERS = {
    "com.microsoft": ("Gelu", 1),
    "ai.onnx.ml": ("Normalizer", onnx.defs.get_schema("Normalizer", domain="ai.onnx.ml").since_version),
}


@pytest.mark.parametrize("domain", OTHERS)
def test_a_domain_that_is_used_is_imported(domain: str) -> None:
    """onnxruntime knows it without being told."""
    operator, least = OTHERS[domain]
    model = network(f"e = MatMul(d, v)  y = {domain}.{operator}(e)")
    assert not keeps_the_rules(model)
    loaded = load_model(model)
    assert keeps_the_rules(loaded)
    assert next(opset.version for opset in loaded.opset_import if opset.domain == domain) >= least
    assert onnx2snn.verify(model, onnx2snn.convert(model).model, DATA).lossless


def test_a_file_that_leaves_nothing_out_is_itself() -> None:
    model = network()
    assert repaired(model) is model


SEQUENCES = {
    "parts of one size": "sq = SplitToSequence<axis=1>(d, four)  a = SequenceAt(sq, i0)  b = SequenceAt(sq, i1)"
    "  e = Concat<axis=1>(b, a)  y = MatMul(e, v)",
    "parts of given sizes, counted from the end": "sq = SplitToSequence<axis=1>(d, sizes)  a = SequenceAt(sq, last)"
    "  b = SequenceAt(sq, i0)  e = Concat<axis=1>(a, b)  y = MatMul(e, v)",
    "joined again": "sq = SplitToSequence<axis=1>(d, three)  e = ConcatFromSequence<axis=1>(sq)  y = MatMul(e, v)",
    "single entries": "sq = SplitToSequence<axis=1, keepdims=0>(d)  e = ConcatFromSequence<axis=1, new_axis=1>(sq)"
    "  y = MatMul(e, v)",
    "made of tensors": "sq = SequenceConstruct(d, d)  f = ConcatFromSequence<axis=1>(sq)"
    "  e = Slice(f, from, to, axes)  y = MatMul(e, v)",
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_of_known_parts_are_tensors(name: str) -> None:
    arrays = {
        "four": np.array(4),
        "three": np.array(3),
        "i0": np.array(0),
        "i1": np.array(1),
        "last": np.array(-1),
    }
    arrays |= {"sizes": np.array([6, 2]), "from": np.array([4]), "to": np.array([12]), "axes": np.array([1])}
    model = network(
        SEQUENCES[name], **{key: value for key, value in arrays.items() if f" {key}" in SEQUENCES[name]}
    )
    conversion = onnx2snn.convert(model)
    assert len(conversion.layers) == 1
    assert not conversion.non_spiking
    assert onnx2snn.verify(model, conversion.model, DATA).lossless
