"""What a session can be asked for."""

from __future__ import annotations

from onnx2snn.errors import InputError

BACKENDS = ("onnxruntime", "numpy", "events")
COUNTS = ("synops", "spikes", "nothing", "levels")
EXECUTIONS = ("spiking", "fused", "int8", "streaming")


def check_count(count: str | None) -> None:
    """Refuse what cannot be counted; None is left to others.

    Raises:
        InputError: there is no such count.
    """
    if count not in (None, *COUNTS):
        raise InputError(f"there is no count '{count}'", remedy=f"choose one of {', '.join(COUNTS)}")


def check_options(execution: str | None, count: str | None, chunk: int | None) -> None:
    """Refuse what a session cannot be made for.

    Raises:
        InputError: there is no such execution or count, or a chunk holds nothing.
    """
    if execution not in (None, *EXECUTIONS):
        remedy = f"choose one of {', '.join(EXECUTIONS)}"
        raise InputError(f"there is no execution '{execution}'", remedy=remedy)
    check_count(count)
    if chunk is not None and chunk < 1:
        remedy = "leave 'chunk' away, or give 1 or more"
        raise InputError("a chunk holds at least one sample", found=chunk, remedy=remedy)
