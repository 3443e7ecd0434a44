"""A short form of ``benchmarks/fuzz_files.py --training``, and the numbers that found something."""

from pathlib import Path

import pytest
from helpers_fuzz import fuzz

pytest.importorskip("torch")

#: An epoch that ends with a single sample; a tensor without a shape, and an operand of a wrong one.
FOUND = (463, 529, 1290)

pytestmark = pytest.mark.train


def test_damaged_files_end_in_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = fuzz(tmp_path, monkeypatch, [*FOUND, *range(3000, 3040)], seconds=30, training=True)
    assert {result["code"] for result in results} >= {0, 4}
