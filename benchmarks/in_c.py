"""The digits network as C: bytes, memory and time beside onnxruntime, and every answer compared bit for bit.

    python benchmarks/in_c.py /some/environment/bin/emx-onnx-cgen

Beside the digits network, which is calibrated first, one whose weights are whole numbers of a power of two: its sums are exact,
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from c_library import Library, Model, build
from everywhere import DIGITS, HERE, Example, declared

import onnx2snn

SAMPLES = 100


def fastest(run: Callable[[], Any], rounds: int = 30) -> float:
    """Milliseconds of CPU time."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def measured(
    name: str, execution: Any, conversion: Any, samples: np.ndarray, generator: str, folder: Path
) -> dict[str, Any]:
    """Answers and spikes of files that count these; sizes and times of files that count nothing."""
    path = folder / f"{name}.{execution}.onnx"
    compiled = onnx2snn.compile(conversion, execution=execution, count="spikes", batch=1)
    compiled.save(path)
    differ, _ = _side_by_side(compiled, path, build(generator, path, folder), conversion, samples)
    bare, path = (
        onnx2snn.compile(conversion, execution=execution, batch=1),
        folder / f"{name}.bare.{execution}.onnx",
    )
    bare.save(path)
    library = build(generator, path, folder)
    _, costs = _side_by_side(bare, path, library, conversion, samples[:1])
    facts = {"code": library.code, "constants": library.constants, "stack": library.stack}
    return {"network": name, "execution": execution, "differ": differ, **facts, **costs}


def _side_by_side(
    compiled: Any, path: Path, library: Library, conversion: Any, samples: np.ndarray
) -> tuple[dict[str, int], dict[str, float]]:
    """Calls whose answers, and spikes, differ; and bytes of states, milliseconds of a call."""
    graph, step = compiled.model.graph, compiled.execution == "step"
    in_c = Model(library, [declared(info) for info in graph.output], [info.name for info in graph.input])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [info.name for info in graph.output]
    values = {name: np.zeros(shape, kind) for name, shape, kind in map(declared, graph.input)}
    outputs, steps = {info.name for info in conversion.model.graph.output}, conversion.timesteps
    differ = {"answers": 0, "spikes": 0}
    for number, sample in enumerate(np.repeat(samples, steps if step else 1, axis=0)):
        values[graph.input[0].name] = sample[None]
        if step:  # a sample enters with each phase
            values["enters"] = np.array(number % steps == 0)
        mine, theirs = in_c(values), dict(zip(names, session.run(None, values), strict=True))
        other = {name for name in names if mine[name].tobytes() != np.asarray(theirs[name]).tobytes()}
        differ["answers"] += not other.isdisjoint(outputs)
        differ["spikes"] += any(name.startswith(("spikes/", "train/")) for name in other)
        values |= {name[5:]: value for name, value in theirs.items() if name.startswith("next/")}
    return differ, {
        "states": sum(v.nbytes for n, v in values.items() if f"next/{n}" in names),
        "ms in C": fastest(lambda: in_c(values)),
        "ms in onnxruntime": fastest(lambda: session.run(None, values)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("generator")
    given = parser.parse_args()
    calibrated = onnx2snn.calibrate(DIGITS / "digits_relu.onnx", DIGITS / "calibration.npz", timesteps=4)
    exact = Example("torchdy20__mobile-qcfs16-dyadic-dyn")
    with np.load(DIGITS / "digits.npz") as held:
        networks = {
            "digits": (calibrated.model, held["image"][:SAMPLES]),
            "exact": (exact.path, next(iter(exact.inputs.values()))),
        }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (source, samples) in networks.items():
            conversion = onnx2snn.convert(source)
            for execution in ("fused", "spiking", "step"):
                rows.append(measured(name, execution, conversion, samples, given.generator, Path(folder)))
                print(rows[-1], flush=True)
    (HERE / "results" / "in_c.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
