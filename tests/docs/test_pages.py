"""What the documentation says runs: commands, Python examples, doctests; and what is generated is current."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.util
import io
import pkgutil
import re
import shlex
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"<!-- run -->\n```(console|python)\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder as the start page has it: a network and its data."""
    shutil.copy(ROOT / "examples" / "digits" / "digits.onnx", tmp_path / "ann.onnx")
    few_digits(tmp_path / "test.npz")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def few_digits(path: Path) -> None:

    with np.load(ROOT / "examples" / "digits" / "digits.npz") as digits:
        np.savez(path, **{name: values[:20] for name, values in digits.items()})


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_commands_and_examples_run(page: Path, folder: Path) -> None:
    scope: dict[str, object] = {}
    for kind, text in blocks(page):
        if kind == "python":
            exec(compile(text, page.name, "exec"), scope)  # noqa: S102 - the page's own example
            continue
        command, *printed = text.splitlines()
        assert command.startswith("$ onnx2snn ")
        found = CliRunner().invoke(
            main, shlex.split(command.removeprefix("$ onnx2snn ")), catch_exceptions=False
        )
        assert found.exit_code == 0, found.output
        for line in filter(None, printed):
            assert printed_somewhere(line, found.output), line


def printed_somewhere(line: str, output: str) -> bool:
    """Whether a line of the output is ``line``, or begins as it does up to its dots."""
    found = [each.rstrip() for each in output.splitlines()]
    return any(each.startswith(line[:-3]) for each in found) if line.endswith("...") else line in found


def test_the_start_page_is_among_them() -> None:
    assert len(blocks(ROOT / "docs" / "start.md")) >= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_doctests_of_pages(page: Path) -> None:
    failed, _ = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert failed == 0


def modules() -> Iterator[str]:
    for info in pkgutil.walk_packages(onnx2snn.__path__, "onnx2snn."):
        if not info.name.endswith("__main__"):
            yield info.name


def test_doctests_of_modules() -> None:
    left_out, checked = [], 0
    for name in modules():
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
        except ImportError:
            left_out.append(name)
            continue
        failed, attempted = doctest.testmod(module)
        assert failed == 0
        checked += attempted
    assert checked
    assert all(
        name.startswith(("onnx2snn.training", "onnx2snn.cli.finetune_with_torch", "onnx2snn.report"))
        for name in left_out
    )  # extras


def _script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_operators_page_is_current() -> None:
    module = _script("operators_page")
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), (
        "run python docs/scripts/operators_page.py"
    )


def test_the_table_of_imports_is_current() -> None:
    """A new arrow between packages is a decision: whoever draws it writes it down."""
    module = _script("imports_table")
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), (
        "run python docs/scripts/imports_table.py"
    )


def test_packages_import_only_what_stands_above_them() -> None:
    assert _script("imports_table").downward() == []


def test_method_page_has_doctests() -> None:
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    assert len(doctest.DocTestParser().get_examples(page)) >= 5
