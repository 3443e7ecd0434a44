"""What a model means: onnxruntime with its graph optimisations off, as ONNX defines it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import onnxruntime as ort

from onnx2snn.graph import Array


def reference_session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_reference(
    model: onnx.ModelProto, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
) -> dict[str, Array]:
    """The outputs of ``model`` by name."""
    session = reference_session(model)
    names = list(outputs) if outputs is not None else [o.name for o in session.get_outputs()]
    known = {i.name for i in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in inputs.items() if k in known}), strict=True))
