"""Damaged files against every command: none may end in anything but an answer or an error that says what is wrong.

    python benchmarks/fuzz_files.py --files 10000 --json benchmarks/results/fuzz_files.json
    python benchmarks/fuzz_files.py --training --files 500 # networks and data to train with
    python benchmarks/fuzz_files.py --only 4711            # one file again, with its traceback; --keep DIR keeps the file

Each number stands for one file and one command, always the same. Commands run in worker processes under a limit of memory
(RLIMIT_AS) and of processor time. Exit codes 0 to 4 are answers; a traceback, a signal, a limit that is reached, a half-written
result or a temporary file that stays is a finding.
"""

from __future__ import annotations

import argparse
import faulthandler
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
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz_cases import Bench, run_command, run_session

#: Address space of a worker, and its resident memory, in bytes.
SPACE, RESIDENT = 6 << 30, 2 << 30
#: A case that computes nothing may take so many times its limit.
_PATIENCE = 20
ANSWERS = {0, 1, 2, 3, 4}


def worker(folder: Path, *, training: bool) -> None:
    """Cases by number from stdin, results as JSON lines to stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bench = Bench(folder, training=training)
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

    def __init__(
        self, folder: Path, numbers: Iterator[int], *, seconds: float, training: bool = False
    ) -> None:
        self.folder, self.numbers, self.seconds, self.training = folder, numbers, seconds, training
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
        command = [sys.executable, __file__, "--worker", str(self.folder), *["--training"] * self.training]
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
    parser.add_argument(
        "--training", action="store_true", help="give the files to 'finetune' instead (needs torch)"
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--only", type=int, help="one file, in this process, with its traceback")
    parser.add_argument("--keep", type=Path, help="with --only: keep the file in this folder")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, training=options.training)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), training=options.training)
        bench.prepare()
        if options.only is not None:
            faulthandler.dump_traceback_later(options.seconds, exit=True)
            work = options.keep or Path(folder) / "work"
            work.mkdir(exist_ok=True)
            damage, command, words, size = bench.case(options.only, work)
            print(damage, size, "bytes:", " ".join(words))
            return (
                run_session(*words[1:], number=options.only)
                if command == "session"
                else run_command([*words, "--verbose"])
            )
        began = time.perf_counter()
        numbers = iter(range(options.first, options.first + options.files))
        pool = Pool(Path(folder), numbers, seconds=options.seconds, training=options.training)
        results = pool.run(options.workers, options.files)
    found = summary(results, time.perf_counter() - began)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{json.dumps(found, indent=2)}")
    for result in filter(is_finding, results):
        print(result["number"], result.get("damage"), result.get("command"), where(result))
    return 1 if found["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
