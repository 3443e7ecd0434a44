"""Time and memory of converting a large network, and memory of sessions.

    python benchmarks/memory.py

1. VGG16 for ImageNet (528 MiB of random weights) is converted: seconds, and the most memory that the process held.
2. VGG16 for 32×32 runs a batch of 16 in each execution: the most memory that the process held beyond its libraries, in
   sizes of the model file.

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

_HEAD = """
import json, sys, time
from pathlib import Path
import numpy as np
def peak():  # of this process alone: what its parent held before it was started does not count
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
"""
_CONVERT = """
import onnx2snn, onnx2snn.convert, onnxruntime
source, target = sys.argv[1:3]
before = peak()
began = time.perf_counter()
onnx2snn.convert(source).save(target)
print(json.dumps({"seconds": time.perf_counter() - began, "peak": peak(), "beyond_libraries": peak() - before}))
"""
_SESSION = """
import onnxruntime
from onnx2snn.runtime import SpikingSession
path, options = sys.argv[1], json.loads(sys.argv[2])
before = peak()
session = SpikingSession(path, count="nothing", threads=2, chunk=16, **options)
session.run({"image": np.zeros((16, 3, 32, 32), np.float32)})
print(json.dumps({"peak": peak() - before}))
"""
_STOCK = """
import onnxruntime
before = peak()
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(None, {"image": np.zeros((16, 3, 32, 32), np.float32)})
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


def sessions(folder: Path) -> dict[str, dict[str, float]]:
    paths = {name: folder / f"{name}.onnx" for name in ("relu", "qcfs", "qdq")}
    paths["relu"].write_bytes(vgg16("relu").SerializeToString())
    for name in ("qcfs", "qdq"):
        onnx2snn.convert(vgg16(name)).save(paths[name])
    rows = {"ReLU ANN, onnxruntime": (paths["relu"], measured(_STOCK, str(paths["relu"])))}
    for execution, name in (("fused", "qcfs"), ("spiking", "qcfs"), ("streaming", "qcfs"), ("int8", "qdq")):
        for save_memory in (False, True):
            options = json.dumps({"execution": execution, "save_memory": save_memory})
            title = f"{execution}{', save_memory' if save_memory else ''}"
            rows[title] = (paths[name], measured(_SESSION, str(paths[name]), options))
    return {
        title: {"file": path.stat().st_size, **found, "ratio": found["peak"] / path.stat().st_size}
        for title, (path, found) in rows.items()
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {"conversion": conversion(Path(folder)), "sessions": sessions(Path(folder))}
    large = found["conversion"]
    console = Console()
    console.print(
        f"VGG16 for ImageNet, {large['file'] / 2**20:.0f} MiB: {large['seconds']:.1f} s, "
        f"{large['peak'] / 2**20:.0f} MiB at most, {large['ratio']:.2f} × the file"
    )
    table = Table("VGG16, 32×32, batch 16", "MiB at most", "× the model")
    for title, row in found["sessions"].items():
        table.add_row(title, f"{row['peak'] / 2**20:.0f}", f"{row['ratio']:.2f}")
    console.print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
