"""The package ``nir``, an extra: what is asked of it, and by whom it is missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from onnx2snn.errors import OutputError

if TYPE_CHECKING:
    import nir


class NirPackage(Protocol):
    """Its primitives that are written and read here, and its files."""

    Affine: type[nir.Affine]
    AvgPool2d: type[nir.AvgPool2d]
    Conv1d: type[nir.Conv1d]
    Conv2d: type[nir.Conv2d]
    Delay: type[nir.Delay]
    Flatten: type[nir.Flatten]
    I: type[nir.I]  # noqa: E741 - NIR's name
    IF: type[nir.IF]
    Input: type[nir.Input]
    LI: type[nir.LI]
    NIRGraph: type[nir.NIRGraph]
    Output: type[nir.Output]
    Scale: type[nir.Scale]
    SumPool2d: type[nir.SumPool2d]
    Threshold: type[nir.Threshold]

    @property
    def read(self) -> Callable[[str | Path], nir.NIRGraph]:
        """A file."""

    @property
    def write(self) -> Callable[[str | Path | IO[bytes], nir.NIRGraph], None]:
        """One."""


def require_nir() -> NirPackage:
    """The package ``nir``.

    Raises:
        OutputError: it is missing.
    """
    try:
        import nir  # noqa: PLC0415 - an extra
    except ImportError as error:
        remedy = "pip install 'onnx2snn[nir]'"
        raise OutputError("NIR needs the package nir", found=str(error), remedy=remedy) from error
    return nir
