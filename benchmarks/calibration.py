"""Float ReLU networks to few time steps: accuracy over T against other converters, and deep networks.

    python benchmarks/calibration.py                  everything that is not in the results yet
    python benchmarks/calibration.py --only several   only measurements of one kind
    python benchmarks/calibration.py --plot           only draw docs/images/calibration.svg and print the tables

Digits: the network examples/digits/digits_relu.onnx, calibrated with 256 training digits without labels, 1,000 test digits.
Peers (benchmarks/relu_peers.py) run if they are installed: pip install torch spikingjelly sinabs. Several networks of the same
architecture are trained anew (benchmarks/calibration_several.py), from the digits that --data names. Deep networks are the
light ones inside the onnx package with drawn weights (benchmarks/zoo.py), each in a process of its own: calibrated, converted,
and certified on two images. Results go to benchmarks/results/calibration.json after each run; a second call goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))

import calibration_several  # noqa: E402 - its folder is no package
from calibration_digits import (  # noqa: E402
    SOURCE,
    ann_accuracy,
    calibration_digits,
    data_free_accuracy,
    mixed_accuracy,
    our_accuracy,
    rate_accuracy,
    test_digits,
)
from calibration_plot import deep_table, draw, mixed_table, several_table, table  # noqa: E402
from process_memory import peak_memory  # noqa: E402

import onnx2snn  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "calibration.json"
PLOT = ROOT / "docs" / "images" / "calibration.svg"

OURS = tuple(range(2, 9))
THEIRS = (4, 8, 16, 32, 64, 128)
#: What is measured of ours: options of ``onnx2snn.calibrate`` by name.
METHODS: dict[str, dict[str, Any]] = {
    "onnx2snn": {"method": "auto"},
    "onnx2snn, 32 samples": {"method": "auto", "samples": 32},
    "squared error alone, per channel": {"method": "mse", "per_channel": True},
    "squared error alone, per layer": {"method": "mse", "per_channel": False},
    "99.9 % alone": {"method": "percentile"},
    "maximum alone": {"method": "max"},
}
DEEP_STEPS = (4, 6)
DEEP_IMAGES = 8
CORPUS = ROOT / "tests" / "corpus" / "more"
#: Float networks as exporters wrote them.
FLOAT_EXPORTS = {
    "resnet of PyTorch, 16 × 16": "torchdy21__res-relu6-dyn.onnx",
    "mobilenet of PyTorch, 16 × 16": "torchdy18__mobile-relu6-dyn.onnx",
}

Results = dict[str, Any]


def deep_network(name: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A deep network by name, and what it is calibrated with."""
    import networks  # noqa: PLC0415 - beside this file
    import zoo  # noqa: PLC0415

    if name in FLOAT_EXPORTS:
        model, size = onnx.load(CORPUS / FLOAT_EXPORTS[name]), (3, 16, 16)
    elif name in networks.NETWORKS:
        make, size = networks.NETWORKS[name]
        model = make("relu")
    else:
        model = zoo.network(name)
        return model, {zoo.input_name(model): zoo.images(DEEP_IMAGES, seed=5)}
    random = np.random.default_rng(5)
    return model, {model.graph.input[0].name: random.normal(0, 1, (DEEP_IMAGES, *size)).astype(np.float32)}


def deep(name: str, timesteps: int) -> dict[str, Any]:
    """One deep network, from float weights to a certificate; in a process of its own, so that its memory is its own."""
    model, data = deep_network(name)
    drawn = _peak()
    times = [time.perf_counter()]
    calibration = onnx2snn.calibrate(model, data, timesteps=timesteps)
    times.append(time.perf_counter())
    conversion = onnx2snn.convert(calibration.model)
    times.append(time.perf_counter())
    peak = _peak()
    certificate = onnx2snn.verify(calibration.model, conversion.model, {n: x[:2] for n, x in data.items()})
    times.append(time.perf_counter())
    seconds = [round(after - before, 1) for before, after in itertools.pairwise(times)]
    return {
        "layers": len(conversion.layers),
        "neurons": sum(layer.neurons for layer in conversion.layers),
        "lossless": certificate.lossless,
        "differing_levels": sum(c.levels_compared - c.exact for c in certificate.layers),
        "unexplained": sum(c.unexplained for c in certificate.layers),
        "levels_compared": sum(c.levels_compared for c in certificate.layers),
        "seconds": dict(zip(("calibrate", "convert", "verify"), seconds, strict=True)),
        "peak_gigabytes": {"before": drawn, "converted": peak, "verified": _peak()},
    }


def _peak() -> float:
    """In GB."""
    return round(peak_memory() / 1e9, 2)


def alone(name: str, timesteps: int) -> dict[str, Any]:
    """:func:`deep`, in a process of its own."""
    command = [sys.executable, __file__, "--deep", name, str(timesteps)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def work(data: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """All measurements: key, and what makes it; the most telling first.

    Args:
        data: Digits to train on.
    """
    yield "ann", ann_accuracy
    for timesteps in OURS:
        for name, options in METHODS.items():
            yield f"digits/{name}/{timesteps}", lambda o=options, t=timesteps: our_accuracy(o, t)
    for timesteps in THEIRS:
        yield f"digits/onnx2snn, rate-coded/{timesteps}", lambda t=timesteps: rate_accuracy(t)
    for timesteps in (3, 4, 5, 6):
        yield f"digits/onnx2snn, without data/{timesteps}", lambda t=timesteps: data_free_accuracy(t)
    for bound in (0.5, 0.1, 0.01):
        yield f"mixed/{bound}", lambda b=bound: mixed_accuracy(b)
    yield from peer_work()
    yield from calibration_several.work(data)
    import zoo  # noqa: PLC0415

    for timesteps in DEEP_STEPS:
        for name in (*FLOAT_EXPORTS, "mobilenetv2", *zoo.NAMES):
            yield f"deep/{name}/{timesteps}", lambda n=name, t=timesteps: alone(n, t)


def peer_work() -> Iterator[tuple[str, Callable[[], Any]]]:
    """The peers that are installed."""
    try:
        import relu_peers  # noqa: PLC0415 - needs torch
    except ImportError as error:
        print(f"peers are left out: {error}", file=sys.stderr)
        return
    for name, make in relu_peers.peers(SOURCE, calibration_digits()).items():
        yield f"peers/{name}", lambda make=make: relu_peers.measured(make(), *test_digits(), THEIRS)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--plot", action="store_true", help="only draw and print what is there")
    options.add_argument(
        "--only",
        default="",
        help="only measurements whose key begins so: digits, mixed, peers, several, deep",
    )
    options.add_argument("--data", type=Path, default=calibration_several.DATA, help="digits to train on")
    options.add_argument("--deep", nargs=2, metavar=("NAME", "T"), help="one deep network, as JSON")
    chosen = options.parse_args()
    if chosen.deep:
        print(json.dumps(deep(chosen.deep[0], int(chosen.deep[1]))))
        return
    if not chosen.plot:
        measure(chosen.only, chosen.data)
    results = kept()
    draw(results, PLOT)
    print(table(results), several_table(results), mixed_table(results), deep_table(results), sep="\n\n")


def kept() -> Results:
    """What has been measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(key: str, found: Any) -> None:
    """Add one measurement to those that are there now: others may run beside this one."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    beside = RESULTS.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(kept() | {key: found}, indent=1) + "\n")
    beside.replace(RESULTS)


def measure(only: str, data: Path) -> None:
    """Everything that is missing, kept after each."""
    for key, make in work(data):
        if key in kept() or not (key == "ann" or key.startswith(only)):
            continue
        try:
            found = make()
        except (ImportError, FileNotFoundError) as error:
            print(f"{key} is left out: {error}", file=sys.stderr)
            continue
        keep(key, found)
        print(key, found, flush=True)


if __name__ == "__main__":
    main()
