from collections.abc import Sequence
from typing import Any

import onnx

class ONNXProgram:
    model_proto: onnx.ModelProto

def is_in_onnx_export() -> bool: ...
def export(
    model: Any,
    args: tuple[Any, ...],
    f: str | None = None,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_shapes: tuple[Any, ...] | None = None,
    dynamo: bool = True,
    verbose: bool = False,
    external_data: bool = True,
) -> ONNXProgram | None: ...
