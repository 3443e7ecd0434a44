"""Measures of a checkout: lines, tables of operator names, comparisons with them, walks over graphs, names used twice.

    python benchmarks/house.py [FOLDER] [--json] [--types]

Walks are counted twice: every loop over nodes, whatever it does, and those that compute a fact (house_walks.py says which).
What these numbers are for: a fact about an operator should stand at one place, and a fact about a graph be computed once. Nothing
of the project is imported, so that any commit can be measured: ``git worktree add --detach /somewhere COMMIT``.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

sys.path.insert(0, str(Path(__file__).parent))
from house_walks import fact_walks, shared_walks

#: Where the project's own code lies; the rest are tests, documents and measurements.
ROOTS = ("onnx2snn", "passes", "runtime")
#: Here names of operators belong.
RECORDS = "onnx2snn/operators/"
NAMES = frozenset(schema.name for schema in onnx.defs.get_all_schemas())
#: Functions that compare a node with the names that they are given.
_ASKING = ("is_operator", "is_own", "nodes_of", "spells")
_CONTAINERS = (ast.Tuple, ast.List, ast.Set, ast.Dict)


@dataclass(frozen=True)
class Source:
    """A file of the checkout."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How many."""
        return self.text.count("\n")

    @property
    def package(self) -> str:
        """The folder of onnx2snn, or that of the top level."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "onnx2snn" and len(parts) > 2 else parts[0]


def sources(folder: Path) -> list[Source]:
    """All files of the project, links left out."""
    found = []
    for root in ROOTS:
        for path in sorted((folder / root).rglob("*.py")):
            within = path.relative_to(folder)
            if not any((folder / parent).is_symlink() for parent in within.parents):
                text = path.read_text(encoding="utf-8")
                found.append(Source(within.as_posix(), text, ast.parse(text)))
    return found


def _names_in(node: ast.AST) -> list[str]:
    """Operator names that stand in a container of ``node``, as its entries or keys."""
    found = []
    for inner in ast.walk(node):
        if isinstance(inner, _CONTAINERS):
            entries = [*inner.keys, *inner.values] if isinstance(inner, ast.Dict) else inner.elts
            found += [e.value for e in entries if isinstance(e, ast.Constant) and e.value in NAMES]
    return found


def tables(source: Source) -> Iterator[tuple[str, int]]:
    """Containers on the level of the module that hold two operator names or more: what each is called, and how many."""
    for node in source.tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            names = _names_in(node.value)
            if len(set(names)) > 1:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                yield f"{source.path}: {ast.unparse(target)}", len(names)


def comparisons(source: Source) -> Iterator[str]:
    """Comparisons with operator names: equal to one, or one of several."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        direct = [s.value for s in sides if isinstance(s, ast.Constant)]
        if any(name in NAMES for name in [*direct, *(n for side in sides for n in _names_in(side))]):
            yield f"{source.path}:{node.lineno}: {ast.unparse(node)}"


def asked_by_name(source: Source) -> Iterator[str]:
    """Calls of functions that take operator names, and tell whether a node is one of these: comparisons by another way."""
    for node in ast.walk(source.tree):
        asks = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ASKING
        if asks and any(isinstance(given, ast.Constant) and given.value in NAMES for given in node.args):
            yield f"{source.path}:{node.lineno}: {ast.unparse(node)}"


def walks(source: Source) -> Iterator[str]:
    """Loops over the nodes of a graph, or of a chain of operators, whatever they do: also those that look at each by itself."""
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.For, ast.comprehension)):
            over: ast.AST = node.iter
            while isinstance(over, ast.Call) and over.args:
                over = over.args[0]
            if isinstance(over, ast.Attribute) and over.attr in ("nodes", "node"):
                yield f"{source.path}:{over.lineno}: {ast.unparse(node.iter)}"


def functions(source: Source, *, code: bool = False) -> Iterator[tuple[int, str]]:
    """Lines and name of each function; of its ``code`` alone, without signature and docstring."""
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            told = code and ast.get_docstring(node) is not None and len(node.body) > 1
            first = node.body[int(told)].lineno if code else node.lineno
            yield (node.end_lineno or 0) - first + 1, f"{source.path}: {node.name}"


def classes(source: Source) -> list[str]:
    return [node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]


def _twice(names: list[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(Counter(names).items()) if count > 1}


def measure(folder: Path) -> dict[str, Any]:
    """Everything but types."""
    every = sources(folder)
    lines: Counter[str] = Counter()
    for source in every:
        lines[source.package] += source.lines
    held = [table for source in every for table in tables(source)]
    elsewhere = [source for source in every if not source.path.startswith(RECORDS)]
    sizes = sorted((size for source in every for size in functions(source)), reverse=True)
    code = sorted((size for source in every for size in functions(source, code=True)), reverse=True)
    return {
        "files": len(every),
        "lines": sum(lines.values()),
        "lines by package": dict(lines.most_common()),
        "functions": len(sizes),
        "median function": sizes[len(sizes) // 2][0],
        "functions over 40 lines": [f"{size} {name}" for size, name in sizes if size > 40],
        "functions over 40 lines of code": [f"{size} {name}" for size, name in code if size > 40],
        "files over 250 lines": [f"{s.lines} {s.path}" for s in every if s.lines > 250],
        "operator tables": [f"{count} {name}" for name, count in held],
        "entries of operator tables": sum(count for _, count in held),
        "comparisons with operator names": [c for source in elsewhere for c in comparisons(source)],
        "nodes asked for by operator name": [c for source in elsewhere for c in asked_by_name(source)],
        "walks over graphs": [walk for source in every for walk in walks(source)],
        "walks that compute a fact": [
            walk for source in every for walk in fact_walks(source.path, source.tree)
        ],
        "facts of the shared walks": [
            walk for source in every for walk in shared_walks(source.path, source.tree)
        ],
        "calls of id()": sum(source.text.count(" id(") + source.text.count("(id(") for source in every),
        "file names used twice": _twice([n for s in every if (n := Path(s.path).name) != "__init__.py"]),
        "class names used twice": _twice([name for s in every for name in classes(s)]),
    }


def typed(folder: Path) -> dict[str, float]:
    """Share of expressions whose type is known, by package, in percent: mypy's own count."""
    with tempfile.TemporaryDirectory() as report:
        command = [
            sys.executable,
            "-m",
            "mypy",
            "--any-exprs-report",
            report,
            "--cache-dir",
            f"{report}/cache",
        ]
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        text = (Path(report) / "any-exprs.txt").read_text(encoding="utf-8")
    counts: dict[str, list[int]] = {}
    for line in text.splitlines()[2:]:
        words = line.split()
        if len(words) == 4 and words[0].startswith("onnx2snn"):
            package = ".".join(words[0].split(".")[1:2]) or "onnx2snn"
            held = counts.setdefault(package, [0, 0])
            held[0] += int(words[1])
            held[1] += int(words[2])
    return {package: round(100 * (1 - a / max(n, 1)), 1) for package, (a, n) in sorted(counts.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[1])
    parser.add_argument("--json", action="store_true", help="everything that was found, not only how many")
    parser.add_argument("--types", action="store_true", help="run mypy, too (a minute)")
    given = parser.parse_args()
    found = measure(given.folder.resolve())
    if given.types:
        found["typed expressions, percent"] = typed(given.folder.resolve())
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for key, value in found.items():
        nested = isinstance(value, dict) and key.startswith(("lines", "typed"))
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if nested else value
        print(f"| {key} | {len(shown) if isinstance(shown, (list, dict)) else shown} |")


if __name__ == "__main__":
    main()
