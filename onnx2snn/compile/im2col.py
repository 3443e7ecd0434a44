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
import onnx

from onnx2snn.compile.draft import Array, Draft, Place, attributes
from onnx2snn.compile.int8_kernels import has_exact_integers
from onnx2snn.compile.integers import integers
from onnx2snn.compile.small_images import dense_matrix
from onnx2snn.compile.spike_trains import spike_trains
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution

_EXACT = 2**24


class Currents:
    """Synapses that a draft writes in integers: those whose currents one neuron, or readout, integrates.

    Attributes:
        trains: The trains that they read.
    """

    def __init__(self, draft: Draft, *, none: bool = False) -> None:
        self._draft = draft
        self._weights: dict[str, Array] = {}
        self.trains: set[str] = set()
        spikes = set() if none else spike_trains(draft)
        for node in draft.nodes:
            weights = self._integers(node) if node.input and node.input[0] in spikes else None
            if weights is not None:
                self._weights[node.output[0]] = weights
                self.trains.add(node.input[0])
        if self._weights and not has_exact_integers(draft.target):
            self._weights, self.trains = {}, set()

    def __contains__(self, node: onnx.NodeProto) -> bool:
        return bool(node.output) and node.output[0] in self._weights

    def integrated(self, node: onnx.NodeProto, train: str, steps: int) -> str:
        """Write the synapses of ``node`` and the integration of their currents.

        Args:
            node: One of these.
            train: What it reads, in bytes.
            steps: T.

        Returns:
            v (N, ...), float32.
        """
        draft, weights = self._draft, self._weights[node.output[0]]
        at = draft.at(node.output[0])
        before, after = draft.sample_shape(node.input[0]), draft.sample_shape(node.output[0])
        if before is None or after is None:
            raise AssertionError("sizes were known before")
        held = attributes(node)
        matrix: Array | None = weights
        if weights.ndim == 4:
            matrix = dense_matrix(weights, before, after, held, draft.target.growth)
        if matrix is not None:
            rows = at.add("Flatten", [train], axis=1)
            v = self._summed(at, at.add("MatMulInteger", [rows, at.constant(matrix, np.int8)]), steps)
            return at.add("Reshape", [v, at.constant([-1, *after], np.int64)])
        rows = self._patches(at, train, weights.shape, after, held)
        matrix = weights.transpose(2, 3, 1, 0).reshape(-1, weights.shape[0])
        v = self._summed(at, at.add("MatMulInteger", [rows, at.constant(matrix, np.int8)]), steps)
        v = at.add("Reshape", [v, at.constant([-1, *after[1:], after[0]], np.int64)])
        return at.add("Transpose", [v], perm=[0, 3, 1, 2])

    @staticmethod
    def _summed(at: Place, current: str, steps: int) -> str:
        floats = at.add("Cast", [current], to=onnx.TensorProto.FLOAT)
        unfolded = at.add("Reshape", [floats, at.constant([steps, -1], np.int64)])
        return at.add("MatMul", [at.constant(2.0 ** np.arange(steps - 1, -1, -1)[None]), unfolded])

    @staticmethod
    def _patches(
        at: Place, train: str, kernel: tuple[int, ...], after: tuple[int, ...], held: dict[str, Any]
    ) -> str:
        """(T·N·H'·W', k·k·C): what each place of the output sees."""
        strides, dilations = held.get("strides", [1, 1]), held.get("dilations", [1, 1])
        pads = held.get("pads", [0, 0, 0, 0])
        x = at.add("Transpose", [train], perm=[0, 2, 3, 1])
        if any(pads):
            x = at.add("Pad", [x, at.constant([0, *pads[:2], 0, 0, *pads[2:], 0], np.int64)])
        axes, steps = at.constant([1, 2], np.int64), at.constant(strides, np.int64)
        places = []
        for place in product(range(kernel[2]), range(kernel[3])):
            start = [p * d for p, d in zip(place, dilations, strict=True)]
            end = [s + (size - 1) * step + 1 for s, size, step in zip(start, after[1:], strides, strict=True)]
            bounds = [at.constant(limit, np.int64) for limit in (start, end)]
            places.append(at.add("Slice", [x, *bounds, axes, steps]))
        joined = places[0] if len(places) == 1 else at.add("Concat", places, axis=3)
        return at.add("Reshape", [joined, at.constant([-1, int(np.prod(kernel[1:]))], np.int64)])

    def _integers(self, node: onnx.NodeProto) -> Array | None:
        draft = self._draft
        if not of(node).weights or len(node.input) != 2:
            return None
        reader = draft.only_reader(node.output[0])
        before, after = draft.sample_shape(node.input[0]), draft.sample_shape(node.output[0])
        weights = integers(draft, node.input[1])
        if reader is None or reader.domain != DOMAIN or not before or not after or weights is None:
            return None
        steps = int(attributes(reader)["input_steps"])
        held = attributes(node)
        if is_convolution(node):
            rows = weights.reshape(len(weights), -1)
            plain = (
                held.get("group", 1) == 1 and held.get("auto_pad", "NOTSET") == "NOTSET" and weights.ndim == 4
            )
        else:
            plain = weights.ndim == 2 and len(before) == 1 and held.get("alpha", 1.0) == 1.0
            weights = weights.T if held.get("transB", 0) else weights
            rows = weights.T
        exact = np.abs(rows.astype(np.int64)).sum(axis=1).max() * (2**steps - 1) < _EXACT
        return weights if plain and exact and reader.input[0] == node.output[0] else None
