"""Float ReLU networks to few time steps: accuracy over T against other converters, and deep networks.

    python benchmarks/calibration.py                  everything that is not in the results yet
    python benchmarks/calibration.py --only several   only measurements of one kind
    python benchmarks/calibration.py --plot           only draw docs/images/calibration.svg and print the tables

Digits: the network examples/digits/digits_relu.onnx, calibrated with 256 training digits without labels, 1,000 test digits.
Peers (benchmarks/relu_peers.py) run if they are installed: pip install torch spikingjelly sinabs. Several networks of the same
architecture are trained anew (benchmarks/calibration_several.py), from the digits that --data names. Deep networks
(benchmarks/calibration_deep.py) run each in a process of its own. Results go to benchmarks/results/calibration.json after each
run; a second call goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))

import calibration_deep  # noqa: E402 - its folder is no package
import calibration_several  # noqa: E402
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
Results = dict[str, Any]


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
    for timesteps in calibration_deep.DEEP_STEPS:
        for name in calibration_deep.names():
            yield f"deep/{name}/{timesteps}", lambda n=name, t=timesteps: calibration_deep.alone(n, t)


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
    chosen = options.parse_args()
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
