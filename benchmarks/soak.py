"""A session that serves many requests from many threads: the same answers, and no more memory at the end than at the beginning.

    python benchmarks/soak.py --requests 100000 --threads 8 --json benchmarks/results/soak.json

Every answer (outputs, spike counts, synaptic operations) is compared bit for bit with what one thread got beforehand.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import onnx2snn
from onnx2snn.runtime import Result, SpikingSession

NETWORK = Path(__file__).resolve().parents[1] / "tests" / "corpus" / "torchdy21__mlp-qcfs16-dyadic-b1.onnx"
#: Memory is compared from the time on when all threads have warmed up: this share of the requests.
WARM = 0.2
#: Growth that is noise of the allocator, in bytes.
NOISE = 8 << 20


class Soak:
    """Requests of different sizes to one session.

    Args:
        network: The source; it is converted.
        execution: Of the session.
        distinct: Number of different requests.
    """

    def __init__(self, network: Path, *, execution: str = "fused", distinct: int = 32) -> None:
        converted = onnx2snn.convert(network)
        self.session = SpikingSession(converted.model.SerializeToString(), execution=execution, threads=1)
        name, spec = next(iter(self.session._engine("synops").inputs.items()))  # noqa: SLF001 - its declared shape
        random = np.random.default_rng(0)
        sizes = [spec.shape[0] or 1 + number % 7 for number in range(distinct)]
        shape = [size or 1 for size in spec.shape[1:]]
        self.requests = [{name: random.normal(0, 1, (size, *shape)).astype(np.float32)} for size in sizes]
        self.expected = [self.session.run(request) for request in self.requests]
        self.wrong = 0
        self.done = 0
        self._lock = threading.Lock()

    def serve(self, numbers: Iterator[int]) -> None:
        """What one thread does."""
        while True:
            with self._lock:
                number = next(numbers, None)
            if number is None:
                return
            which = number % len(self.requests)
            same = _equal(self.session.run(self.requests[which]), self.expected[which])
            with self._lock:
                self.done += 1
                self.wrong += not same

    def run(self, requests: int, threads: int) -> dict[str, Any]:
        """Serve ``requests`` from ``threads``; what came of it."""
        numbers = iter(itertools.islice(itertools.count(), requests))
        serving = [threading.Thread(target=self.serve, args=(numbers,)) for _ in range(threads)]
        began = time.perf_counter()
        for thread in serving:
            thread.start()
        course: list[tuple[int, int]] = []
        while any(thread.is_alive() for thread in serving):
            time.sleep(0.05)
            course.append((self.done, resident()))
        seconds = time.perf_counter() - began
        gc.collect()
        warm = [size for done, size in course if done >= WARM * requests] or [resident()]
        half = max(len(warm) // 2, 1)
        return {
            "requests": self.done,
            "wrong": self.wrong,
            "threads": threads,
            "seconds": round(seconds, 1),
            "peak_first_half": max(warm[:half]),
            "peak_second_half": max(warm[half:] or warm[:half]),
            "end": resident(),
        }


def _equal(found: Result, expected: Result) -> bool:
    pairs = (
        (found.outputs, expected.outputs),
        (found.spikes, expected.spikes),
        (found.synops, expected.synops),
    )
    return all(np.array_equal(one[name], other[name]) for one, other in pairs for name in other)


def resident() -> int:
    """Resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * 4096


def is_sound(result: dict[str, Any]) -> bool:
    """Every answer right, and no growth once warm."""
    return not result["wrong"] and result["peak_second_half"] - result["peak_first_half"] <= NOISE


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--execution", default="fused", choices=["spiking", "fused", "streaming"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = Soak(NETWORK, execution=options.execution).run(options.requests, options.threads)
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps({"execution": options.execution, **result}, indent=2) + "\n")
    return 0 if is_sound(result) else 1


if __name__ == "__main__":
    sys.exit(main())
