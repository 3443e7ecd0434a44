"""The operators between one tensor and the levels before it: their answers in float64, and how far float32 may be from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnx2snn.float64.evaluator import is_jump
from onnx2snn.float64.kernel import Kernel
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of
from onnx2snn.operators.error_rules import written
from onnx2snn.operators.jump_errors import measured
from onnx2snn.operators.running_error import Step
from onnx2snn.operators.signals import ANY, Array, Precision, RoundingCount, Signal, quantum, widened_values


class OneOperator:
    """One operator of a network, whatever it is given; without a rule for its errors, onnxruntime computes it.

    Args:
        node: It.
        opsets: Versions by domain.
    """

    def __init__(self, node: onnx.NodeProto, opsets: Mapping[str, int]) -> None:
        self.node, self._opsets = node, opsets
        self.attributes: Mapping[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self.jumps = is_jump(node)
        self.kernel = Kernel(node, opsets, native=of(node).errors is None and not of(node).sizes)
        self.reads, self.writes = self.kernel.reads, tuple(node.output)

    @cached_property
    def narrow(self) -> Kernel:
        """As the network itself computes it."""
        return Kernel(self.node, self._opsets, narrow=True)

    @cached_property
    def absolute(self) -> Kernel:
        """On M: its factors are absolute values, and what blends with coefficients of both signs does not."""
        node = onnx.NodeProto()
        node.CopyFrom(self.node)
        for attribute in node.attribute:
            if attribute.name in ("alpha", "beta", "extrapolation_value"):
                attribute.f = abs(attribute.f)
            elif attribute.name == "mode" and attribute.s == b"cubic":
                attribute.s = b"linear"
        return self.kernel if node == self.node else Kernel(node, self._opsets)

    def signals(self, read: Mapping[str, Signal], precision: Precision | None) -> tuple[Step, list[Signal]]:
        """What it writes, in order, and how."""
        step = Step(self, read, precision)
        if step.fixed:
            return step, [Signal(answer, fixed=True) for answer in step.answers]
        if precision is None:
            return step, written(step)
        rule = None if self.kernel.partial else of(self.node).errors
        return step, (rule or measured)(step)


class RunningError:
    """A network without neurons, computed one operator after the other; a value is let go with its last reader.

    Args:
        model: Standard operators, large weights apart, one output.
    """

    def __init__(self, model: SplitModel) -> None:
        graph = model.structure.graph
        opsets = {o.domain: o.version for o in model.structure.opset_import}
        self._operators = [OneOperator(node, opsets) for node in graph.node]
        self._constants = model.constants
        self._read: dict[str, Signal] = {}
        self._output = graph.output[0].name
        self.inputs = tuple(value.name for value in graph.input if value.name not in model.weights)
        #: Elements of its largest tensor, and the least power of two of what jumps read; of the last run.
        self.largest, self.in_front = 1, ANY

    def __call__(
        self, inputs: Mapping[str, Array], quanta: Mapping[str, float], precision: Precision | None
    ) -> Signal:
        """The output (N, ...) for inputs (N, ...).

        Args:
            inputs: By name; further ones are ignored.
            quanta: Powers of two of which they are multiples; 0 or missing where there is none.
            precision: Of both networks; None: no bounds are wanted.
        """
        held = {
            name: Signal(widened_values(inputs[name]), rounding=RoundingCount(quantum=quanta.get(name, 0.0)))
            for name in self.inputs
        }
        left = Counter(name for one in self._operators for name in one.reads) + Counter([self._output])
        self.largest, self.in_front = 1, ANY
        for one in self._operators:
            read = {name: held[name] if name in held else self._constant(name) for name in one.reads}
            with np.errstate(all="ignore"):
                step, signals = one.signals(read, precision)
            held.update(zip(one.writes, signals, strict=False))
            self.largest = max(self.largest, *(a.size for a in step.answers))
            self.in_front = min(self.in_front, step.in_front)
            left.subtract(one.reads)
            for name in (*one.reads, *one.writes):
                if left[name] <= 0:
                    held.pop(name, None)
        return held[self._output]

    def _constant(self, name: str) -> Signal:
        if name not in self._read:
            values = self._constants[name]
            step = quantum(values) if values.dtype.kind == "f" else 1.0
            self._read[name] = Signal(values, fixed=True, rounding=RoundingCount(quantum=step))
        return self._read[name]
