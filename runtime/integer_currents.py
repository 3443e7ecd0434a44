"""Currents of spikes through 8-bit weights, exact in 32-bit integers: the spikes of every place side by side, one product.

    s (T·N, C, H, W) bytes ─▶ Transpose ─▶ Pad ─▶ a Slice for every place of the kernel ─▶ Concat
                           ─▶ MatMulInteger (k·k·C → D) ─▶ Σ 2^(T−1−t)·I(t) ─▶ v (N, D, H', W')

A product of 0 or 1 with an 8-bit weight cannot saturate in any kernel, and the integrated sum stays within the whole
numbers that float32 holds.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from onnx2snn.runtime.dense_maps import dense_matrix
from onnx2snn.runtime.draft import Array, Draft
from onnx2snn.runtime.integers import integers
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.self_check import integer_kernels_are_exact
from onnx2snn.runtime.tensors import attributes
from onnx2snn.runtime.wire import FLOAT

_EXACT = 2**24


class Currents:
    """Synapses that a draft writes in integers: those whose currents one neuron, or readout, integrates.

    Attributes:
        trains: The trains that they read.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._weights: dict[str, Array] = {}
        self.trains: set[str] = set()
        spikes = _spikes(draft)
        for node in draft.network.nodes:
            weights = self._integers(node) if node.inputs and node.inputs[0] in spikes else None
            if weights is not None:
                self._weights[node.outputs[0]] = weights
                self.trains.add(node.inputs[0])
        if self._weights and not integer_kernels_are_exact():
            self._weights, self.trains = {}, set()

    def __contains__(self, node: Node) -> bool:
        return bool(node.outputs) and node.outputs[0] in self._weights

    def integrated(self, node: Node, train: str, steps: int) -> str:
        """Write the synapses of ``node`` and the integration of their currents.

        Args:
            node: One of these.
            train: What it reads, in bytes.
            steps: T.

        Returns:
            v (N, ...), float32.
        """
        draft, output, weights = self._draft, node.outputs[0], self._weights[node.outputs[0]]
        before, after = draft.sample_shape(node.inputs[0]), draft.sample_shape(output)
        if before is None or after is None:
            raise AssertionError("sizes were known before")
        held = attributes(node.content)
        matrix: Array | None = weights
        if weights.ndim == 4:
            matrix = dense_matrix(weights, before, after, held, draft.growth)
        spread = matrix is None
        if matrix is None:
            rows = self._patches(train, weights.shape, after, held, output)
            matrix = weights.transpose(2, 3, 1, 0).reshape(-1, weights.shape[0])
        else:
            rows = draft.add("Flatten", [train], output=output, axis=1)
        current = draft.add("MatMulInteger", [rows, draft.hold(output, matrix, np.int8)], output=output)
        v = self._summed(current, steps, output)
        if not spread:
            return draft.add("Reshape", [v, draft.hold(output, [-1, *after], np.int64)], output=output)
        shape = draft.hold(output, [-1, *after[1:], after[0]], np.int64)
        return draft.add(
            "Transpose", [draft.add("Reshape", [v, shape], output=output)], output=output, perm=[0, 3, 1, 2]
        )

    def _summed(self, current: str, steps: int, output: str) -> str:
        draft = self._draft
        floats = draft.add("Cast", [current], output=output, to=FLOAT)
        unfolded = draft.add("Reshape", [floats, draft.hold(output, [steps, -1], np.int64)], output=output)
        return draft.add(
            "MatMul", [draft.hold(output, 2.0 ** np.arange(steps - 1, -1, -1)[None]), unfolded], output=output
        )

    def _patches(
        self, train: str, kernel: tuple[int, ...], after: tuple[int, ...], held: dict[str, Any], output: str
    ) -> str:
        """(T·N·H'·W', k·k·C): what each place of the output sees."""
        draft = self._draft
        strides, dilations = held.get("strides", [1, 1]), held.get("dilations", [1, 1])
        pads = held.get("pads", [0, 0, 0, 0])
        x = draft.add("Transpose", [train], output=output, perm=[0, 2, 3, 1])
        if any(pads):
            amounts = draft.hold(output, [0, *pads[:2], 0, 0, *pads[2:], 0], np.int64)
            x = draft.add("Pad", [x, amounts], output=output)
        axes, steps = draft.hold(output, [1, 2], np.int64), draft.hold(output, strides, np.int64)
        places = []
        for place in product(range(kernel[2]), range(kernel[3])):
            start = [p * d for p, d in zip(place, dilations, strict=True)]
            end = [s + (size - 1) * step + 1 for s, size, step in zip(start, after[1:], strides, strict=True)]
            bounds = [draft.hold(output, limit, np.int64) for limit in (start, end)]
            places.append(draft.add("Slice", [x, *bounds, axes, steps], output=output))
        joined = places[0] if len(places) == 1 else draft.add("Concat", places, output=output, axis=3)
        columns = draft.hold(output, [-1, int(np.prod(kernel[1:]))], np.int64)
        return draft.add("Reshape", [joined, columns], output=output)

    def _integers(self, node: Node) -> Array | None:
        draft = self._draft
        if node.domain or node.operator not in ("Conv", "Gemm", "MatMul") or len(node.inputs) != 2:
            return None
        reader = draft.only_reader(node.outputs[0])
        before, after = draft.sample_shape(node.inputs[0]), draft.sample_shape(node.outputs[0])
        weights = integers(draft, node.inputs[1])
        if reader is None or reader.domain != "onnx2snn" or not before or not after or weights is None:
            return None
        steps = int(attributes(reader.content)["input_steps"])
        held = attributes(node.content)
        if node.operator == "Conv":
            rows = weights.reshape(len(weights), -1)
            plain = (
                held.get("group", 1) == 1 and held.get("auto_pad", "NOTSET") == "NOTSET" and weights.ndim == 4
            )
        else:
            plain = weights.ndim == 2 and len(before) == 1 and held.get("alpha", 1.0) == 1.0
            weights = weights.T if held.get("transB", 0) else weights
            rows = weights.T
        exact = np.abs(rows.astype(np.int64)).sum(axis=1).max() * (2**steps - 1) < _EXACT
        return weights if plain and exact and reader.inputs[0] == node.outputs[0] else None


def _spikes(draft: Draft) -> set[str]:
    """Trains of zeros and ones: what neurons make, and its copies."""
    found: set[str] = set()
    for node in draft.network.nodes:
        copied = node.operator in ("Identity", "Flatten") and not node.domain and node.inputs[0] in found
        if node.is_dialect("IF") or copied:
            found.update(node.outputs)
    return found
