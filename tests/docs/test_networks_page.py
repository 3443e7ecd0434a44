"""The table of networks of others is what was measured, as its script writes it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "networks.md"
FOUND = json.loads((ROOT / "benchmarks" / "results" / "networks.json").read_text(encoding="utf-8"))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("folder_of_networks")


def test_it_is_current(script: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(FOUND) == 34
    assert script.on_page(page, FOUND) == page


def test_nothing_is_unexplained_and_every_network_has_an_origin() -> None:
    for name, one in FOUND.items():
        assert "refused" in one or (one["lossless"] and one["unexplained"] == 0), name
        source, _, licence = one["origin"]
        assert source, name
        assert licence, name


def test_origins_are_read_from_the_folder(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "# Files\n\n| file | source | path | licence |\n| a.onnx | x/y | z.tflite | MIT |\n"
    )
    assert script.origins(tmp_path) == {"a": ("x/y", "z.tflite", "MIT")}
    assert script.origins(tmp_path / "elsewhere") == {}
