"""What the project uses of onnx-graphsurgeon, typed: the package itself carries no types."""

from collections.abc import Iterator, MutableMapping, MutableSequence, Sequence
from typing import Any, TypeAlias

import onnx
from numpy.typing import NDArray
from onnx_graphsurgeon.ir.tensor import LazyValues

_Values: TypeAlias = NDArray[Any] | LazyValues
_Shape: TypeAlias = Sequence[int | str | None]

class Tensor:
    name: str
    inputs: MutableSequence[Node]
    outputs: MutableSequence[Node]
    # Of a constant they are those of its values; NumPy has no name for what it cannot hold: then the code of ONNX, or None.
    dtype: Any
    shape: Any
    def is_empty(self) -> bool: ...

class Variable(Tensor):
    #: "tensor_type", "sequence_type" ...
    type: str
    def __init__(self, name: str, dtype: Any = None, shape: _Shape | None = None) -> None: ...
    @staticmethod
    def empty() -> Variable: ...

class Constant(Tensor):
    values: NDArray[Any]
    def __init__(
        self, name: str, values: _Values, data_location: int | None = None, export_dtype: Any = None
    ) -> None: ...

class Node:
    op: str
    name: str
    domain: str
    attrs: MutableMapping[str, Any]
    inputs: MutableSequence[Tensor]
    outputs: MutableSequence[Tensor]
    def __init__(
        self,
        op: str,
        name: str | None = None,
        attrs: MutableMapping[str, Any] | None = None,
        inputs: Sequence[Tensor] | None = None,
        outputs: Sequence[Tensor] | None = None,
        domain: str | None = None,
    ) -> None: ...
    def subgraphs(self, recursive: bool = False) -> Iterator[Graph]: ...

class Graph:
    name: str
    nodes: MutableSequence[Node]
    inputs: MutableSequence[Tensor]
    outputs: MutableSequence[Tensor]
    opset: int
    functions: Sequence[Function]
    doc_string: str | None
    producer_name: str | None
    producer_version: str | None
    ir_version: int | None
    def __init__(
        self,
        nodes: Sequence[Node] | None = None,
        inputs: Sequence[Tensor] | None = None,
        outputs: Sequence[Tensor] | None = None,
        name: str | None = None,
        *,
        opset: int | None = None,
    ) -> None: ...
    def toposort(self) -> Graph: ...
    def copy(self) -> Graph: ...
    def tensors(self) -> dict[str, Tensor]: ...
    def subgraphs(self, recursive: bool = False) -> Iterator[Graph]: ...

class Function(Graph): ...

def import_onnx(onnx_model: onnx.ModelProto) -> Graph: ...
