"""Refusals take their remedies from one place."""

from __future__ import annotations

import ast
from pathlib import Path

import onnx2snn
from onnx2snn import remedies

REFUSALS = {"ConversionError": None, "NonSpiking": 3, "Rejected": 3}


def remedies_given() -> list[tuple[str, ast.expr]]:
    found = []
    root = Path(onnx2snn.__file__).parent
    for path in [*root.rglob("*.py"), *(root.parent / "passes").rglob("*.py")]:
        if {"training", "exchange"} & set(path.parts):  # they write other files than converted networks
            continue
        for call in (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)):
            made = call.func.id if isinstance(call.func, ast.Name) else ""
            if made in REFUSALS:
                position = REFUSALS[made]
                named = [k.value for k in call.keywords if k.arg == "remedy"]
                if position is not None and len(call.args) > position:
                    named.append(call.args[position])
                found += [(f"{path.name}:{call.lineno}", value) for value in named]
    return found


def test_refusals_take_their_remedies_from_one_place() -> None:
    """No text of its own in a refusal: what is not followed here would be said."""
    given = remedies_given()
    assert len(given) > 15
    for place, value in given:
        texts = [n.value for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        assert not [text for text in texts if text.strip()], place
        names = [n.id for n in ast.walk(value) if isinstance(n, ast.Name) and n.id.isupper()]
        assert not [name for name in names if not hasattr(remedies, name)], place


ERRORS = ("ConversionError", "InvalidModelError", "InputError", "OutputError", "SelfCheckError")


def test_every_error_says_what_to_do() -> None:
    """DESIGN: what is refused names node, cause, and a remedy."""
    root = Path(onnx2snn.__file__).parent
    paths = [
        path
        for folder in (root, root.parent / "passes", root.parent / "runtime")
        for path in folder.rglob("*.py")
    ]
    calls = [
        (path, n) for path in paths for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
    ]
    raised = [(p, call) for p, call in calls if isinstance(call.func, ast.Name) and call.func.id in ERRORS]
    assert len(raised) > 200
    silent = [f"{p.name}:{c.lineno}" for p, c in raised if "remedy" not in {k.arg for k in c.keywords}]
    assert not silent
