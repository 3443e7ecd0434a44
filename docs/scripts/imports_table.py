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

#: Modules of the package itself that say things, and know nothing of networks.
TEXTS = ("errors", "remedies", "naming", "units", "listings", "atomic_files")

#: What each package is for, from the ground up: a package imports only those above it in this list. One that stands here no
#: more, or not yet, fails the test of the page.
PURPOSE = {
    "errors": f"and {', '.join(TEXTS[1:])}: modules of `onnx2snn` that say things, and know nothing of networks",
    "runtime": "sessions, streams, counting, energy",
    "model": "model files: read, repaired, checked, run as they are, written",
    "graph": "graphsurgeon, and what it lacks: export, names, building",
    "operators": "what each ONNX operator is",
    "activations": "the algebra: an elementwise expression becomes k = clip(R((z + δ)/θ), 0, K), a = αk + o",
    "float64": "models evaluated in float64, the stand-in for exact arithmetic",
    "analysis": "facts of a graph's tensors, known until a pass reports a change",
    "dialect": "what a converted file holds: functions, layer table, counts",
    "passes": "graph → graph, one pass a file",
    "data": "samples and labels, from files, folders and arrays",
    "exact": "quantised networks that float32 computes exactly, and the proof that it does",
    "evaluation": "accuracy on large data, many processes",
    "calibration": "thresholds for float networks, from data",
    "certificate": "comparison of synapses, thresholds and every level, with rounding bounds",
    "compile": "a converted network in plain operators, one file an execution",
    "events": "compiled networks run by events: no work for silent neurons (extra `events`)",
    "onnx2snn": "convert, inspect",
    "exchange": "converted networks in NIR, and a reader that runs them (extra `nir`)",
    "training": "QCFS, few-spike training (extra `train`)",
    "report": "the page and its figures (extra `report`)",
    "cli": "the command line",
}

#: Arrows that point down, each drawn inside a function, and why.
LATE = {
    ("runtime", "events"): "one of its backends follows events, where Numba is there",
    ("runtime", "compile"): "a session compiles a converted file in memory, where the onnx package is there",
    ("runtime", "float64"): "the NumPy backend takes kernels that onnx.reference gets wrong",
    (
        "certificate",
        "onnx2snn",
    ): "a compiled file is certified beside the network that its source converts to",
    ("model", "float64"): "so does the reference of a source that no runtime runs",
}


def table() -> str:
    """Rows: package, purpose, packages of the project that it imports, libraries that it imports."""
    rows = ["| package | what | imports of the project | libraries |", "| --- | --- | --- | --- |"]
    imports = {package: first | late for package, (first, late) in _imports().items()}
    for package, names in sorted(imports.items(), key=lambda row: list(PURPOSE).index(row[0])):
        ours = ", ".join(name for name in PURPOSE if name in names) or "–"
        libraries = ", ".join(sorted(names - set(PURPOSE))) or "–"
        rows.append(f"| `{package}` | {PURPOSE[package]} | {ours} | {libraries} |")
    return "\n".join(rows)


def downward() -> list[str]:
    """Arrows that point down the list of packages without standing in :data:`LATE`; types alone may be imported from anywhere."""
    height = {package: place for place, package in enumerate(PURPOSE)}
    found = []
    for package, (first, late) in _imports().items():
        below = [n for n in sorted((first | late) & set(PURPOSE)) if height[n] > height[package]]
        found += [f"{package} → {name}" for name in below if name in first or (package, name) not in LATE]
    return found


def page() -> str:
    """The page, its table as the imports are now."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{rest[rest.index(END) :]}"


def _imports() -> dict[str, tuple[set[str], set[str]]]:
    """By package, what its files import when they are loaded, and when a function is called: packages of ours, and libraries."""
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for folder in ("onnx2snn", "passes", "runtime"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            package = _owner(".".join(parts if parts[0] == "onnx2snn" else ("onnx2snn", *parts)))
            for names, late in _names(ast.parse(path.read_text(encoding="utf-8"))):
                found[package][late].update({_owner(n) for n in names} - {package} - sys.stdlib_module_names)
    return dict(found)


def _names(within: ast.AST, late: bool = False) -> Iterator[tuple[list[str], bool]]:
    """What import statements name, those for types alone left out, and whether they stand in a function."""
    for node in ast.iter_child_nodes(within):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield [alias.name for alias in node.names], late
        elif isinstance(node, ast.ImportFrom) and node.module == "onnx2snn":
            yield [f"onnx2snn.{alias.name}" for alias in node.names], late
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield [node.module], late
        else:
            yield from _names(node, late or isinstance(node, ast.FunctionDef))


def _owner(name: str) -> str:
    """The package of a module: a folder of the project, or a library."""
    first, *rest = name.split(".")
    if first != "onnx2snn" or not rest:
        return first
    if rest[0] in TEXTS:
        return TEXTS[0]
    if rest[0] == "__main__":
        return "cli"
    return rest[0] if (ROOT / "onnx2snn" / rest[0]).is_dir() else first


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
