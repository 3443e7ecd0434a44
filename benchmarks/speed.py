"""How fast a converted network answers: against its ReLU twin, its quantised source, and other converters.

    python benchmarks/speed.py vgg16 --batch 16          # also: resnet18, mobilenetv2; --peers for SpikingJelly and Sinabs

Networks are generated with random weights (benchmarks/networks.py), T = 4. Every round runs each contender twice and times
the second run, in alternating order, so that whatever else the machine does meets all of them. Reported are the fastest run
of each, its ratio to the ReLU network's fastest, and the median of the ratios within rounds. ``operators`` adds up the
fastest time of every operator (onnxruntime's profiler): what the network costs on a machine that does nothing else. Results
also go to benchmarks/results/speed-<network>-<batch>.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

from networks import NETWORKS

import onnx2snn
from onnx2snn.runtime import SpikingSession

RESULTS = Path(__file__).parent / "results"
TIMESTEPS = 4
#: Seconds in which the threads of the contender before stop waiting for more.
_REST = 0.02
RELU = "ReLU ANN, onnxruntime"


@dataclass(frozen=True)
class Contender:
    """Something that answers one batch.

    Attributes:
        run: Answer it once.
        profile: Make the same with onnxruntime's profiler on, run it, and return seconds by operator; None in PyTorch.
    """

    run: Callable[[], Any]
    profile: Callable[[], dict[str, float]] | None = None


@dataclass(frozen=True)
class Timing:
    """Milliseconds, and ratios to the ReLU network."""

    contender: str
    fastest: float
    ratio: float
    median_ratio: float
    operators: float | None = None
    operators_ratio: float | None = None
    by_operator: dict[str, float] | None = None


def options_of(threads: int, profile: Path | None = None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile / "ort")
    return options


def by_operator(run: Callable[[], Any], end: Callable[[], str]) -> dict[str, float]:
    """Milliseconds of each kind of operator: the fastest of 12 runs of every single one, added up."""
    for _ in range(12):
        run()
    fastest: dict[str, tuple[str, float]] = {}
    for event in json.loads(Path(end()).read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind, seconds = event["args"]["op_name"], event["dur"] / 1e3
            known = fastest.get(event["name"], (kind, np.inf))
            fastest[event["name"]] = (kind, min(seconds, known[1]))
    total: dict[str, float] = {}
    for kind, seconds in fastest.values():
        total[kind] = total.get(kind, 0.0) + seconds
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def stock(model: Any, image: np.ndarray[Any, Any], threads: int) -> Contender:
    """A model in onnxruntime with its default optimisations."""
    content = model.SerializeToString()
    session = ort.InferenceSession(content, options_of(threads), providers=["CPUExecutionProvider"])

    def profile() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            options = options_of(threads, Path(folder))
            measured = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            return by_operator(lambda: measured.run(None, {"image": image}), measured.end_profiling)

    return Contender(lambda: session.run(None, {"image": image}), profile)


def spiking(path: Path, execution: str, image: np.ndarray[Any, Any], threads: int) -> Contender:
    """A converted network in a session that counts nothing."""
    session = SpikingSession(path, execution=execution, threads=threads, count="nothing")

    def profile() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            options = options_of(threads, Path(folder))
            whole = len(image)  # each operator once for all of them
            measured = SpikingSession(
                path, execution=execution, session_options=options, count="nothing", chunk=whole
            )
            end = measured._engine("nothing")._session.end_profiling  # noqa: SLF001 - the profiler has no other door
            return by_operator(lambda: measured.run({"image": image}), end)

    return Contender(lambda: session.run({"image": image}), profile)


def contenders(name: str, batch: int, threads: int, folder: Path, *, peers: bool) -> dict[str, Contender]:
    make, shape = NETWORKS[name]
    image = np.random.default_rng(0).normal(0, 1, (batch, *shape)).astype(np.float32)
    relu, qcfs, qdq = make("relu"), make("qcfs"), make("qdq")
    found = {
        RELU: stock(relu, image, threads),
        "quantised ANN (QCFS), onnxruntime": stock(qcfs, image, threads),
        "quantised ANN (QDQ int8), onnxruntime": stock(qdq, image, threads),
    }
    for title, source, executions in (
        ("float weights", qcfs, ("fused", "spiking")),
        ("integer weights", qdq, ("fused", "int8", "spiking")),
    ):
        path = folder / f"{title.split()[0]}.onnx"
        onnx2snn.convert(source).save(path)
        for execution in executions:
            found[f"onnx2snn {execution}, {title}"] = spiking(path, execution, image, threads)
    if peers:
        import torch  # noqa: PLC0415 - optional
        from speed_peers import PEERS  # noqa: PLC0415

        torch.set_num_threads(threads)
        for title, peer in PEERS.items():
            found[title] = Contender(peer(relu, image, TIMESTEPS))
    return found


def measure(found: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Seconds of every run, by contender."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for contender in found.values():
        contender.run()
    for number in range(rounds):
        for name in list(found) if number % 2 == 0 else reversed(found):
            time.sleep(_REST)
            found[name].run()
            began = time.perf_counter()
            found[name].run()
            times[name].append(time.perf_counter() - began)
    return times


def timings(found: Mapping[str, Contender], rounds: int, *, profiled: bool) -> list[Timing]:
    times = measure(found, rounds)
    operators = {
        name: contender.profile()
        for name, contender in found.items()
        if profiled and contender.profile is not None
    }
    base, base_operators = times[RELU], sum(operators.get(RELU, {}).values())
    rows = []
    for name, seconds in times.items():
        spent = operators.get(name)
        total = None if spent is None else sum(spent.values())
        rows.append(
            Timing(
                contender=name,
                fastest=1e3 * min(seconds),
                ratio=min(seconds) / min(base),
                median_ratio=statistics.median(a / b for a, b in zip(seconds, base, strict=True)),
                operators=total,
                operators_ratio=None if total is None else total / base_operators,
                by_operator=spent,
            )
        )
    return rows


def show(rows: list[Timing], title: str) -> None:
    table = Table("", "fastest, ms", "ratio", "median ratio", "operators, ms", "ratio", title=title)
    for row in rows:
        operators = (
            ("", "") if row.operators is None else (f"{row.operators:.2f}", f"{row.operators_ratio:.2f}")
        )
        table.add_row(
            row.contender, f"{row.fastest:.1f}", f"{row.ratio:.2f}", f"{row.median_ratio:.2f}", *operators
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", choices=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--peers", action="store_true", help="SpikingJelly and Sinabs too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = contenders(given.network, given.batch, given.threads, Path(folder), peers=given.peers)
        rows = timings(found, given.rounds, profiled=True)
    show(rows, f"{given.network}, batch {given.batch}, {given.threads} threads, T = {TIMESTEPS}")
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"speed-{given.network}-{given.batch}.json"
    facts = {
        **vars(given),
        "timesteps": TIMESTEPS,
        "onnxruntime": ort.__version__,
        "rows": [asdict(r) for r in rows],
    }
    target.write_text(json.dumps(facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
