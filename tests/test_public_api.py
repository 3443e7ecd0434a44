"""The public namespace, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import onnx2snn

_PUBLIC = [
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
_HEAVY = (
    "onnx",
    "onnx_graphsurgeon",
    "sympy",
    "click",
    "rich",
    "torch",
    "matplotlib",
    "jinja2",
    "PIL",
    "ray",
)


def test_the_public_namespace_is_pinned() -> None:
    assert onnx2snn.__all__ == _PUBLIC
    assert set(_PUBLIC) <= set(dir(onnx2snn))


@pytest.mark.parametrize("name", _PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(onnx2snn, name) is not None


@pytest.mark.parametrize(
    "name", ["calibrate", "compile", "convert", "evaluate", "inspect_model", "snap", "verify"]
)
def test_functions_are_callable_even_after_modules_were_imported(name: str) -> None:
    home = onnx2snn._HOMES[name]
    code = f"import onnx2snn, {home}; from {home} import {name}; assert onnx2snn.{name} is {name}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'convrt'"):
        _ = onnx2snn.convrt


@pytest.mark.parametrize("module", ["onnx2snn", "onnx2snn.errors", "onnx2snn.runtime"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set({_HEAVY!r}) & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        == "[]\n"
    )


def test_the_version_is_that_of_the_project() -> None:
    assert onnx2snn.__version__ == version("onnx2snn")
