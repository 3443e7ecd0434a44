from typing import Any

import onnx
from numpy.typing import NDArray

class LazyValues:
    tensor: onnx.TensorProto
    def __init__(self, tensor: onnx.TensorProto) -> None: ...
    def load(self) -> NDArray[Any]: ...
