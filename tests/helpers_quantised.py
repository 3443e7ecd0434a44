"""Networks as a stock quantiser writes them: QuantizeLinear and DequantizeLinear around every activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from helpers_graphs import make_model, node


class Quantised:
    """A network in the making; weights are drawn, scales are no round numbers: exact ties are rare."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Any] = {}
        self._draws = np.random.default_rng(seed)

    def weights(self, *shape: int, spread: float = 0.3) -> str:
        """A drawn constant."""
        return self.hold(self._draws.normal(0, spread, shape).astype(np.float32))

    def hold(self, values: Any) -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node."""
        made = output or f"t{len(self.nodes)}"
        self.nodes.append(node(op, list(inputs), [made], name=f"{op}_{made}", **attributes))
        return made

    def quantised(self, x: str, scale: float, zero: int = 0, dtype: Any = np.uint8) -> str:
        """``x`` through a quantiser of 8 bits and back."""
        parameters = self.hold(np.float32(scale * 1.0371713)), self.hold(np.array(zero, dtype))
        codes = self.add("QuantizeLinear", x, *parameters)
        return self.add("DequantizeLinear", codes, *parameters)

    def model(
        self, inputs: Mapping[str, Sequence[Any]], outputs: Mapping[str, Sequence[Any]]
    ) -> onnx.ModelProto:
        """The network."""
        made = make_model(self.nodes, self.constants, inputs, outputs)
        onnx.checker.check_model(made, full_check=True)
        return made
