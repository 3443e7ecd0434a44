"""What a model means: onnxruntime with its graph optimisations off, as ONNX defines it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime as ort

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph import Array

#: Runs a loaded model: {input name: array} to {output name: array}. Inputs that the model does not have are ignored.
Runner: TypeAlias = Callable[[Mapping[str, Array]], dict[str, Array]]

#: Operators outside of what stock onnxruntime knows.
_FOREIGN = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


def reference_session(model: onnx.ModelProto) -> ort.InferenceSession:
    """A session that computes ``model`` operator by operator, as it is written."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise InvalidModelError(
            "onnxruntime cannot load this network",
            found=str(error).splitlines()[0],
            remedy="see which operator it names",
        ) from error


def run_reference(
    model: onnx.ModelProto, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
) -> dict[str, Array]:
    """The outputs of ``model`` by name."""
    session = reference_session(model)
    names = list(outputs) if outputs is not None else [o.name for o in session.get_outputs()]
    known = {i.name for i in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in inputs.items() if k in known}), strict=True))


def make_runner(model: onnx.ModelProto) -> Runner:
    """Load ``model`` once, to run it often, on any number of samples.

    Where the model fixes its batch, samples are presented in such batches, the last filled up with its last sample.
    """
    session = reference_session(model)
    names = [output.name for output in session.get_outputs()]
    known = [value.name for value in session.get_inputs()]
    sizes = {
        value.shape[0] for value in session.get_inputs() if value.shape and isinstance(value.shape[0], int)
    }
    fixed = sizes.pop() if len(sizes) == 1 else None

    def once(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(names, session.run(names, {name: inputs[name] for name in known}), strict=True))

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        samples = len(inputs[known[0]]) if known else 0
        if fixed is None or samples == fixed:
            return once(inputs)
        parts = []
        for start in range(0, samples, fixed):
            rows = np.minimum(np.arange(start, start + fixed), samples - 1)
            parts.append(once({name: inputs[name][rows] for name in known}))
        return {name: np.concatenate([part[name] for part in parts])[:samples] for name in names}

    return run


def loads_in_onnxruntime(model: onnx.ModelProto) -> bool:
    """Whether stock onnxruntime runs ``model`` in float32; it knows nothing of QONNX."""
    floats = {tensor.type.tensor_type.elem_type for tensor in [*model.graph.input, *model.graph.output]}
    if floats & {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}:
        return False  # its meaning here is the float32 one (METHOD 10)
    return not any(node.domain in _FOREIGN for node in model.graph.node)
