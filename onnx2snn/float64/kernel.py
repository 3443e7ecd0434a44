"""One operator in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.float64.evaluator import widen_node
from onnx2snn.float64.reference_kernels import FAST
from onnx2snn.model.reference import Reference
from onnx2snn.model.subgraphs import names_read
from onnx2snn.operators import of
from onnx2snn.operators.signals import widened_values

Array = NDArray[Any]


class Kernel:
    """What one node computes: in float64, or, where it is kept ``narrow``, in the precision of what it is given.

    The reference evaluator of the onnx package does it; where it knows no such operator, or is not asked to, onnxruntime in
    float32. It is given constants that its kernels pack as constants: of others some compute something else.

    Attributes:
        partial: The evaluator leaves out further outputs (places of maxima): these are onnxruntime's. Known once it was called.

    Args:
        node: The node; not changed.
        opsets: Versions by domain.
        narrow: Whether to compute in the precision that is given.
        native: Whether to compute in float32, as onnxruntime does.
    """

    def __init__(
        self, node: onnx.NodeProto, opsets: Mapping[str, int], *, narrow: bool = False, native: bool = False
    ) -> None:
        self.node = node
        self.reads = tuple(dict.fromkeys(names_read(node)))
        self._opsets, self._narrow = opsets, narrow
        self._operator = None if native else self._made()
        self._loaded: dict[tuple[Any, ...], Reference] = {}
        self.partial = False

    def __call__(self, values: Mapping[str, Array]) -> list[Array]:
        """What it writes, in order, of ``values`` by name.

        Raises:
            Exception: whatever the operator raises.
        """
        if self._operator is None:
            return self._in_float32(values)
        read = [values[name] if name else None for name in self.node.input]
        context = {"context": dict(values)} if self._operator.need_context() else {}
        with np.errstate(all="ignore"):
            answers: Sequence[Any] = self._operator.run(*read, **context)
        found = [np.asarray(answer) for answer in answers]
        if len(found) < len(self.node.output):
            self.partial = True
            found += self._in_float32(values)[len(found) :]
        return found

    def _made(self) -> Any:
        node = onnx.NodeProto()
        node.CopyFrom(self.node)
        if not self._narrow:
            widen_node(node)
        try:
            evaluator = ReferenceEvaluator(self._model(node, {}), new_ops=list(FAST))
        except Exception:  # noqa: BLE001 - it says in several ways that it does not know an operator
            return None
        return evaluator.rt_nodes_[0]

    def _model(
        self, node: onnx.NodeProto, given: Mapping[str, Array], held: Mapping[str, Array] | None = None
    ) -> onnx.ModelProto:
        constants = [numpy_helper.from_array(values, name) for name, values in (held or {}).items()]
        inputs = [_described(name, given.get(name)) for name in self.reads if name not in (held or {})]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "operator", inputs, outputs, constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def _in_float32(self, values: Mapping[str, Array]) -> list[Array]:
        given = {n: _narrowed(values[n]) for n in self.reads}
        names = [self.node.input[i] for i in of(self.node).packs if i < len(self.node.input)]
        held = {name: given.pop(name) for name in names if name}
        digests = tuple(blake2b(v.tobytes()).digest() for v in held.values())
        key = (*((v.dtype, v.shape) for v in (*given.values(), *held.values())), *digests)
        if key not in self._loaded:
            self._loaded[key] = Reference(self._model(self.node, given, held))
        answers = self._loaded[key].run(given)
        return [widened_values(answers[name]) if name else np.zeros(0) for name in self.node.output]


def _described(name: str, value: Array | None) -> onnx.ValueInfoProto:
    """Type and shape of an input; some operators have to know them beforehand."""
    if value is None:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _narrowed(values: Array) -> Array:
    return values.astype(np.float32) if values.dtype == np.float64 else values
