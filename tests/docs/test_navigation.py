"""Every page is in the navigation and linked from another one; every public name is on the reference page."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
#: Written when the site is built.
GENERATED = {"commands.md", "passes.md", "first_conversion.md", "comparing_codes.md"}
API = (DOCS / "api.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^::: ([\w.]+)$", API, re.MULTILINE)
PACKAGES = ("", "runtime", "certificate", "exchange", "training")


def navigation() -> set[str]:
    return set(
        re.findall(r":\s*(\w+\.md)\s*$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_every_page_is_in_the_navigation() -> None:
    assert navigation() == {*PAGES, *GENERATED}


@pytest.mark.parametrize("page", sorted({*PAGES, *GENERATED} - {"index.md"}))
def test_every_page_is_linked_from_another(page: str) -> None:
    others = [DOCS / other for other in PAGES if other != page]
    assert any(
        re.search(rf"\]\({re.escape(page)}[)#]", other.read_text(encoding="utf-8")) for other in others
    )


def public(package: str) -> list[str]:
    """``__all__`` of a package, read without importing it: training needs torch."""
    folder = ROOT / ("runtime" if package == "runtime" else f"onnx2snn/{package}")
    for node in ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise AssertionError(package)


def told() -> set[str]:
    """Names on the reference page: entries, members of modules, and what stands in code letters."""
    members = {name for listed in re.findall(r"members: \[(.*?)\]", API) for name in listed.split(", ")}
    words = {word for code in re.findall(r"`([\w.]+)`", API) for word in code.split(".")}
    return {entry.rpartition(".")[2] for entry in ENTRIES} | members | words


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_the_reference_page(package: str) -> None:
    assert set(public(package)) - {"__version__", "require_nir"} <= told()


def test_what_pages_use_is_on_the_reference_page() -> None:
    texts = [page.read_text(encoding="utf-8") for page in (*DOCS.glob("*.md"), ROOT / "README.md")]
    used = {name for text in texts for name in re.findall(r"\bonnx2snn\.(?:\w+\.)*(\w+)\(", text)}
    for text in texts:
        for names in re.findall(r"^from onnx2snn[\w.]* import ([\w, ]+)", text, re.MULTILINE):
            used.update(name.strip() for name in names.split(","))
    assert len(used) > 8
    assert used <= told()


def documented() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and public methods of the reference page."""
    for entry in ENTRIES:
        module, _, name = entry.rpartition(".")
        path = ROOT / Path(*module.split(".")[1:]) if "runtime" in module else ROOT / Path(*module.split("."))
        if name == "errors":
            continue
        for node in ast.parse(path.with_suffix(".py").read_text(encoding="utf-8")).body:
            if getattr(node, "name", None) == name:
                members = node.body if isinstance(node, ast.ClassDef) else [node]
                for one in members:
                    if isinstance(one, ast.FunctionDef) and not (one.name.startswith("_") or is_setter(one)):
                        yield f"{entry}: {one.name}", one


def is_setter(function: ast.FunctionDef) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == "setter" for one in function.decorator_list)


@pytest.mark.parametrize(
    ("name", "function"), list(documented()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_reference_page_explains_every_argument(name: str, function: ast.FunctionDef) -> None:
    told = ast.get_docstring(function)
    assert told, name
    arguments = [*function.args.args, *function.args.kwonlyargs]
    for argument in {one.arg for one in arguments} - {"self", "cls"}:
        assert re.search(rf"^ +{argument}(, \w+)*:|``{argument}``", told, re.MULTILINE), f"{name}: {argument}"


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_is_there(entry: str) -> None:
    module, _, name = entry.rpartition(".")
    if importlib.util.find_spec(entry.split(".", maxsplit=1)[0]) and entry == "onnx2snn.errors":
        return
    path = ROOT / Path(*module.split(".")[1:]) if "runtime" in module else ROOT / Path(*module.split("."))
    tree = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
