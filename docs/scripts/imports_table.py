"""Write the table of who imports whom into docs/architecture.md, from the imports themselves.

python docs/scripts/imports_table.py
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- imports: written by docs/scripts/imports_table.py -->", "<!-- end of imports -->"

#: What each package is for; a package that stands here no more, or not yet, fails the test of the page.
PURPOSE = {
    "onnx2snn": "convert, inspect; errors and texts",
    "model": "model files: read, repaired, checked, run as they are, written",
    "graph": "graphsurgeon, and what it lacks: import, export, names, building",
    "operators": "what each ONNX operator is",
    "analysis": "facts of a graph's tensors",
    "dialect": "what a converted file holds: functions, layer table, counts",
    "compile": "a converted network in plain operators, one file an execution",
    "activations": "the algebra: an elementwise expression becomes k = clip(R((z + δ)/θ), 0, K), a = αk + o",
    "passes": "graph → graph, one pass a file",
    "runtime": "sessions, streams, counting, energy",
    "float64": "models evaluated in float64, the stand-in for exact arithmetic",
    "certificate": "comparison of synapses, thresholds and every level, with rounding bounds",
    "calibration": "thresholds for float networks, from data",
    "training": "QCFS, few-spike training (extra `train`)",
    "evaluation": "accuracy on large data, many processes",
    "data": "samples and labels, from files, folders and arrays",
    "report": "the page and its figures (extra `report`)",
    "cli": "the command line",
}


def table() -> str:
    """Rows: package, purpose, packages of the project that it imports, libraries that it imports."""
    rows = ["| package | what | imports of the project | libraries |", "| --- | --- | --- | --- |"]
    for package, names in sorted(_imports().items(), key=lambda row: list(PURPOSE).index(row[0])):
        ours = ", ".join(sorted(name for name in names if name in PURPOSE)) or "–"
        libraries = ", ".join(sorted(names - set(PURPOSE))) or "–"
        rows.append(f"| `{package}` | {PURPOSE[package]} | {ours} | {libraries} |")
    return "\n".join(rows)


def page() -> str:
    """The page, its table as the imports are now."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{rest[rest.index(END) :]}"


def _imports() -> dict[str, set[str]]:
    """By package, what its files name in import statements: packages of the project, and libraries."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in ("onnx2snn", "passes", "runtime"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            package = _package(path.relative_to(ROOT))
            found[package] |= {_owner(name) for name in _names(path)} - {package}
            found[package] -= sys.stdlib_module_names
    return dict(found)


def _package(path: Path) -> str:
    parts = path.parts
    if parts[0] == "onnx2snn" and len(parts) > 2:
        return parts[1]
    return parts[0]


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "onnx2snn":
            yield from (f"onnx2snn.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _owner(name: str) -> str:
    first, *rest = name.split(".")
    if first == "onnx2snn" and rest and (ROOT / "onnx2snn" / rest[0]).is_dir():
        return rest[0]
    return first


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
