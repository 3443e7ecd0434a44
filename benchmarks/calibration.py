"""Float ReLU networks to few time steps: accuracy over T against other converters, and deep networks.

    python benchmarks/calibration.py                 everything that is not in the results yet
    python benchmarks/calibration.py --plot          only draw docs/images/calibration.svg and print the tables

Digits: the network examples/digits/digits_relu.onnx, calibrated with 256 training digits without labels, 1,000 test digits.
Peers (benchmarks/relu_peers.py) run if they are installed: pip install torch spikingjelly sinabs. Deep networks are the light
ones inside the onnx package with drawn weights (benchmarks/zoo.py), each in a process of its own: calibrated, converted, and
certified on two images. Results go to benchmarks/results/calibration.json after each run; a second call goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
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

from calibration_plot import deep_table, draw, mixed_table, table  # noqa: E402 - its folder is no package

import onnx2snn  # noqa: E402
from onnx2snn.model_file import load_model  # noqa: E402
from onnx2snn.reference import make_runner  # noqa: E402
from onnx2snn.runtime import SpikingSession  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "calibration.json"
PLOT = ROOT / "docs" / "images" / "calibration.svg"
DIGITS = ROOT / "examples" / "digits"
SOURCE = DIGITS / "digits_relu.onnx"

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
FLOAT_EXPORTS = {"resnet of PyTorch, 16 × 16": "torchdy21__res-relu6-dyn.onnx"}

Results = dict[str, Any]


def test_digits() -> tuple[np.ndarray, np.ndarray]:
    """1,000 images and their classes."""
    with np.load(DIGITS / "digits.npz") as data:
        return data["image"], data["labels"]


def calibration_digits() -> np.ndarray:
    """256 training images."""
    with np.load(DIGITS / "calibration.npz") as data:
        return data["image"]


def ann_accuracy() -> float:
    """Of the float network."""
    images, labels = test_digits()
    answer = make_runner(load_model(SOURCE))({"image": images})["logits"]
    return float(np.mean(answer.argmax(1) == labels))


def our_accuracy(options: dict[str, Any], timesteps: int) -> dict[str, float]:
    """Of the spiking network that a calibration leads to, and what it spends on a digit."""
    images, labels = test_digits()
    began = time.perf_counter()
    calibration = onnx2snn.calibrate(SOURCE, {"image": calibration_digits()}, timesteps=timesteps, **options)
    seconds = time.perf_counter() - began
    conversion = onnx2snn.convert(calibration.model)
    return _spent(conversion, images, labels) | {"seconds": round(seconds, 1)}


def data_free_accuracy(timesteps: int) -> dict[str, float]:
    """Of the network with batch norms, calibrated by what they remember of 256 training digits."""
    from batch_norms import with_batch_norms  # noqa: PLC0415 - beside this file

    source = with_batch_norms(load_model(SOURCE), {"image": calibration_digits()})
    calibration = onnx2snn.calibrate(source, timesteps=timesteps)
    return _spent(onnx2snn.convert(calibration.model), *test_digits())


def mixed_accuracy(max_loss: float) -> dict[str, Any]:
    """Of the network whose layers have their own T."""
    data = {"image": calibration_digits()}
    conversion = onnx2snn.convert(onnx2snn.calibrate(SOURCE, data, timesteps="auto", max_loss=max_loss).model)
    steps = [layer.timesteps for layer in conversion.layers]
    return {"timesteps": steps, **_spent(conversion, *test_digits())}


def rate_accuracy(timesteps: int) -> dict[str, float]:
    """Of the rate-coded network, calibrated for K = T."""
    images, labels = test_digits()
    data = {"image": calibration_digits()}
    conversion = onnx2snn.convert(SOURCE, calibrate=data, timesteps=timesteps, coding="rate")
    return _spent(conversion, images, labels)


def _spent(conversion: Any, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    session = SpikingSession(conversion.model.SerializeToString(), execution="fused")
    result = session.run({"image": images})
    return {
        "accuracy": float(np.mean(result.outputs["logits"].argmax(1) == labels)),
        "spikes": float(sum(v.mean() for v in result.spikes.values())),
        "synops": float(sum(v.mean() for v in result.synops.values())),
    }


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
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


def alone(name: str, timesteps: int) -> dict[str, Any]:
    """:func:`deep`, in a process of its own."""
    command = [sys.executable, __file__, "--deep", name, str(timesteps)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def work() -> Iterator[tuple[str, Callable[[], Any]]]:
    """All measurements: key, and what makes it; the most telling first."""
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

        def measured(make: Any = make) -> dict[int, dict[str, float]]:
            found = relu_peers.accuracies(make(), *test_digits(), THEIRS)
            return {step: {"accuracy": value} for step, value in found.items()}

        yield f"peers/{name}", measured


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--plot", action="store_true", help="only draw and print what is there")
    options.add_argument(
        "--only", default="", help="only measurements whose key begins so: digits, peers, deep"
    )
    options.add_argument("--deep", nargs=2, metavar=("NAME", "T"), help="one deep network, as JSON")
    chosen = options.parse_args()
    if chosen.deep:
        print(json.dumps(deep(chosen.deep[0], int(chosen.deep[1]))))
        return
    results: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not chosen.plot:
        measure(results, chosen.only)
    draw(results, PLOT)
    print(table(results), mixed_table(results), deep_table(results), sep="\n\n")


def measure(results: Results, only: str) -> None:
    """Everything that is missing, kept after each."""
    for key, make in work():
        if key in results or not (key == "ann" or key.startswith(only)):
            continue
        try:
            results[key] = make()
        except ImportError as error:
            print(f"{key} is left out: {error}", file=sys.stderr)
            continue
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(key, results[key], flush=True)


if __name__ == "__main__":
    main()
