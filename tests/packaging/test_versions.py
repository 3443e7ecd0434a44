"""What tells the version tells the same one, and what describes the project has no gaps."""

from __future__ import annotations

import re
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE)[1] == PROJECT["version"]  # type: ignore[index]
    assert re.findall(r"^## \[([\d.]+)\]", changes, re.MULTILINE)[0] == PROJECT["version"]


def test_addresses_are_real_or_left_out() -> None:
    assert not any("example" in address or "<" in address for address in PROJECT.get("urls", {}).values())


def test_an_image_installs_extras_that_exist() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    extras = re.search(r"/src\[([\w,]+)\]", dockerfile)
    assert extras
    assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"])
    assert all((ROOT / name).is_file() for name in re.findall(r"/src/([\w.]+\.txt)", dockerfile))


def test_a_version_has_each_kind_of_change_once() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for version in changes.split("\n## ")[1:]:
        kinds = [line for line in version.splitlines() if line.startswith("### ")]
        assert kinds
        assert len(kinds) == len(set(kinds)), version.splitlines()[0]
