"""The README shows what ``make demo`` prints."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_is_what_the_demonstration_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    readme_demo = importlib.import_module("readme_demo")
    block = readme_demo.BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert block is not None
    shown = readme_demo.essence(readme_demo.printed())
    assert readme_demo.essence(block[0]) == shown, "refresh it: python examples/readme_demo.py README.md"
    assert "lossless:" in [line[0] for line in shown if line]
