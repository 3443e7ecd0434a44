"""What a certificate costs: ``python benchmarks/verify_cost.py [--repeat 5]``.

Time of ``verify`` on the trained digits network and its 1,000 digits, and on nine times as many, as a ratio to one pass of the
source network over the same data (onnxruntime, operator by operator, the same batches), both measured in turn; and the peak of
memory on 1,000 and on 9,000 digits, each in a process of its own.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from process_memory import peak_memory

import onnx2snn
from onnx2snn.certificate.compare import CHUNK
from onnx2snn.model.reference import make_runner

DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits"
COPIES = 9


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(repeat: int, execution: str, copies: int) -> tuple[float, float, float]:
    """Median of paired ratios, and medians in seconds of an ANN pass and of verify."""
    source, converted = DIGITS / "digits.onnx", onnx2snn.convert(DIGITS / "digits.onnx").model
    with np.load(DIGITS / "digits.npz") as data:
        images = np.concatenate([data["image"]] * copies)
    run = make_runner(onnx.load(source))

    def ann() -> None:
        for start in range(0, len(images), CHUNK):
            run({"image": images[start : start + CHUNK]})

    ann()
    certify = functools.partial(verify, source, converted, images, execution)
    certify()
    pairs = [(seconds(ann), seconds(certify)) for _ in range(repeat)]
    ratios = [theirs / own for own, theirs in pairs]
    return statistics.median(ratios), *(statistics.median(column) for column in zip(*pairs, strict=True))


def verify(source: Path, converted: onnx.ModelProto, images: NDArray[np.float32], execution: str) -> None:
    assert onnx2snn.verify(source, converted, {"image": images}, execution=execution).lossless


def peak(copies: int) -> float:
    """Megabytes that a process has needed at most to verify 1,000 · ``copies`` digits, in shards."""
    with tempfile.TemporaryDirectory() as folder:
        for copy in range(copies):
            (Path(folder) / f"shard{copy}.npz").write_bytes((DIGITS / "digits.npz").read_bytes())
        command = [sys.executable, __file__, "--memory-of", folder]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def memory_of(folder: str) -> float:
    source = DIGITS / "digits.onnx"
    assert onnx2snn.verify(source, onnx2snn.convert(source).model, folder).lossless
    return peak_memory() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(memory_of(options.memory_of))
        return
    for execution, copies in itertools.product(("fused", "spiking"), (1, COPIES)):
        times, ann, all_of_it = ratio(options.repeat, execution, copies)
        what = f"verify, {execution}, {1000 * copies:,} digits"
        print(f"{what}: {times:.1f} passes of the source ({all_of_it:.2f} s, a pass {ann:.2f} s)")
    for copies in (1, COPIES):
        print(f"{1000 * copies:,} digits: at most {peak(copies):,.0f} MB")


if __name__ == "__main__":
    main()
