"""Compiled files beside the sessions of another checkout, in turn: the table of docs/compile.md.

    git worktree add /some/folder COMMIT
    python benchmarks/compiled_files.py /some/folder [--pairs 15]

Both convert the same sources, each with its own code: the digits network, ResNet-18 and MobileNetV2 with random 8-bit weights
(networks.py), T = 4. The other answers in a session on its converted file; this one in a session on the file that ``onnx2snn
compile`` writes. Each is a process of its own, one thread, nothing counted; they answer in turn, in alternating order, and each
tells its CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "compiled_files.json"
#: Of CPU time, at least, in which an answer is timed: the clock, and whatever interrupts it, weigh little.
SECONDS = 0.1
EXECUTIONS, BATCHES = ("spiking", "fused", "int8"), (1, 16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="a checkout")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--answer", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        answer(given.other, *given.answer)
    else:
        _all(given)


def _all(given: argparse.Namespace) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for name, source, samples in sources(Path(temporary)):
            for execution in EXECUTIONS:
                for batch in BATCHES:
                    times = in_turn(
                        given.other, (str(source), str(samples), execution, str(batch)), given.pairs
                    )
                    rows.append({"network": name, "execution": execution, "batch": batch, **times})
                    print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


def sources(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name, network, and samples of each."""
    import onnx  # noqa: PLC0415
    from networks import NETWORKS  # noqa: PLC0415

    digits = HERE.parent / "examples" / "digits"
    yield "digits", digits / "digits.onnx", digits / "digits.npz"
    for name in ("resnet18", "mobilenetv2"):
        make, shape = NETWORKS[name]
        onnx.save(make("qdq"), folder / f"{name}.onnx")
        image = np.random.default_rng(0).normal(0, 1, (max(BATCHES), *shape)).astype(np.float32)
        np.savez(folder / f"{name}.npz", image=image)
        yield name, folder / f"{name}.onnx", folder / f"{name}.npz"


def in_turn(other: Path, case: tuple[str, ...], pairs: int) -> dict[str, float]:
    """Milliseconds of CPU time, the least of each, and the median of the ratios of pairs, this one over the other."""
    with answering(other, case) as theirs, answering(HERE.parent, case) as mine:
        found = []
        for number in range(pairs):
            asked = (mine, theirs) if number % 2 else (theirs, mine)
            times = {id(one): _asked(one) for one in asked}
            found.append((times[id(mine)], times[id(theirs)]))
    return {
        "compiled": 1e3 * min(mine for mine, _ in found),
        "session": 1e3 * min(theirs for _, theirs in found),
        "ratio": statistics.median(mine / theirs for mine, theirs in found),
    }


@contextmanager
def answering(checkout: Path, case: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    """A process that answers with the code of ``checkout``, warm."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, __file__, str(checkout), "--answer", *case]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        for _ in range(2):
            _asked(process)
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _asked(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    print(file=process.stdin, flush=True)
    return float(process.stdout.readline())


def answer(checkout: Path, source: str, samples: str, execution: str, batch: str) -> None:
    """Answer a batch, again and again, a line of the standard input, and print the seconds of CPU time of one answer."""
    import onnx2snn  # noqa: PLC0415 - that of the checkout
    from onnx2snn.runtime import SpikingSession  # noqa: PLC0415

    assert Path(onnx2snn.__file__).resolve().is_relative_to(checkout.resolve())
    conversion: Any = onnx2snn.convert(source)
    with np.load(samples) as held:
        inputs = {"image": held["image"][: int(batch)]}
    options: dict[str, Any] = {"threads": 1}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snn.onnx"
        if hasattr(onnx2snn, "compile"):
            onnx2snn.compile(conversion, execution=execution).save(path)
        else:
            conversion.save(path)
            options |= {"execution": execution, "count": "nothing", "chunk": int(batch)}
        session = SpikingSession(path, **options)
    for _ in sys.stdin:
        count, began = 0, time.process_time()
        while (spent := time.process_time() - began) < SECONDS:
            session.run(inputs)
            count += 1
        print(spent / count, flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """A line a network and execution."""
    head = (
        "network",
        "execution",
        *(f"{what}, batch {batch}" for batch in BATCHES for what in ("session", "compiled", "ratio")),
    )
    lines = [head, ("---",) * len(head)]
    for name, execution in dict.fromkeys((row["network"], row["execution"]) for row in rows):
        held = [row for row in rows if (row["network"], row["execution"]) == (name, execution)]
        numbers = [
            (f"{row['session']:.2f} ms", f"{row['compiled']:.2f} ms", f"{row['ratio']:.2f}") for row in held
        ]
        lines.append((name, execution, *(number for three in numbers for number in three)))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
