"""Float networks of many architectures, calibrated, converted and certified: what quantising costs, in error, time and memory.

    python benchmarks/float_architectures.py NETWORK.onnx DATA.npz [--other OTHER.npz] [--timesteps 4 6 8]

Each row is a process of its own. The error is the root mean square difference of the first output from the float network's, over
its standard deviation, on the data that thresholds were chosen from and on other data.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx

import onnx2snn
from onnx2snn.model.reference import make_runner

COLUMNS = ("network", "T", "places", "error", "error, other data", "lossless", "explained", "calibrate, s", "convert, s",
           "verify, s", "peak, GB")  # fmt: skip


def row(network: Path, data: Path, other: Path, timesteps: int) -> list[str]:
    """One row of the table; seconds are those of the processor."""
    held, few = (dict(np.load(path)) for path in (data, other))
    spent = [time.process_time()]
    calibration = onnx2snn.calibrate(network, held, timesteps=timesteps)
    spent.append(time.process_time())
    conversion = onnx2snn.convert(calibration.model)
    spent.append(time.process_time())
    certificate = onnx2snn.verify(calibration.model, conversion, few)
    spent.append(time.process_time())
    expected, found = (
        next(iter(make_runner(m)(few).values())) for m in (onnx.load(network), calibration.model)
    )
    error = float(np.sqrt(np.mean((expected - found) ** 2)) / expected.std())
    explained = sum(layer.ambiguous + layer.propagated for layer in certificate.layers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        network.stem, str(timesteps), str(len(calibration.layers)), f"{calibration.output_error:.3f}", f"{error:.3f}",
        "yes" if certificate.lossless else "no", str(explained), *(f"{b - a:.0f}" for a, b in itertools.pairwise(spent)),
        f"{peak:.1f}",
    ]  # fmt: skip


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--timesteps", type=int, nargs="+", default=[4, 6, 8])
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row is not None:
        print(json.dumps(row(options.network, options.data, options.other or options.data, options.row)))
        return
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS))
    for timesteps in options.timesteps:
        command = [sys.executable, __file__, str(options.network), str(options.data), "--row", str(timesteps)]
        if options.other:
            command += ["--other", str(options.other)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        cells = (
            json.loads(done.stdout)
            if not done.returncode
            else [options.network.stem, str(timesteps), done.stderr[-200:]]
        )
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
