"""What qonnx's own executor answers to the drawn calls: ``python tests/helpers_qonnx_executor.py``, with qonnx installed."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import numpy as np
import onnx
import onnxruntime as ort
from helpers_qonnx import ANSWERS, COUNT, SEED, Call, draw


def executed(call: Call) -> np.ndarray:
    """The answer of qonnx."""
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415 - rarely installed
    from qonnx.core.onnx_exec import execute_onnx  # noqa: PLC0415

    return execute_onnx(ModelWrapper(call.model()), {"i0": call.inputs[0]})["y"].astype(np.float32)


def executed_network(model: onnx.ModelProto) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Inputs that qonnx draws for a whole network, of the types that the file notes, and its outputs.

    qonnx runs each operator of ONNX in an onnxruntime session of its own. Here these leave out graph optimisations, as
    the reference does: with them an average pool, for one, adds in another order, and values near a threshold come out a
    step apart.
    """
    from qonnx.core import onnx_exec  # noqa: PLC0415 - rarely installed
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415
    from qonnx.transformation.infer_shapes import InferShapes  # noqa: PLC0415
    from qonnx.util.basic import gen_finn_dt_tensor  # noqa: PLC0415

    wrapped = ModelWrapper(model, make_deepcopy=True).transform(InferShapes())
    held = {tensor.name for tensor in wrapped.graph.initializer}
    np.random.seed(0)  # noqa: NPY002 - what qonnx draws with
    inputs = {
        value.name: gen_finn_dt_tensor(
            wrapped.get_tensor_datatype(value.name), wrapped.get_tensor_shape(value.name)
        ).astype(np.float32)
        for value in wrapped.graph.input
        if value.name not in held
    }
    with mock.patch.object(onnx_exec, "rt", SimpleNamespace(InferenceSession=_plain_session)):
        return inputs, onnx_exec.execute_onnx(wrapped, inputs)


def _plain_session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    np.save(ANSWERS, np.concatenate([executed(call).ravel() for call in draw(COUNT, SEED)]))
