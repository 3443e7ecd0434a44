"""Deep networks of float weights, calibrated with some images and certified on two: levels that differ, time, memory.

The networks are the light ones inside the onnx package with drawn weights (zoo.py) and some that exporters wrote. What is
told: whether levels are the same in every execution, and answers of the calibrated network with and without onnxruntime's
optimisations, beside what the certificate says.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))

import networks  # noqa: E402 - its folder is no package
import zoo  # noqa: E402
from process_memory import peak_memory  # noqa: E402

import onnx2snn  # noqa: E402
from onnx2snn.calibration.measure import Difference  # noqa: E402
from onnx2snn.model.reference import make_runner  # noqa: E402
from onnx2snn.runtime import SpikingSession  # noqa: E402

DEEP_STEPS = (4, 6)
DEEP_IMAGES = 8
#: The seed of images that nothing is fitted on.
OTHERS = 6
CORPUS = ROOT / "tests" / "corpus" / "more"
#: Float networks as exporters wrote them.
FLOAT_EXPORTS = {
    "resnet of PyTorch, 16 × 16": "torchdy21__res-relu6-dyn.onnx",
    "mobilenet of PyTorch, 16 × 16": "torchdy18__mobile-relu6-dyn.onnx",
}


def names() -> tuple[str, ...]:
    """All deep networks."""
    return (*FLOAT_EXPORTS, "mobilenetv2", *zoo.NAMES)


def deep_network(name: str, seed: int = 5) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A deep network by name, and images: what it is calibrated with, or, of another seed, others."""
    if name in FLOAT_EXPORTS:
        model, size = onnx.load(CORPUS / FLOAT_EXPORTS[name]), (3, 16, 16)
    elif name in networks.NETWORKS:
        make, size = networks.NETWORKS[name]
        model = make("relu")
    else:
        model = zoo.network(name)
        return model, {zoo.input_name(model): zoo.images(DEEP_IMAGES, seed=seed)}
    random = np.random.default_rng(seed)
    return model, {model.graph.input[0].name: random.normal(0, 1, (DEEP_IMAGES, *size)).astype(np.float32)}


def deep(name: str, timesteps: int) -> dict[str, Any]:
    """One deep network, from float weights to a certificate; in a process of its own, so that its memory is its own.

    Seconds are of the processor.
    """
    model, data = deep_network(name)
    two = {key: value[:2] for key, value in data.items()}
    drawn = _peak()
    times = [time.process_time()]
    calibration = onnx2snn.calibrate(model, data, timesteps=timesteps)
    times.append(time.process_time())
    conversion = onnx2snn.convert(calibration.model)
    times.append(time.process_time())
    peak = _peak()
    certificate = onnx2snn.verify(calibration.model, conversion.model, two)
    times.append(time.process_time())
    verified = _peak()
    names = {layer.name for layer in conversion.layers}
    seconds = [round(after - before, 1) for before, after in itertools.pairwise(times)]
    return {
        "layers": len(conversion.layers),
        "proved": sum(c.exact for c in certificate.maps if c.name in names),
        "neurons": sum(layer.neurons for layer in conversion.layers),
        "lossless": certificate.lossless,
        "differing_levels": sum(c.levels_compared - c.exact for c in certificate.layers),
        "unexplained": sum(c.unexplained for c in certificate.layers),
        "levels_compared": sum(c.levels_compared for c in certificate.layers),
        "executions": between_executions(conversion, two),
        "optimised": between_optimisations(calibration.model, two),
        "error": error_of_answers(model, calibration.model, deep_network(name, OTHERS)[1]),
        "seconds": dict(zip(("calibrate", "convert", "verify"), seconds, strict=True)),
        "peak_gigabytes": {"before": drawn, "converted": peak, "verified": verified},
    }


def between_executions(conversion: onnx2snn.ConversionResult, data: dict[str, np.ndarray]) -> dict[str, int]:
    """How many levels of each execution are not those of spikes, one time step after the other."""
    wanted = SpikingSession(conversion, execution="spiking").levels(data)
    found = {}
    for execution in ("fused", "int8"):
        told = SpikingSession(conversion, execution=execution).levels(data)
        found[execution] = sum(
            int((wanted[layer.name] != told[layer.name]).sum()) for layer in conversion.layers
        )
    return found


def between_optimisations(model: onnx.ModelProto, data: dict[str, np.ndarray]) -> float:
    """The largest difference of the calibrated network's answers with and without onnxruntime's optimisations."""
    answers = []
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = level, 3
        session = ort.InferenceSession(model.SerializeToString(), options)
        # one sample after the other: files may fix a batch of 1
        rows = [session.run(None, {n: x[at : at + 1] for n, x in data.items()}) for at in range(2)]
        answers.append([np.concatenate(each) for each in zip(*rows, strict=True)])
    return max(float(np.abs(plain - optimised).max()) for plain, optimised in zip(*answers, strict=True))


def error_of_answers(
    model: onnx.ModelProto, calibrated: onnx.ModelProto, data: dict[str, np.ndarray]
) -> float:
    """Root mean square difference from the float network's answers over their standard deviation."""
    difference = Difference()
    for wanted, found in zip(
        make_runner(model)(data).values(), make_runner(calibrated)(data).values(), strict=True
    ):
        difference.add(wanted, found)
    return difference.relative


def _peak() -> float:
    """In GB."""
    return round(peak_memory() / 1e9, 2)


def alone(name: str, timesteps: int) -> dict[str, Any]:
    """What :func:`deep` finds, in a process of its own."""
    command = [sys.executable, __file__, name, str(timesteps)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(deep(sys.argv[1], int(sys.argv[2]))))
