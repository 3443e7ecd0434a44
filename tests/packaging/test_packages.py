"""What a wheel is made of: each folder of code is a package, and each other file is named as package data."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[2]


def files() -> Iterator[Path]:
    """Files of the package, through the links to passes and runtime."""
    for folder, _, names in os.walk(ROOT / "onnx2snn", followlinks=True):
        if Path(folder).name != "__pycache__":
            yield from (Path(folder, name) for name in names)


def test_each_folder_is_a_package() -> None:
    """Packages are found by their ``__init__.py``; a folder without one would be missing from the wheel."""
    folders = {path.parent for path in files()}
    assert len(folders) > 12
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_each_file_that_is_no_code_is_package_data() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    data = [path for path in files() if path.suffix not in (".py", ".pyc")]
    assert len(data) >= 3
    assert not [path for path in data if not any(fnmatch(path.name, pattern) for pattern in patterns)]


def test_the_tests_that_run_on_the_oldest_libraries_are_there() -> None:
    """The Makefile names them by path."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    named = re.search(r"CORE := \$\(addprefix tests/,(.*?)\)", text)
    assert named is not None
    deselected = re.findall(r"CRASHES := tests/(.*?)::", text)
    paths = named.group(1).split() + deselected
    assert len(paths) > 10
    assert not [path for path in paths if not (ROOT / "tests" / path).exists()]
