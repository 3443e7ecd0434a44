"""Which tensors hold spikes."""

from __future__ import annotations

import onnx

from onnx2snn.compile.draft import Draft, is_neuron
from onnx2snn.graph.walks import forward
from onnx2snn.operators import of


def spike_trains(draft: Draft) -> set[str]:
    """Tensors of zeros and ones: what neurons make, what only moves it, and what joins it."""

    def passes(node: onnx.NodeProto, read: list[bool]) -> bool:
        return is_neuron(node) or (of(node).moves and read[0]) or (of(node).joins and all(read))

    return forward(draft.nodes, passes)
