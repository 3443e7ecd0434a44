"""What qonnx's own executor answers to the drawn calls: ``python tests/helpers_qonnx_executor.py``, with qonnx installed."""

from __future__ import annotations

import numpy as np
from helpers_qonnx import ANSWERS, COUNT, SEED, Call, draw


def executed(call: Call) -> np.ndarray:
    """The answer of qonnx."""
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415 - rarely installed
    from qonnx.core.onnx_exec import execute_onnx  # noqa: PLC0415

    return execute_onnx(ModelWrapper(call.model()), {"i0": call.inputs[0]})["y"].astype(np.float32)


if __name__ == "__main__":
    np.save(ANSWERS, np.concatenate([executed(call).ravel() for call in draw(COUNT, SEED)]))
