"""What each ONNX operator is: one record an operator, a module a family; :func:`of` finds that of a node."""

from onnx2snn.operators import elementwise, integer, moves, normalising, packed, pooling, sizes, synapses
from onnx2snn.operators.table import UNKNOWN, Operator, every, of, register

for _family in (elementwise, integer, moves, normalising, packed, pooling, sizes, synapses):
    register(_family.OPERATORS)

__all__ = ["UNKNOWN", "Operator", "every", "of"]
