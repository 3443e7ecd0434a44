"""The meaning of a model: onnxruntime without its optimisations."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import make_model, node, samples
from onnx import TensorProto, helper

from onnx2snn.errors import InvalidModelError
from onnx2snn.model.reference import make_runner, run_reference

SHAPE = ["N", 4]


def test_outputs_by_name_and_inputs_that_it_has_not() -> None:
    model = make_model(
        [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["z"])], {}, {"x": SHAPE}, {"y": SHAPE, "z": SHAPE}
    )
    x = samples(3, 4)
    found = run_reference(model, {"x": x, "labels": np.arange(3)}, ["z"])
    assert list(found) == ["z"]
    np.testing.assert_array_equal(found["z"], -x)


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_a_fixed_batch_is_fed_in_parts(count: int) -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {}, {"x": [4, 3]}, {"y": [4, 3]})
    x = samples(count, 3)
    np.testing.assert_array_equal(make_runner(model)({"x": x})["y"], np.maximum(x, 0))


def test_what_onnxruntime_lacks_is_said() -> None:
    model = make_model(
        [node("Frob", ["x"], ["y"], domain="elsewhere")],
        {},
        {"x": SHAPE},
        {"y": SHAPE},
        domains=["elsewhere"],
    )
    with pytest.raises(InvalidModelError, match="onnxruntime"):
        run_reference(model, {"x": samples(2, 4)})


@pytest.mark.parametrize("kind", [TensorProto.UINT4, TensorProto.INT4])
@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_codes_of_four_bits_are_handed_out(kind: int, domain: str) -> None:
    quantise = node("QuantizeLinear", ["x", "s", "z"], ["y"], domain=domain)
    model = make_model(
        [quantise], {"s": np.float32(0.5)}, {"x": SHAPE}, {"y": SHAPE}, opset=21 if not domain else 17
    )
    model.ir_version = 10
    model.graph.initializer.append(helper.make_tensor("z", kind, [], [3]))
    model.graph.output[0].type.tensor_type.elem_type = kind
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    found = run_reference(model, {"x": np.array([[-1, 0, 1, 9]], np.float32)})["y"]
    assert found.dtype == helper.tensor_dtype_to_np_dtype(kind)
    np.testing.assert_array_equal(found.astype(np.int8), [[1, 3, 5, 15 if kind == TensorProto.UINT4 else 7]])


def test_eight_bit_kernels_do_not_saturate() -> None:
    """Two products of 255·127 overflow the 16-bit sums of fused kernels; without optimisation they do not."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "s", "zw"], ["v"]),
        node("MatMul", ["d", "v"], ["y"]),
    ]
    constants = {
        "s": np.float32(1),
        "z": np.uint8(0),
        "zw": np.int8(0),
        "w": np.full((64, 64), 127, np.int8),
    }
    model = make_model(nodes, constants, {"x": ["N", 64]}, {"y": ["N", 64]})
    x = np.full((1, 64), 255, np.float32)
    np.testing.assert_array_equal(
        run_reference(model, {"x": x})["y"], np.full((1, 64), 64 * 255 * 127, np.float32)
    )


def test_what_onnxruntime_has_no_kernel_for_the_reference_evaluator_computes() -> None:
    """onnxruntime loads pooling of four spatial axes, but does not run it."""
    pool = node("AveragePool", ["x"], ["y"], kernel_shape=[1, 2, 1, 1])
    model = make_model([pool], {}, {"x": ["N", 1, 2, 4, 3, 3]}, {"y": ["N", 1, 2, 3, 3, 3]})
    x = samples(2, 1, 2, 4, 3, 3)
    np.testing.assert_allclose(
        run_reference(model, {"x": x})["y"], (x[:, :, :, :-1] + x[:, :, :, 1:]) / 2, rtol=1e-6
    )


def test_probabilities_by_class_are_one_array() -> None:
    """scikit-learn's classifiers answer dictionaries."""
    zipped = node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml", classlabels_int64s=[3, 1])
    graph = helper.make_graph(
        [zipped],
        "zipped",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [
            helper.make_value_info(
                "p",
                helper.make_sequence_type_proto(
                    helper.make_map_type_proto(
                        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
                    )
                ),
            )
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    x = samples(5, 2)
    found = run_reference(helper.make_model(graph, opset_imports=opsets, ir_version=9), {"x": x})["p"]
    np.testing.assert_array_equal(found, x[:, ::-1], "classes in increasing order")


def test_a_batch_that_is_named_inside_is_found_behind_a_flattened_output() -> None:
    """A Resize to sizes that fixes the first axis too; the output has several numbers of each sample."""
    nodes = [
        node("Resize", ["x", "", "", "sizes"], ["r"], mode="nearest"),
        node("Reshape", ["r", "flat"], ["y"]),
    ]
    constants = {"sizes": np.array([5, 1, 1, 3]), "flat": np.array([-1])}
    run = make_runner(make_model(nodes, constants, {"x": ["N", 1, 1, 3]}, {"y": ["M"]}))
    x = np.arange(6, dtype=np.float32).reshape(2, 1, 1, 3)
    np.testing.assert_array_equal(run({"x": x})["y"], x.reshape(-1))
    assert run.batch == 5
