"""What a ReLU network of real digits answers and spends over time steps, converted by several tools.

    pip install 'onnx2snn[train]' spikingjelly sinabs
    python benchmarks/peers.py

Every tool gets the same network (examples/digits/digits_relu.onnx, batch norm fused) and the same 256 digits to calibrate
with, and is asked about the same 1,000 (benchmarks/relu_peers.py).
Pictures are presented as a constant current: the first layer's multiply-accumulates are counted once, whatever T is. The
answer is the class with the largest sum of outputs.
A rate-coded network is read out after T steps of all its layers at once; onnx2snn's T is that of a layer. Results go to
benchmarks/results/peers.json, and are printed as the tables of docs/comparison.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from calibration_digits import SOURCE, ann_accuracy, calibration_digits, test_digits
from relu_peers import measured, peers

import onnx2snn
from onnx2snn.runtime import FLOAT32, SpikingSession
from onnx2snn.units import si

RESULTS = Path(__file__).resolve().parent / "results" / "peers.json"
STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
OURS = (1, 2, 3, 4)
#: Of the accuracies that a tool reaches, the first within so much of the source's counts as its answer.
NEAR = 0.003

#: By T: accuracy, and of an image spikes, synops, energy in joules, and time steps to the answer.
Found = Mapping[int, Mapping[str, float]]


def ours() -> Found:
    images, labels = test_digits()
    found = {}
    for timesteps in OURS:
        conversion = onnx2snn.convert(SOURCE, calibrate={"image": calibration_digits()}, timesteps=timesteps)
        result = SpikingSession(conversion, execution="fused").run({"image": images})
        found[timesteps] = {
            "accuracy": float(np.mean(result.outputs["logits"].argmax(1) == labels)),
            "spikes": float(sum(spikes.mean() for spikes in result.spikes.values())),
            "synops": float(sum(synops.mean() for synops in result.synops.values())),
            "energy": float(result.energy.snn.mean()),
            "steps": conversion.steps,
        }
    return found


def theirs(analog: float) -> dict[str, Found]:
    """Of each peer; ``analog``: multiply-accumulates of the layer that reads the image."""
    found: dict[str, Found] = {}
    for name, make in peers(SOURCE, calibration_digits()).items():
        spent = measured(make(), *test_digits(), STEPS)
        for step, values in spent.items():
            energy = values["synops"] * FLOAT32.accumulate + analog * FLOAT32.multiply_accumulate
            values |= {"energy": energy, "steps": step}
        found[name] = spent
        print(name, spent, flush=True)
    return found


def tables(found: Mapping[str, Found], source: float) -> str:
    """Accuracy over T, and what each tool spends where it first comes near to the source."""
    rows = [("", *map(str, STEPS)), ("---",) * (len(STEPS) + 1)]
    for name, line in found.items():
        rows.append((name, *(f"{100 * line[t]['accuracy']:.1f}" if t in line else "–" for t in STEPS)))
    costs = [("", "T", "accuracy", "spikes", "synaptic operations", "energy", "time steps to an answer")]
    costs.append(("---",) * len(costs[0]))
    for name, line in found.items():
        near = [t for t, values in line.items() if values["accuracy"] > source - NEAR - 1e-6]
        t = near[0] if near else max(line)
        costs.append((name, str(t), *_spent(line[t])))
    return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in table) for table in (rows, costs))


def _spent(values: Mapping[str, float]) -> Sequence[str]:
    accuracy, steps = f"{100 * values['accuracy']:.1f}", f"{values['steps']:.0f}"
    return accuracy, si(values["spikes"]), si(values["synops"]), si(values["energy"], "J"), steps


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    source = ann_accuracy()
    mine = {"onnx2snn, calibrated": ours()}
    analog = onnx2snn.convert(SOURCE, calibrate={"image": calibration_digits()}, timesteps=4).macs["analog"]
    found = theirs(float(analog or 0)) | mine
    names = ("onnx2snn", "spikingjelly", "sinabs", "torch")
    facts = {"source": source, "tools": found, "versions": {name: version(name) for name in names}}
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n")
    print(tables(found, source))


if __name__ == "__main__":
    main()
