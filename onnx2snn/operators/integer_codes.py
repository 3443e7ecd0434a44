"""Where float32 codes meet operators that know integers only."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import DTypeLike

from onnx2snn.graph.build import code_range, make_constant
from onnx2snn.graph.core import ORIGIN, Names, is_constant, is_float, origin, tidy
from onnx2snn.operators import of


class IntegerCodes:
    """The integer tensors of a graph, before quantisers are written as float arithmetic.

    Args:
        graph: As it was.
    """

    def __init__(self, graph: gs.Graph) -> None:
        _infer_types(graph)
        self._types = {
            name: np.dtype(tensor.dtype)
            for name, tensor in graph.tensors().items()
            if not is_constant(tensor) and is_integer(tensor)
        }
        self._old = {id(node) for node in graph.nodes}
        self._made: dict[tuple[int, str], gs.Tensor] = {}

    def settle(self, graph: gs.Graph, names: Names) -> gs.Graph:
        """Make every reader of what was a code read the type that it needs.

        1. Operators that only move or compare codes run on float32.
        2. New float arithmetic that reads integers (an image as uint8) reads their Cast.
        3. Any other operator, and an output of the graph, gets integers again, by a Cast.
        4. What an operator makes of several codes (Resize between two) is cut off, as it is where integers are written.
        """
        tidy(graph)
        for node in list(graph.nodes):
            codes = of(node).codes or tuple(i for i in range(len(node.inputs)) if i != of(node).axes)
            if id(node) not in self._old:
                self._read_floats(graph, names, node, codes)
            elif self._on_codes(node):
                self._read_floats(graph, names, node, codes)
                for tensor in node.outputs[
                    : 1 if of(node).compares else None
                ]:  # places of maxima stay integers
                    tensor.dtype = np.float32
                copies = of(node).copies
                if copies is not None and not copies(node):
                    self._cut_off(graph, names, node)
            elif not of(node).any_type:
                self._read_integers(graph, names, node)
        for position, tensor in enumerate(graph.outputs):
            self._write_integers(graph, names, position, tensor)
        return tidy(graph)

    def _on_codes(self, node: gs.Node) -> bool:
        operator = of(node)
        wide = all(self._types.get(t.name, np.dtype(np.int32)).itemsize >= 4 for t in node.inputs)
        if operator.codes is None and not (operator.sums_codes and wide):
            return False
        return any(t.name in self._types and is_float(t) for t in node.inputs)

    def _cut_off(self, graph: gs.Graph, names: Names, node: gs.Node) -> None:
        """Case 4."""
        output = node.outputs[0]
        between = gs.Variable(names.fresh(f"{output.name}/between"), np.float32, output.shape)
        bounded = gs.Variable(names.fresh(f"{output.name}/bounded"), np.float32, output.shape)
        bounds = [
            make_constant(names, f"{output.name}/bound", np.float32(b))
            for b in code_range(self._types[output.name])
        ]
        node.outputs = [between]
        clip = gs.Node(
            "Clip", names.fresh(f"{output.name}/Clip"), {ORIGIN: origin(node)}, [between, *bounds], [bounded]
        )
        graph.nodes.append(clip)  # what lies between codes is bounded as they are
        whole = gs.Variable(names.fresh(f"{output.name}/cut_off"), self._types[output.name], output.shape)
        for read, written in ((bounded, whole), (whole, output)):
            to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(written.dtype))
            cast = gs.Node("Cast", names.fresh(f"{written.name}/Cast"), {"to": to}, [read], [written])
            cast.attrs[ORIGIN] = origin(node)
            graph.nodes.append(cast)

    def _read_floats(
        self, graph: gs.Graph, names: Names, node: gs.Node, positions: range | tuple[int, ...]
    ) -> None:
        for position in positions:
            if position >= len(node.inputs) or not is_integer(node.inputs[position]):
                continue
            tensor = node.inputs[position]
            if is_constant(tensor):
                name = names.fresh(f"{tensor.name}/float32")
                node.inputs[position] = gs.Constant(name, tensor.values.astype(np.float32))
            elif id(node) in self._old or tensor.name in self._types:
                node.inputs[position] = self._cast(graph, names, node, tensor, np.float32)

    def _read_integers(self, graph: gs.Graph, names: Names, node: gs.Node) -> None:
        for position, tensor in enumerate(node.inputs):
            if tensor.name in self._types and is_float(tensor):
                node.inputs[position] = self._cast(graph, names, node, tensor, self._types[tensor.name])

    def _write_integers(self, graph: gs.Graph, names: Names, position: int, tensor: gs.Tensor) -> None:
        if tensor.name not in self._types or not is_float(tensor) or not tensor.inputs:
            return
        output = gs.Variable(tensor.name, self._types[tensor.name], tensor.shape)
        tensor.name = names.fresh(f"{output.name}/float32")
        to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(output.dtype))
        cast = gs.Node(
            "Cast", names.fresh(f"{output.name}/Cast"), {"to": to}, inputs=[tensor], outputs=[output]
        )
        graph.nodes.append(cast)
        graph.outputs[position] = output

    def _cast(
        self, graph: gs.Graph, names: Names, node: gs.Node, tensor: gs.Tensor, dtype: DTypeLike
    ) -> gs.Tensor:
        kind = np.dtype(dtype).name
        if (id(tensor), kind) not in self._made:
            result = gs.Variable(names.fresh(f"{tensor.name}/{kind}"), np.dtype(dtype), tensor.shape)
            to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            cast = gs.Node(
                "Cast", names.fresh(f"{tensor.name}/Cast"), {"to": to}, inputs=[tensor], outputs=[result]
            )
            cast.attrs[ORIGIN] = origin(node)
            graph.nodes.append(cast)
            self._made[id(tensor), kind] = result
        return self._made[id(tensor), kind]


def _infer_types(graph: gs.Graph) -> None:
    """Types of what onnxruntime's own operators write, and of what moves it: ONNX's inference does not know them."""
    for node in graph.nodes:
        output = node.outputs[0] if node.outputs else None
        if output is None or output.dtype is not None or not node.inputs:
            continue
        position, codes = of(node).code_type, of(node).codes
        if position is not None:
            output.dtype = np.dtype(np.float32)
            if position < len(node.inputs) and not node.inputs[position].is_empty():
                output.dtype = node.inputs[position].dtype
        elif codes is not None:
            output.dtype = node.inputs[(codes or (0,))[0]].dtype


def is_integer(tensor: gs.Tensor) -> bool:
    """Whether ``tensor`` is known to hold integers, 4-bit ones too."""
    if tensor.dtype is None or getattr(tensor, "type", "tensor_type") != "tensor_type":
        return False
    name: str = np.dtype(tensor.dtype).name
    return name.startswith(("int", "uint"))
