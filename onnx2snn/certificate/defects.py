"""What is said of a network that was written and is not what it should be: nobody but onnx2snn is to blame."""

from __future__ import annotations

from collections.abc import Mapping

from onnx2snn.errors import SelfCheckError
from onnx2snn.graph.core import Array

_REMEDY = "this is a defect of onnx2snn: report it with this network; --no-check writes the file all the same"


def defect(message: str, **facts: str) -> SelfCheckError:
    """The error.

    Args:
        message: What is wrong.
        **facts: ``node`` and ``found``.
    """
    return SelfCheckError(message, remedy=_REMEDY, **facts)


def check_form(
    found: Mapping[str, Array], expected: Mapping[str, Array], *, network: str, source: str
) -> None:
    """Outputs by their names, types and shapes.

    Args:
        found: What a network answers that was written.
        expected: What is answered by what it was made from.
        network: How the one is called.
        source: How the other is called.

    Raises:
        SelfCheckError: one is missing, or of another form.
    """
    for name, value in expected.items():
        there = found.get(name)
        if there is None or there.dtype != value.dtype or there.shape != value.shape:
            form = "none" if there is None else f"{there.dtype} {there.shape}"
            raise defect(
                f"output '{name}' of the {network} network has another form than the {source}'s",
                found=f"{form}, expected {value.dtype} {value.shape}",
            )
