"""One thing, one name: no file and no class of the project is called as another is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_no_name_stands_for_two_things(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("house", ROOT / "benchmarks" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    house = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "house", house)  # dataclasses look their module up
    spec.loader.exec_module(house)
    found = house.measure(ROOT)
    assert found["file names used twice"] == {}
    assert found["class names used twice"] == {}
