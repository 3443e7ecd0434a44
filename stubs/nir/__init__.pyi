"""What the project uses of NIR's package, typed: it carries no types."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_Sizes = int | tuple[int, ...] | Sequence[int] | _Array
_Types = Mapping[str, NDArray[np.int64]]

class NIRNode:
    input_type: _Types
    output_type: _Types
    metadata: dict[str, str | bytes | int | float | _Array]

class NIRGraph(NIRNode):
    nodes: dict[str, NIRNode]
    edges: Sequence[tuple[str, str]]
    def __init__(
        self, nodes: Mapping[str, NIRNode], edges: Sequence[tuple[str, str]], metadata: Mapping[str, object]
    ) -> None: ...

class Input(NIRNode):
    def __init__(self, input_type: _Types) -> None: ...

class Output(NIRNode):
    def __init__(self, output_type: _Types) -> None: ...

class Affine(NIRNode):
    weight: _Array
    bias: _Array
    def __init__(self, weight: _Array, bias: _Array) -> None: ...

class Linear(NIRNode):
    weight: _Array

class Scale(NIRNode):
    scale: _Array
    def __init__(self, scale: _Array) -> None: ...

class _Convolution(NIRNode):
    weight: _Array
    stride: _Sizes
    padding: _Sizes
    dilation: _Sizes
    groups: int
    bias: _Array
    def __init__(
        self,
        input_shape: _Sizes,
        weight: _Array,
        stride: _Sizes,
        padding: _Sizes,
        dilation: _Sizes,
        groups: int,
        bias: _Array,
    ) -> None: ...

class Conv1d(_Convolution): ...
class Conv2d(_Convolution): ...

class _Pool(NIRNode):
    kernel_size: _Sizes
    stride: _Sizes
    padding: _Sizes
    def __init__(self, kernel_size: _Array, stride: _Array, padding: _Array) -> None: ...

class AvgPool2d(_Pool): ...
class SumPool2d(_Pool): ...

class Flatten(NIRNode):
    def __init__(self, input_type: _Types, start_dim: int, end_dim: int) -> None: ...

class Threshold(NIRNode):
    threshold: _Array
    def __init__(self, threshold: _Array) -> None: ...

class Delay(NIRNode):
    delay: _Array
    def __init__(self, delay: _Array) -> None: ...

class I(NIRNode):
    r: _Array
    def __init__(self, r: _Array) -> None: ...

class LI(NIRNode):
    tau: _Array
    r: _Array
    v_leak: _Array
    def __init__(self, tau: _Array, r: _Array, v_leak: _Array) -> None: ...

class IF(NIRNode):
    r: _Array
    v_threshold: _Array
    v_reset: _Array
    def __init__(
        self,
        r: _Array,
        v_threshold: _Array,
        v_reset: _Array | None = None,
        *,
        metadata: Mapping[str, object] = ...,
    ) -> None: ...

def read(filename: str | Path) -> NIRGraph: ...
def write(filename: str | Path | IO[bytes], graph: NIRGraph) -> None: ...
