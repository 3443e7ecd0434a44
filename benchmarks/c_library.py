"""A compiled file as C, by emx-onnx-cgen and gcc; needs NumPy alone."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: Sums in the order that is written, products that are rounded: on processors with fused multiply-add, too.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC")


@dataclass(frozen=True)
class Library:
    """C that has been generated and built.

    Attributes:
        path: Of the shared library.
        code: Bytes of instructions.
        constants: Bytes of weights and other constants.
        stack: Bytes of everything between inputs and outputs.
        lines: Of C.
    """

    path: Path
    code: int
    constants: int
    stack: int
    lines: int


def build(generator: str | Path, model: Path, folder: Path) -> Library:
    """Generate and compile ``model``; all of it in one function, temporaries on the stack, weights in the source."""
    source = folder / f"{model.stem}.c"
    options = ["--model-name", "model", "--large-weight-threshold", "0", "--large-temp-threshold", "0"]
    _run([str(generator), "compile", str(model), str(source), *options])
    compiled, library = source.with_suffix(".o"), source.with_suffix(".so")
    _run(["gcc", *FLAGS, "-fstack-usage", "-c", str(source), "-o", str(compiled)])
    _run(["gcc", "-shared", str(compiled), "-lm", "-o", str(library)])
    sections = dict(re.findall(r"^(\.\S+)\s+(\d+)", _run(["size", "-A", str(compiled)]), re.MULTILINE))
    usage = source.with_suffix(".su").read_text(encoding="utf-8")
    return Library(
        library,
        sum(int(size) for name, size in sections.items() if name.startswith(".text")),
        sum(int(size) for name, size in sections.items() if name.startswith((".rodata", ".data"))),
        max(int(line.split("\t")[1]) for line in usage.splitlines()),
        len(source.read_text(encoding="utf-8").splitlines()),
    )


def _run(words: Sequence[str]) -> str:
    ran = subprocess.run(words, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError((ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1])
    return ran.stdout


class Model:
    """A library, loaded: inputs and outputs in the order of the file."""

    def __init__(
        self, library: Library, outputs: Sequence[tuple[str, Sequence[int], str]], inputs: Sequence[str]
    ) -> None:
        self.function = ctypes.CDLL(str(library.path)).model
        self.function.restype = None
        self.inputs, self._outputs = inputs, outputs

    def __call__(self, values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """What it answers."""
        read = [np.ascontiguousarray(values[name]) for name in self.inputs]
        made = {name: np.zeros(shape, kind) for name, shape, kind in self._outputs}
        self.function(*(array.ctypes.data_as(ctypes.c_void_p) for array in (*read, *made.values())))
        return made
