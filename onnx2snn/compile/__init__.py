"""Converted networks, written to run fast: one file an execution, in plain ONNX operators.

| module | execution |
| --- | --- |
| :mod:`spiking <onnx2snn.compile.spiking>` | trains of zeros and ones, T time steps folded into the batch |
| :mod:`fused <onnx2snn.compile.fused>` | levels, one pass |
| :mod:`int8 <onnx2snn.compile.int8>` | levels in bytes, through 8-bit operators that equal the neurons bit for bit |
| :mod:`step <onnx2snn.compile.step>` | one time step a call, states in and out |
| :mod:`tracing <onnx2snn.compile.tracing>` | the spiking one, with what its neurons do among its outputs |

Nothing is approximated: levels and spikes are those of the functions in :mod:`onnx2snn.dialect.functions`.
"""

from onnx2snn.compile.compiled import Compiled, compile  # noqa: A004 - named as its command

__all__ = ["Compiled", "compile"]
