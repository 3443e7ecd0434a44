"""Peak memory of a network of gigabytes: conversion, verification of one sample, a run of one sample.

    python benchmarks/big_model.py --gigabytes 3 --json benchmarks/results/big_model.json --plot docs/images/big_model.svg

Each step is a command in a process of its own; its resident memory (mapped files included) is read every 20 ms.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.model.files import LARGEST

LEVELS, STEP = 15, 0.25
STEPS = ("convert", "verify", "run")
#: Largest memory that a step may take, in sizes of the model.
ALLOWED = 2.2


def make_model(folder: Path, gigabytes: float, width: int) -> int:
    """Write ``ann.onnx``, its weights and ``one.npz``; the number of bytes of the weights.

    Square layers of float32 weights with a QCFS activation each. Weights are made and written row by row.
    """
    layers = max(2, round(gigabytes * 1e9 / (4 * width * width)))
    random = np.random.default_rng(0)
    constants = {"step": STEP, "half": 0.5, "low": 0.0, "high": float(LEVELS)}
    initializers = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    nodes, value = [], "x"
    with (folder / "ann.weights").open("wb") as stream:
        for layer in range(layers):
            initializers.append(_external(f"w{layer}", width, stream.tell()))
            scale = (1 if layer == 0 else 3) / (math.sqrt(width) * (1 if layer == 0 else STEP * LEVELS))
            for _ in range(width):
                stream.write((random.standard_normal(width, np.float32) * np.float32(scale)).tobytes())
            nodes.append(helper.make_node("MatMul", [value, f"w{layer}"], [f"z{layer}"], f"dense{layer}"))
            value = f"z{layer}" if layer == layers - 1 else _activation(nodes, layer)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "big",
        [info("x", TensorProto.FLOAT, ["N", width])],
        [info(value, TensorProto.FLOAT, ["N", width])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "ann.onnx").write_bytes(model.SerializeToString())
    np.savez(folder / "one.npz", x=random.standard_normal((1, width), np.float32))
    return (folder / "ann.weights").stat().st_size


def _external(name: str, width: int, offset: int) -> onnx.TensorProto:
    tensor = TensorProto(
        name=name, data_type=TensorProto.FLOAT, dims=[width, width], data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", "ann.weights"), ("offset", offset), ("length", 4 * width * width)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _activation(nodes: list[onnx.NodeProto], layer: int) -> str:
    """clip(floor(z/θ + 1/2), 0, K)·θ."""
    value = f"z{layer}"
    for operator, read in (
        ("Div", ["step"]),
        ("Add", ["half"]),
        ("Floor", []),
        ("Clip", ["low", "high"]),
        ("Mul", ["step"]),
    ):
        out = f"{operator.lower()}{layer}"
        nodes.append(helper.make_node(operator, [value, *read], [out], out))
        value = out
    return value


#: The command line, with weights beside the model from a limit on that may be lower than protobuf's.
_COMMAND = "import sys, onnx2snn.model.files as m; m.LARGEST = int(sys.argv.pop(1)); from onnx2snn.cli import main; main()"


def measured(words: list[str], limit: int) -> dict[str, Any]:
    """Run a command of onnx2snn; its exit code, seconds, peak, and (seconds, bytes) over time."""
    began = time.perf_counter()
    course: list[tuple[float, int]] = []
    with subprocess.Popen([sys.executable, "-c", _COMMAND, str(limit), *words, "--quiet"]) as process:
        while process.poll() is None:
            course.append((round(time.perf_counter() - began, 3), resident(process.pid)))
            time.sleep(0.02)
    return {
        "command": words[0],
        "code": process.returncode,
        "seconds": round(time.perf_counter() - began, 1),
        "peak": max(size for _, size in course),
        "course": course,
    }


def resident(process: int) -> int:
    """Resident memory of a process, what it has mapped of files included, in bytes."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmRSS")), "VmRSS: 0 kB")
    return int(line.split()[1]) * 1024


def thinned(course: list[tuple[float, int]], most: int = 400) -> list[tuple[float, int]]:
    """Of every few points the highest."""
    size = -(-len(course) // most)
    return [max(course[i : i + size], key=lambda point: point[1]) for i in range(0, len(course), size)]


def draw(results: list[dict[str, Any]], size: int, path: Path) -> None:
    """Memory over time, one line a command, in sizes of the model."""
    import matplotlib as mpl  # noqa: PLC0415 - only where a plot is asked for

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "onnx2snn"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, len(results), figsize=(9, 2.8), sharey=True, layout="constrained")
    for axis, result in zip(axes, results, strict=True):
        times, sizes = zip(*thinned(result["course"]), strict=True)
        relative = [value / size for value in sizes]
        axis.fill_between(times, relative, alpha=0.25)
        axis.plot(times, relative, linewidth=1)
        axis.axhline(ALLOWED, color="black", linewidth=0.8, linestyle=":")
        axis.set_title(f"{result['command']}: {result['peak'] / size:.2f} ×", fontsize=10)
        axis.set_xlabel("seconds")
        axis.set_ylim(0, ALLOWED * 1.1)
    axes[0].set_ylabel(f"memory / {size / 1e9:.2g} GB of weights")
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=3.2)
    parser.add_argument("--width", type=int, default=8192, help="neurons of a layer")
    parser.add_argument("--folder", type=Path, help="where the files are made (default: a temporary folder)")
    parser.add_argument(
        "--limit", type=int, default=LARGEST, help="bytes from which on weights lie beside a model"
    )
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="what is measured")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        size = make_model(folder, options.gigabytes, options.width)
        ann, snn, data = (str(folder / file) for file in ("ann.onnx", "snn.onnx", "one.npz"))
        words = {"convert": [ann, snn], "verify": [ann, snn, "--data", data], "run": [snn, "--data", data]}
        results = [measured([step, *words[step]], options.limit) for step in options.steps]
    for result in results:
        peak = f"peak {result['peak'] / 1e9:.2f} GB, {result['peak'] / size:.2f} × the weights"
        print(f"{result['command']:8} exit {result['code']}, {result['seconds']} s, {peak}")
    if options.plot:
        draw(results, size, options.plot)
    if options.json:
        facts = [{key: value for key, value in result.items() if key != "course"} for result in results]
        options.json.write_text(json.dumps({"weights": size, "steps": facts}, indent=2) + "\n")
    return int(any(result["code"] or result["peak"] > ALLOWED * size for result in results))


if __name__ == "__main__":
    sys.exit(main())
