"""Trained networks: how far the calibrated one is from its float one, by which way, over several sets of samples.

    python benchmarks/calibration_trained.py NETWORK.onnx SAMPLES.npz [--name NAME]

The last samples judge and are never fitted; three sets without a common sample are drawn from the others. What is told of each
way is mean ± standard deviation over the sets, on the samples that judge: error of the answers and of the features (what the last
synapses read), root mean square difference from the float network over its standard deviation; and the share of equal first
classes. All networks are exact. Results go to benchmarks/results/calibration.json; a second call goes on.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parent))

from calibration import Results, keep, kept

import onnx2snn
from onnx2snn.calibration.measure import Difference
from onnx2snn.model.reference import make_runner

STEPS = (4, 6)
SETS = 3
SAMPLES, JUDGES = 128, 64
#: Operators with weights, whose last one reads the features.
SYNAPSES = ("Conv", "Gemm", "MatMul")

Data = dict[str, np.ndarray[Any, Any]]


def tuned(model: onnx.ModelProto, data: Data, timesteps: int) -> onnx.ModelProto:
    """Calibrated, then taught by the float network."""
    from onnx2snn.training import finetune  # noqa: PLC0415 - needs torch

    options: dict[str, Any] = {"learning_rate": 3e-4, "batch": 8, "layerwise": 1.0}
    return finetune(model, data, timesteps=timesteps, epochs=6, **options).model


def calibrated(method: Any) -> Callable[[onnx.ModelProto, Data, int], onnx.ModelProto]:
    """By ``method``."""
    return lambda model, data, t: onnx2snn.calibrate(model, data, timesteps=t, method=method).model


WAYS: Mapping[str, Callable[[onnx.ModelProto, Data, int], onnx.ModelProto]] = {
    "thresholds alone": calibrated("mse"),
    "calibrate": calibrated("auto"),
    "finetune": tuned,
}


def with_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """Also answering what its last synapses read, behind the answers."""
    weights = {t.name for t in model.graph.initializer}
    last = next(n for n in reversed(model.graph.node) if n.op_type in SYNAPSES and n.input[0] not in weights)
    shaped = onnx.shape_inference.infer_shapes(model)
    model.graph.output.extend([v for v in shaped.graph.value_info if v.name == last.input[0]])
    return model


def answers(model: onnx.ModelProto, data: Data) -> list[np.ndarray[Any, Any]]:
    """Its outputs, (N, ...) each, in order, a sample at a time."""
    run, names = make_runner(model), [output.name for output in model.graph.output]
    rows = [run({n: x[at : at + 1] for n, x in data.items()}) for at in range(len(next(iter(data.values()))))]
    return [np.concatenate([row[name] for row in rows]) for name in names]


def compared(wanted: list[np.ndarray[Any, Any]], found: list[np.ndarray[Any, Any]]) -> dict[str, float]:
    """The error of the first output and of the features, and the share of equal classes."""
    result = {}
    for name, at in (("answers", 0), ("features", -1)):
        difference = Difference()
        difference.add(wanted[at], found[at])
        result[name] = difference.relative
    first, now = (one[0].reshape(len(one[0]), -1).argmax(axis=1) for one in (wanted, found))
    return result | {"agreement": float((first == now).mean())}


def work(name: str, path: Path, samples: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """All measurements of one network: key, and what makes it."""
    model = with_features(onnx.load(path))
    with np.load(samples) as held:
        data = {key: held[key] for key in held.files}
    judges = {key: value[-JUDGES:] for key, value in data.items()}
    wanted = answers(model, judges)
    for number in range(SETS):
        given = {key: value[:-JUDGES][number::SETS][:SAMPLES] for key, value in data.items()}
        for timesteps in STEPS:
            for way, make in WAYS.items():

                def measured(
                    make: Any = make, given: Data = given, timesteps: int = timesteps
                ) -> dict[str, float]:
                    began = time.process_time()
                    made = make(model, given, timesteps)
                    seconds = time.process_time() - began
                    return {**compared(wanted, answers(made, judges)), "seconds": seconds}

                yield f"trained/{name}/{timesteps}/{way}/{number}", measured


def trained_table(results: Results) -> str:
    """Markdown: mean ± standard deviation over the sets."""
    found: dict[tuple[str, ...], list[dict[str, float]]] = {}
    for key, value in results.items():
        kind, *rest = key.split("/")
        if kind == "trained":
            found.setdefault(tuple(rest[:-1]), []).append(value)
    heads = [
        "network",
        "T",
        "way",
        "sets",
        "error of features, %",
        "of answers, %",
        "equal classes, %",
        "processor time, s",
    ]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for row, values in found.items():
        shares = [_spread([100 * v[name] for v in values]) for name in ("features", "answers", "agreement")]
        seconds = f"{statistics.mean(v['seconds'] for v in values):.0f}"
        lines.append("| " + " | ".join([*row, str(len(values)), *shares, seconds]) + " |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("network", type=Path)
    options.add_argument("samples", type=Path)
    options.add_argument("--name", help="in the table (default: the file's)")
    chosen = options.parse_args()
    for key, make in work(chosen.name or chosen.network.stem, chosen.network, chosen.samples):
        if key not in kept():
            keep(key, make())
            print(key, kept()[key], flush=True)
    print(trained_table(kept()))


if __name__ == "__main__":
    main()
