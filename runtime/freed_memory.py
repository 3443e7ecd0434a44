"""Memory that a library has freed, and the process still holds."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Let the operating system have the memory that was freed, where the C library keeps it for later (glibc).

    While onnxruntime loads a network it holds weights several times; what it needs to run it is less, and comes in other
    pieces, which do not fit into what was freed.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; a system without one by this name
        return
    trim(0)
