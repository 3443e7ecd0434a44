"""A short form of ``benchmarks/fuzz_files.py``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
_MODULES = (
    "fuzz_files",
    "fuzz_cases",
    "damaged_bytes",
    "damaged_data",
    "damaged_models",
    "damaged_tensors",
    "process_memory",
)


def fuzz(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    numbers: Sequence[int],
    *,
    seconds: float,
    training: bool = False,
) -> list[dict[str, Any]]:
    """The results of the cases ``numbers``, each in a process of its own; none of them may be a finding."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    bench = importlib.import_module("fuzz_files")
    bench.Bench(folder, training=training).prepare()
    results = bench.Pool(folder, iter(numbers), seconds=seconds, training=training).run(1, len(numbers))
    for name in _MODULES:
        sys.modules.pop(name, None)
    assert len(results) == len(numbers)
    assert [bench.where(result) for result in results if bench.is_finding(result)] == []
    return list(results)
