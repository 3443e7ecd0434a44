"""Session-time rewriting: the same network in operators that a runtime executes fast.

What ``out.onnx`` holds runs anywhere; a session knows T, the thresholds and the sizes, and writes each neuron, and some
synapses, for them:

    neuron     a rounding operator, or T comparisons without a Scan               (:mod:`onnx2snn.runtime.neurons`)
    currents   integrated by one product with (2^(T−1), ..., 2, 1)
    bias       added by the convolution in front, where levels flow
    small map  a convolution whose kernel is larger than its image is a product for each place of the kernel, or a matrix

Nothing is approximated: levels and spikes are those of the bodies in :mod:`onnx2snn.runtime.bodies`.
"""

from __future__ import annotations

from pathlib import Path

from onnx2snn.runtime.bodies import function_body
from onnx2snn.runtime.draft import Draft, Written
from onnx2snn.runtime.fused_writer import FusedWriter
from onnx2snn.runtime.int8_writer import Int8Writer
from onnx2snn.runtime.network import read_network
from onnx2snn.runtime.self_check import integer_kernels_are_exact
from onnx2snn.runtime.spiking_writer import SpikingWriter
from onnx2snn.runtime.writer import Writer

_WRITERS: dict[str, type[Writer]] = {"spiking": SpikingWriter, "fused": FusedWriter, "int8": Int8Writer}


def specialised(
    content: bytes, *, execution: str, opset: int, folder: Path | None = None, growth: float = 2.0
) -> Written:
    """The network that computes the same, for a session that executes it.

    Args:
        content: The serialized network; biases are stored in the form ``once``.
        execution: ``spiking``, ``fused`` or ``int8``.
        opset: Version of the default operator set.
        folder: Of the model's file.
        growth: How many times its kernel's 8-bit weights a matrix may hold that is faster; 0: weights stay as they are.
    """
    draft = Draft(read_network(content), folder, growth=growth)
    if execution == "int8" and not integer_kernels_are_exact():
        execution = "fused"
    writer = _WRITERS[execution](draft)
    kept = set()
    for node in draft.network.nodes:
        if not writer.write(node):
            writer.keep(node)
            if node.is_dialect(node.operator):
                kept.add(node.operator)
    writer.finish()
    body = "spiking" if execution == "spiking" else "fused"
    return draft.model(function_body(name, execution=body, opset=opset) for name in sorted(kept))
