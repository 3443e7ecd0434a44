"""A network of TensorFlow as an ONNX model: ``python -m onnx2snn.model.tensorflow_graph --saved-model FOLDER --output net.onnx``.

tf2onnx writes it, and reads these options. What it refuses of quantised networks is added here: fake quantisers of other widths
than 8 bits, of a narrow range, by channel, and with limits that the graph computes.

    scale = (max − min)/(q_max − q_min)        z = clip(⌊q_min − min/scale + ½⌋, q_min, q_max)
    lower = (q_min − z)·scale                  upper = (q_max − z)·scale
    y = ⌊(min(max(x, lower), upper) − lower)·(1/scale) + ½⌋·scale + lower
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

#: From which operator set on these nodes may be written: maxima and sums broadcast.
_OPSET = 11
FAKE_QUANTISERS = (
    "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel",
)


def write_fake_quantiser(graph: Any, node: Any, **_: Any) -> None:
    """Write ``node`` of tf2onnx's ``graph`` in operators of ONNX, as TensorFlow computes it."""
    writer = _Writer(graph, node)
    limits = [writer.limit(name, place) for name, place in (("min", 1), ("max", 2))]
    codes = [float(node.get_attr_value("narrow_range", False)), 2.0 ** node.get_attr_value("num_bits", 8) - 1]
    low, high = (writer.constant(value) for value in codes)
    step = writer.add("Div", writer.add("Sub", limits[1], limits[0]), writer.add("Sub", high, low))
    zero = writer.rounded(writer.add("Sub", low, writer.add("Div", limits[0], step)))
    zero = writer.add("Min", writer.add("Max", zero, low), high)
    lower, upper = (writer.add("Mul", writer.add("Sub", end, zero), step) for end in (low, high))
    inside = writer.add("Min", writer.add("Max", node.input[0], lower), upper)
    each = writer.add("Div", writer.constant(1.0), step)
    code = writer.rounded(writer.add("Mul", writer.add("Sub", inside, lower), each))
    value = writer.add("Add", writer.add("Mul", code, step), lower)
    written, shapes, types = list(node.output), node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    graph.make_node("Identity", [value], outputs=written, shapes=shapes, dtypes=types)


class _Writer:
    """Nodes in the place of one."""

    def __init__(self, graph: Any, node: Any) -> None:
        self._graph, self._node, self._count = graph, node, 0

    def add(self, operator: str, *inputs: str) -> str:
        """The name of what a node writes."""
        return str(self._graph.make_node(operator, list(inputs), name=self._name()).output[0])

    def constant(self, value: float) -> str:
        """The name of a number."""
        return str(self._graph.make_const(self._name(), np.array(value, np.float32)).output[0])

    def limit(self, name: str, place: int) -> str:
        """One end of the range: an attribute, or what the node reads."""
        inputs = self._node.input
        return inputs[place] if len(inputs) > place else self.constant(self._node.get_attr_value(name))

    def rounded(self, value: str) -> str:
        """⌊value + ½⌋."""
        return self.add("Floor", self.add("Add", value, self.constant(0.5)))

    def _name(self) -> str:
        self._count += 1
        return f"{self._node.name}/fake_quantised/{self._count}"


def main() -> None:
    """As ``python -m tf2onnx.convert``."""
    convert = importlib.import_module("tf2onnx.convert")  # an extra
    tf_op = importlib.import_module("tf2onnx.handler").tf_op
    tf_op(list(FAKE_QUANTISERS)).register_compat_handler(write_fake_quantiser, _OPSET)
    convert.main()


if __name__ == "__main__":
    main()
