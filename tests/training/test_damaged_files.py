"""A short form of ``benchmarks/fuzz_files.py --training``, and the numbers that found something."""

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
#: An epoch that ends with a single sample; a tensor without a shape, and an operand of a wrong one.
FOUND = (463, 529, 1290)

pytestmark = pytest.mark.train


def test_damaged_files_end_in_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    fuzz = importlib.import_module("fuzz_files")
    fuzz.Bench(tmp_path, training=True).prepare()
    numbers = [*FOUND, *range(3000, 3040)]
    results = fuzz.Pool(tmp_path, iter(numbers), seconds=30, training=True).run(1, len(numbers))
    for name in (
        "fuzz_files",
        "fuzz_cases",
        "damaged_bytes",
        "damaged_data",
        "damaged_models",
        "process_memory",
    ):
        sys.modules.pop(name, None)
    assert len(results) == len(numbers)
    assert [fuzz.where(result) for result in results if fuzz.is_finding(result)] == []
    assert {result["code"] for result in results} >= {0, 4}
