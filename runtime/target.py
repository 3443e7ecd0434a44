"""What an execution is written for: which rewritings are worth it, and exact, where it will run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The place where an execution will run.

    Attributes:
        growth: How many times its kernel's 8-bit weights a matrix may hold that is faster; 0: weights stay as they are.
        plain: Nothing is rewritten for speed.
        blocked: Levels are rounded in onnxruntime's blocked layout: faster there on CPUs, and slower elsewhere.
        integers: Sums are taken in 8-bit whole numbers where that is exact. onnxruntime has these operators for CPUs; on
            another processor each would send its tensors there and back.
        elements: Tables are looked up by GatherElements, which onnxruntime computes ten times as fast as Gather. The reference
            evaluator of ONNX knows it for small tables only.
        contributed: A session of onnxruntime on CPUs will run it, and nothing else: its own 8-bit operators (com.microsoft) may
            stand in an execution, channels last, as its kernels read them, and quantisers of 16 bits (operator set 21).
        sums: The backend has sums over the spikes of a layer itself: each stays one operator.
    """

    growth: float = 2.0
    plain: bool = False
    blocked: bool = False
    integers: bool = True
    elements: bool = False
    contributed: bool = False
    sums: bool = False


#: A place of which nothing is known.
ANYWHERE = Target()
