"""Damaged files against every command: none may end in anything but an answer or an error that says what is wrong.

    python benchmarks/fuzz_files.py --files 10000 --json benchmarks/results/fuzz_files.json
    python benchmarks/fuzz_files.py --only 4711            # one file again, with its traceback; --keep DIR keeps the file

Each number stands for one file and one command, always the same. Commands run in worker processes under a limit of memory
(RLIMIT_AS) and of processor time. Exit codes 0 to 4 are answers; a traceback, a signal, a limit that is reached, a half-written
result or a temporary file that stays is a finding.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from damaged_data import damaged_data
from damaged_models import damaged

CORPUS = Path(__file__).resolve().parents[1] / "tests" / "corpus"
#: Sources that convert quickly, of every exporter; one of them cannot be converted, one wants calibration.
SEEDS = (
    "torchdy21__mlp-qcfs16-dyadic-b1",
    "torchts13__mlp-lsq2-dyn",
    "torchts17__conv1d-qcfs16-dyadic-nofold-dyn",
    "ortquant__mlp-relu-qdq_s8sym",
    "ortquant__mlp-relu-qop_u8",
    "ortquant__plain-relu-qdq_u4",
    "brevitas__plain-a2w2-qonnx",
    "brevitas__inq-a8w8pc-qcdq",
    "keras13__plain-rq15",
    "torchts11__preact-qcfs16-dyn",
    "torchts16__unet-qcfs16-dyadic-dyn",
    "torchts11__conv3d-qcfs4pc-dyn",
    "torchts17__mlp-relu-dyn",
    "torchts13__plain-silu-b1",
)
UNCONVERTED = ("torchts17__mlp-relu-dyn", "torchts13__plain-silu-b1")
#: Address space of a worker, and its resident memory, in bytes.
SPACE, RESIDENT = 6 << 30, 2 << 30
#: A case that computes nothing may take so many times its limit.
_PATIENCE = 20
ANSWERS = {0, 1, 2, 3, 4}


class Bench:
    """Good files to damage, and commands to give them to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.good = folder / "good"

    def prepare(self) -> None:
        """Convert every seed once."""
        import onnx2snn  # noqa: PLC0415 - workers need it late

        self.good.mkdir(parents=True)
        for name in SEEDS:
            shutil.copy(CORPUS / f"{name}.onnx", self.good / f"{name}.onnx")
            with np.load(CORPUS / f"{name}.npz") as arrays:
                inputs = {key: values[:4] for key, values in arrays.items() if not key.startswith("expected")}
            np.savez(self.good / f"{name}.npz", **inputs)
            if name not in UNCONVERTED:
                onnx2snn.convert(self.good / f"{name}.onnx").save(self.good / f"{name}.snn.onnx")

    def case(self, number: int, work: Path) -> tuple[str, str, list[str], int]:
        """Write the damaged file; what was done to it, the command's name, its words, and the number of bytes."""
        name = SEEDS[number % len(SEEDS)]
        kind = (number // len(SEEDS)) % 11
        source, snn, data = (str(self.good / f"{name}{end}") for end in (".onnx", ".snn.onnx", ".npz"))
        out = str(work / "out")
        if name in UNCONVERTED:
            kind = (0, 1, 2, 3, 0, 2, 2, 3, 3, 2, 0)[kind]
        if kind == 9:
            damage, path, words = damaged_data(Path(data), number, work)
            command = "run"
            return damage, command, [command, snn, "--data", path, *words, "--output", out], _size(work)
        bad = str(work / "model.onnx")
        damage, content = damaged(Path(snn if kind >= 4 else source).read_bytes(), number)
        Path(bad).write_bytes(content)
        words = (
            ["convert", bad, out],
            ["inspect", bad],
            ["convert", bad, out, "--hybrid"],
            ["calibrate", bad, out, "--data", data, "--timesteps", "3"],
            ["run", bad, "--data", data, "--output", out],
            ["evaluate", bad, "--data", data],
            ["verify", source, bad, "--data", data],
            ["session", bad, data],
            ["verify", bad, snn, "--data", data] if number % 3 == 0 else ["inspect", bad],
            [],
            ["report", source, bad, "--data", data, "--html", out],
        )[kind]
        if kind == 8 and number % 3 == 0:
            damage, content = damaged(Path(source).read_bytes(), number)
            Path(bad).write_bytes(content)
        return damage, words[0], words, len(content)

    def run(self, number: int, work: Path) -> dict[str, Any]:
        """Do one case."""
        damage, command, words, size = self.case(number, work)
        began = time.process_time()
        with (
            contextlib.redirect_stdout(io.StringIO()) as said,
            contextlib.redirect_stderr(io.StringIO()) as told,
        ):
            code = (
                _session(*words[1:], number=number)
                if command == "session"
                else _command([*words, "--verbose"])
            )
        seconds = time.process_time() - began
        error = told.getvalue().strip()
        if command == "session" and code == 70:
            error = said.getvalue().strip()
        left = [entry.name for entry in work.iterdir() if ".writing-" in entry.name]
        half = code not in {0, 1} and (work / "out").exists()
        return {
            "number": number, "damage": damage, "command": command, "bytes": size, "code": code,
            "seconds": round(seconds, 3), "error": error[-2500:], "left": left, "half": half,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }  # fmt: skip


def _size(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())


def _command(words: list[str]) -> int:
    from onnx2snn.cli.group import main  # noqa: PLC0415

    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _session(model: str, data: str, *, number: int) -> int:
    """The edge device's way: one execution, run, levels and trace."""
    from onnx2snn.errors import Onnx2SnnError  # noqa: PLC0415
    from onnx2snn.runtime import SpikingSession  # noqa: PLC0415

    with np.load(data) as arrays:
        inputs = {key: values for key, values in arrays.items() if key != "labels"}
    try:
        session = SpikingSession(model, execution=("spiking", "fused", "streaming")[number % 3])
        session.run(inputs)
        session.levels(inputs)
        if number % 2:
            session.trace(inputs)
    except Onnx2SnnError as error:
        return error.exit_code
    except MemoryError:
        return 4
    except Exception:  # noqa: BLE001 - that is what is looked for
        print(traceback.format_exc())
        return 70
    return 0


def worker(folder: Path) -> None:
    """Cases by number from stdin, results as JSON lines to stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bench = Bench(folder)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    for line in sys.stdin:
        work = folder / f"work-{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        answers.write(json.dumps(bench.run(int(line), work)) + "\n")
        answers.flush()


class Pool:
    """Workers, each fed by a thread; one that dies or hangs is replaced, and its case is a finding."""

    def __init__(self, folder: Path, numbers: Iterator[int], *, seconds: float) -> None:
        self.folder, self.numbers, self.seconds = folder, numbers, seconds
        self.results: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def run(self, workers: int, total: int) -> list[dict[str, Any]]:
        """The results of all numbers, in their order."""
        threads = [threading.Thread(target=self._feed) for _ in range(workers)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(1)
            if sys.stderr.isatty() or len(self.results) % 100 == 0:
                print(f"\r{len(self.results)}/{total}", end="", file=sys.stderr)
        return sorted(self.results, key=lambda result: result["number"])

    def _feed(self) -> None:
        process: subprocess.Popen[str] | None = None
        done = 0
        while True:
            with self._lock:
                number = next(self.numbers, None)
            if number is None:
                break
            if process is None or done == 400:  # what the libraries leak must not add up
                _end(process)
                process, done = self._start(), 0
            result = self._ask(process, number)
            done += 1
            if result["code"] in ("timeout", "signal"):
                _end(process)
                process = None
            with self._lock:
                self.results.append(result)
                if is_finding(result):
                    print(
                        f"\n{number} {result.get('command')} {result.get('damage')}: {where(result)}",
                        file=sys.stderr,
                    )
        _end(process)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, "--worker", str(self.folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def _ask(self, process: subprocess.Popen[str], number: int) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        began, spent = time.monotonic(), _processor_time(process.pid)
        while not select.select([process.stdout], [], [], 1)[0]:
            busy = _processor_time(process.pid) - spent > self.seconds
            if busy or time.monotonic() - began > _PATIENCE * self.seconds:
                return {"number": number, "code": "timeout", "seconds": self.seconds}
        line = process.stdout.readline()
        if not line:
            return {"number": number, "code": "signal", "error": f"signal {-process.wait()}"}
        return dict(json.loads(line))


def _processor_time(process: int) -> float:
    """Seconds that a process has computed: a machine that is busy with other things makes no case slow."""
    try:
        parts = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _end(process: subprocess.Popen[str] | None) -> None:
    if process is not None:
        process.kill()
        process.communicate()


def is_finding(result: dict[str, Any]) -> bool:
    """Whether a case ended in another way than it may."""
    return (
        result["code"] not in ANSWERS
        or bool(result["left"] or result["half"])
        or result.get("peak", 0) > RESIDENT
    )


def where(result: dict[str, Any]) -> str:
    """Which findings are likely the same: the innermost line of this project, and the exception."""
    lines = result.get("error", "").splitlines()
    ours = [
        line.strip()
        for line in lines
        if 'File "' in line and "site-packages" not in line and "onnx2snn" in line
    ]
    raised = [
        line
        for line in lines
        if line and not line.startswith((" ", "Error", "Traceback", "The above", "During"))
    ]
    place = ours[-1].partition("/onnx2snn/")[2].replace('"', "") if ours else ""
    what = raised[-1][:100] if raised else " ".join(lines)[:100]
    return f"{result['code']} {place}: {what} {'left' if result.get('left') else ''}{'half' if result.get('half') else ''}"


def summary(results: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The numbers of a run."""
    findings = [result for result in results if is_finding(result)]
    answered = [result for result in results if "bytes" in result]
    return {
        "files": len(results),
        "bytes": sum(result["bytes"] for result in answered),
        "seconds": round(seconds, 1),
        "slowest": max((result["seconds"] for result in results if "seconds" in result), default=0),
        "peak": max((result["peak"] for result in answered), default=0),
        "codes": dict(sorted(Counter(str(result["code"]) for result in results).items())),
        "commands": dict(sorted(Counter(result["command"] for result in answered).items())),
        "damages": dict(sorted(Counter(result["damage"] for result in answered).items())),
        "findings": len(findings),
        "kinds": dict(Counter(where(result) for result in findings).most_common()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30, help="limit of processor time of one file")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--only", type=int, help="one file, in this process, with its traceback")
    parser.add_argument("--keep", type=Path, help="with --only: keep the file in this folder")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.prepare()
        if options.only is not None:
            faulthandler.dump_traceback_later(options.seconds, exit=True)
            work = options.keep or Path(folder) / "work"
            work.mkdir(exist_ok=True)
            damage, command, words, size = bench.case(options.only, work)
            print(damage, size, "bytes:", " ".join(words))
            return (
                _session(*words[1:], number=options.only)
                if command == "session"
                else _command([*words, "--verbose"])
            )
        began = time.perf_counter()
        numbers = iter(range(options.first, options.first + options.files))
        results = Pool(Path(folder), numbers, seconds=options.seconds).run(options.workers, options.files)
    found = summary(results, time.perf_counter() - began)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{json.dumps(found, indent=2)}")
    for result in filter(is_finding, results):
        print(result["number"], result.get("damage"), result.get("command"), where(result))
    return 1 if found["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
