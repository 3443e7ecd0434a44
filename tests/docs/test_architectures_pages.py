"""The tables of architectures, quantised and calibrated, are what was measured, as their scripts write them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TABLES = {"architectures": "architectures.md", "float_architectures": "calibration.md"}


def measured(name: str) -> dict[str, dict[str, Any]]:
    """By row."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TABLES)
def test_it_is_current(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module(name)
    page = (ROOT / "docs" / TABLES[name]).read_text(encoding="utf-8")
    assert script.table(measured(name)) in page
    assert script.on_page(page, measured(name)) == page


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_unexplained(name: str) -> None:
    assert len(measured(name)) >= 8
    for key, one in measured(name).items():
        assert "refused" in one or (one["lossless"] and one["unexplained"] == 0), key


def test_every_architecture_is_there() -> None:
    names = {one["name"] for one in measured("architectures").values()}
    assert {"bert", "yolo", "convnext_tiny", "swin_t", "swin_v2_t"} < names
