"""The notebooks run from top to bottom, and the documentation shows what their cells show."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
#: What each shows, in order: tables, figures, and lines that it prints.
SHOWN = {
    "first_conversion": ["<table>", "<table>", "<table>", "```text", "<table>", "<img", "<img"],
    "comparing_codes": ["```text", "<img", "<table>"],
}


def _pages() -> Any:
    spec = importlib.util.spec_from_file_location(
        "notebook_pages", ROOT / "docs" / "scripts" / "notebook_pages.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_two() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SHOWN)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_left_out(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_page_shows_what_it_shows(notebook: Path) -> None:
    page = _pages().page(notebook)
    assert page.startswith("# ")
    marks = ("<table>", "<img", "```text")
    found = sorted((at, mark) for mark in marks for at in _places(page, mark))
    assert [mark for _, mark in found] == SHOWN[notebook.stem]


def _places(page: str, mark: str) -> list[int]:
    return [at for at in range(len(page)) if page.startswith(mark, at)]
