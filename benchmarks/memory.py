"""Time and memory of converting a large network, and memory of sessions.

    python benchmarks/memory.py

1. VGG16 for ImageNet (528 MiB of random weights) is converted: seconds, and the most memory that the process held.
2. VGG16 for 32×32 runs batches of 16 in each execution, counting nothing and counting spikes and synaptic operations: the
   most memory that the process held beyond its libraries, divided by the model file and its largest train together. A train
   is that of the batch, float32: T time steps of it in the spiking execution, levels in the fused ones, one time step in a
   stream.

Each measurement is a process of its own. Results also go to benchmarks/results/memory.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

from networks import vgg16, vgg16_imagenet

import onnx2snn

RESULTS = Path(__file__).parent / "results" / "memory.json"

#: Samples of a batch.
BATCH = 16

_HEAD = """
import json, sys, time
from pathlib import Path
import numpy as np
def held(key):  # of this process alone: what its parent held before it was started does not count
    return 1024 * int(Path("/proc/self/status").read_text().split(key)[1].split()[0])
peak, now = (lambda: held("VmHWM:")), (lambda: held("VmRSS:"))
"""
_CONVERT = """
import onnx2snn, onnx2snn.conversion, onnxruntime
source, target = sys.argv[1:3]
before = now()
began = time.perf_counter()
onnx2snn.convert(source).save(target)
print(json.dumps({"seconds": time.perf_counter() - began, "peak": peak(), "beyond_libraries": peak() - before}))
"""
_SESSION = """
import onnxruntime
from onnx2snn.compile import in_memory
from onnx2snn.runtime import SpikingSession
path, options, batch = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
before = now()
session = SpikingSession(path, threads=2, chunk=batch, **options)
for _ in range(3):
    session.run({"image": np.random.default_rng(0).normal(0, 1, (batch, 3, 32, 32)).astype(np.float32)})
print(json.dumps({"peak": peak() - before}))
"""
_STOCK = """
import onnxruntime
before, batch = now(), int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
for _ in range(3):
    session.run(None, {"image": np.random.default_rng(0).normal(0, 1, (batch, 3, 32, 32)).astype(np.float32)})
print(json.dumps({"peak": peak() - before}))
"""


def measured(code: str, *arguments: str) -> dict[str, float]:
    """What a fresh process found."""
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + code, *arguments], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def conversion(folder: Path) -> dict[str, Any]:
    source, target = folder / "ann.onnx", folder / "snn.onnx"
    source.write_bytes(vgg16_imagenet("qcfs").SerializeToString())
    found = measured(_CONVERT, str(source), str(target))
    size = source.stat().st_size
    return {"file": size, **found, "ratio": found["peak"] / size, "written": target.stat().st_size}


#: (title, spelling of the source, execution).
_EXECUTIONS = (
    ("fused", "qcfs", "fused"),
    ("spiking", "qcfs", "spiking"),
    ("streaming", "qcfs", "streaming"),
    ("fused, integer weights", "qdq", "fused"),
    ("int8, integer weights", "qdq", "int8"),
    ("spiking, integer weights", "qdq", "spiking"),
)


def sessions(folder: Path) -> dict[str, dict[str, float]]:
    paths = {name: folder / f"{name}.onnx" for name in ("relu", "qcfs", "qdq")}
    paths["relu"].write_bytes(vgg16("relu").SerializeToString())
    levels = 0
    for name in ("qcfs", "qdq"):
        conversion = onnx2snn.convert(vgg16(name))
        conversion.save(paths[name])
        levels = max(4 * BATCH * (layer.neurons or 0) for layer in conversion.layers)
    steps = conversion.timesteps
    stock = measured(_STOCK, str(paths["relu"]), str(BATCH))
    rows = {"ReLU ANN, onnxruntime": _row(paths["relu"], levels, stock)}
    for title, name, execution in _EXECUTIONS:
        for count in ("nothing", "synops"):
            options = json.dumps({"execution": execution, "count": count})
            found = measured(_SESSION, str(paths[name]), options, str(BATCH))
            counting = ", counting" if count == "synops" else ""
            train = levels * (steps if execution == "spiking" else 1)
            rows[f"{title}{counting}"] = _row(paths[name], train, found)
    return rows


def _row(path: Path, train: int, found: dict[str, float]) -> dict[str, float]:
    size = path.stat().st_size
    return {"file": size, "train": train, **found, "ratio": found["peak"] / (size + train)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {"conversion": conversion(Path(folder)), "sessions": sessions(Path(folder))}
    large = found["conversion"]
    console = Console()
    console.print(
        f"VGG16 for ImageNet, {large['file'] / 2**20:.0f} MiB: {large['seconds']:.1f} s, "
        f"{large['peak'] / 2**20:.0f} MiB at most, {large['ratio']:.2f} × the file"
    )
    table = Table(f"VGG16, 32×32, batch {BATCH}", "MiB at most", "× the model and its largest train")
    for title, row in found["sessions"].items():
        table.add_row(title, f"{row['peak'] / 2**20:.0f}", f"{row['ratio']:.2f}")
    console.print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
