"""Quantised ONNX networks become spiking networks that answer the same.

    import onnx2snn

    conversion = onnx2snn.convert("ann.onnx")
    conversion.save("snn.onnx")
    certificate = onnx2snn.verify("ann.onnx", "snn.onnx", "data.npz")

Names are loaded when they are first used, so that ``import onnx2snn.runtime`` on an edge device needs NumPy
and onnxruntime only.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from onnx2snn.errors import ConversionError, InputError, InvalidModelError, Onnx2SnnError, OutputError

if TYPE_CHECKING:
    from onnx2snn.calibration.calibration import calibrate
    from onnx2snn.certificate.verification import verify
    from onnx2snn.compile.compiled import compile  # noqa: A004 - named as its command
    from onnx2snn.conversion import convert
    from onnx2snn.evaluation.evaluation import evaluate
    from onnx2snn.exact.snapping import snap
    from onnx2snn.inspection import inspect_model

__version__ = "0.2.0"

__all__ = [
    "ConversionError",
    "InputError",
    "InvalidModelError",
    "Onnx2SnnError",
    "OutputError",
    "__version__",
    "calibrate",
    "compile",
    "convert",
    "evaluate",
    "inspect_model",
    "snap",
    "verify",
]

_HOMES = {
    "calibrate": "onnx2snn.calibration",
    "compile": "onnx2snn.compile",
    "convert": "onnx2snn.conversion",
    "evaluate": "onnx2snn.evaluation",
    "inspect_model": "onnx2snn.inspection",
    "snap": "onnx2snn.exact.snapping",
    "verify": "onnx2snn.certificate",
}


class _Face(ModuleType):
    """The package, whose functions keep their names even where a submodule has the same one.

    ``import onnx2snn.convert`` binds the submodule to the package; ``onnx2snn.convert`` means the function.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
