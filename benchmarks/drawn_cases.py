"""Draw small networks by kind, convert, run and verify each, and count how they end.

python benchmarks/drawn_cases.py                                # 600 cases
python benchmarks/drawn_cases.py --repeats 6 --seed 7           # others, twice as many
python benchmarks/drawn_cases.py --results results.json         # what became of each
python benchmarks/drawn_cases.py --write cases                  # model and data of each, judged or not
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from drawn_cases import Case, cases
from drawn_cases.judging import RIGHT, judge


def write(drawn: Iterable[Case], folder: Path) -> None:
    """A model, its data and what it combines."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(drawn):
        path = folder / f"{number:04d}.onnx"
        onnx.save(case.model, path)
        np.savez(path.with_suffix(".npz"), **case.data)  # type: ignore[arg-type]
        path.with_suffix(".json").write_text(json.dumps(asdict(case.kind)))


def written(folder: Path) -> Iterable[tuple[dict[str, Any], onnx.ModelProto, dict[str, np.ndarray]]]:
    """What ``write`` wrote."""
    for path in sorted(folder.glob("*.onnx")):
        data = dict(np.load(path.with_suffix(".npz")))
        yield json.loads(path.with_suffix(".json").read_text()), onnx.load(path), data


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=2, help="cases of each operator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, default=None, metavar="DIR", help="only write the cases there")
    parser.add_argument("--read", type=Path, default=None, metavar="DIR", help="judge what --write wrote")
    parser.add_argument("--results", type=Path, default=None, metavar="JSON")
    parser.add_argument("--only", default="", help="a text that the kind must hold")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    drawn = cases(repeats=arguments.repeats, seed=arguments.seed)
    if arguments.write is not None:
        write(drawn, arguments.write)
        return 0
    if arguments.read is not None:
        given = written(arguments.read)
    else:
        given = ((asdict(c.kind), c.model, c.data) for c in drawn)
    return report(given, arguments.only, arguments.results)


def report(given: Iterable[tuple[dict[str, Any], Any, Any]], only: str, target: Path | None) -> int:
    """Judge each; print what is wrong, and a table."""
    results = []
    for number, (kind, model, data) in enumerate(given):
        text = " | ".join(str(v) for v in kind.values())
        if only not in f"{number:04d} {text}":
            continue
        verdict = judge(model, data)
        results.append({"number": number, **kind, "verdict": verdict.kind, "why": verdict.why})
        if not verdict.right:
            print(f"{number:04d} {verdict.kind}: {text}\n     {verdict.why}", flush=True)
    counts = collections.Counter(r["verdict"] for r in results)
    wrong = sum(n for kind, n in counts.items() if kind not in RIGHT)
    print(f"{wrong} of {len(results)} cases go wrong: {dict(counts.most_common())}")
    if target is not None:
        target.write_text(json.dumps(results, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
