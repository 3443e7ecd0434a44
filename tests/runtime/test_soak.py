"""Many requests from many threads to one session: a short form of ``benchmarks/soak.py``."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("execution", ["spiking", "fused"])
def test_every_answer_is_right_and_memory_stays(monkeypatch: pytest.MonkeyPatch, execution: str) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    soak = importlib.import_module("soak")
    result = soak.Soak(soak.NETWORK, execution=execution).run(600, 8)
    assert result["requests"] == 600
    assert result["wrong"] == 0
    assert soak.is_sound(result)
