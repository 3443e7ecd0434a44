"""Which runtime executes which file, with equal answers and equal spikes: the table of docs/everywhere.md.

    python benchmarks/everywhere.py --runtime onnxruntime=.venv/bin/python --runtime openvino=/some/environment/bin/python ...

Each runtime has an environment of its own: NumPy, and what it is; `reference` and `iree` need the onnx package, too. `web` is
given a folder of node modules with onnxruntime-web, `c` an environment with emx-onnx-cgen. Several versions: onnxruntime@1.16=...
Three networks, each as it is converted and as it is compiled, all counts of spikes among its outputs: the digits network,
calibrated, so that its sums are exact; a residual network of a real exporter; an attention head with a gate and SiLU behind it.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers_corpus import Example
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.runtime import SpikingSession

HERE = Path(__file__).parent
DIGITS = HERE.parent / "examples" / "digits"
RESULTS = HERE / "results" / "everywhere.json"
PAGE = HERE.parent / "docs" / "everywhere.md"
BEGIN, END = "<!-- table: written by benchmarks/everywhere.py -->", "<!-- end of table -->"
EXECUTIONS = ("spiking", "fused", "int8", "step")
FORMS = ("converted", *EXECUTIONS)
SAMPLES = 8
#: Of CPU time, and of waiting, on a machine that does other things.
_SECONDS, _WAIT = 180, 1800


def modern(tokens: int = 6) -> onnx.ModelProto:
    """LayerNormalization, attention with Softmax, SiLU, and a gate, as a stock quantiser writes them."""
    net = Quantised(1)
    x = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.03, 3, np.int8)
    x = net.quantised(
        net.add("LayerNormalization", x, net.weights(8, spread=1.0), net.weights(8), axis=-1),
        0.02,
        5,
        np.int8,
    )
    q, k, v = (net.quantised(net.add("MatMul", x, net.weights(8, 8)), 0.03, 0, np.int8) for _ in range(3))
    scores = net.quantised(net.add("MatMul", q, net.add("Transpose", k, perm=[0, 2, 1])), 0.1, 3, np.int8)
    mixed = net.quantised(
        net.add("MatMul", net.quantised(net.add("Softmax", scores, axis=-1), 0.004), v), 0.03, 2, np.int8
    )
    hidden = net.add("MatMul", mixed, net.weights(8, 8))
    hidden = net.quantised(net.add("Mul", hidden, net.add("Sigmoid", hidden)), 0.01, 20)
    factor = net.quantised(net.add("MatMul", x, net.weights(8, 8)), 0.02, 100)
    net.add("MatMul", net.quantised(net.add("Mul", hidden, factor), 0.01, 90), net.weights(8, 5), output="y")
    return net.model({"x": ["N", tokens, 8]}, {"y": ["N", tokens, 5]})


def networks() -> dict[str, tuple[Any, dict[str, np.ndarray]]]:
    """Source and samples, by name."""
    with np.load(DIGITS / "digits.npz") as held:
        images = held["image"][:SAMPLES]
    calibrated = onnx2snn.calibrate(DIGITS / "digits_relu.onnx", DIGITS / "calibration.npz", timesteps=4)
    residual = Example("keras17__res-qcfs16")
    drawn = np.random.default_rng(0).normal(0, 1, (SAMPLES, 6, 8)).astype(np.float32)
    return {
        "digits": (calibrated.model, {"image": images}),
        "residual": (residual.path, {name: value[:SAMPLES] for name, value in residual.inputs.items()}),
        "modern": (modern(), {"x": drawn}),
    }


def write_jobs(folder: Path) -> dict[str, Path]:
    """A job for each network and form, named ``network/form``."""
    jobs = {}
    for name, (source, samples) in networks().items():
        conversion = onnx2snn.convert(source)
        result = SpikingSession(conversion.model.SerializeToString()).run(samples)
        np.savez(folder / f"{name}.samples.npz", **samples)
        spikes = {layer["name"]: layer["output"] for layer in read_layer_table(conversion.model)["layers"]}
        for form in FORMS:
            if form == "converted":
                model = _with_outputs(conversion.model, list(spikes.values()))
                counts = {spikes[layer]: count for layer, count in result.spikes.items()}
            else:
                model = onnx2snn.compile(conversion, execution=form, count="spikes", batch=1).model
                counts = {f"spikes/{layer}": count for layer, count in result.spikes.items()}
            path = folder / f"{name}.{form}.onnx"
            onnx.save(model, path)
            np.savez(folder / f"{name}.{form}.expected.npz", **result.outputs, **counts)
            facts = {e.key: e.value for e in model.metadata_props}.get("onnx2snn.compiled", "{}")
            job = {
                "model": str(path),
                "samples": str(folder / f"{name}.samples.npz"),
                "expected": str(folder / f"{name}.{form}.expected.npz"),
                "inputs": [declared(info) for info in model.graph.input],
                "outputs": [declared(info) for info in model.graph.output],
                "trains": list(spikes.values()) if form == "converted" else [],
                "states": json.loads(facts).get("states", []),
            }
            jobs[f"{name}/{form}"] = path.with_suffix(".json")
            jobs[f"{name}/{form}"].write_text(json.dumps(job), encoding="utf-8")
    return jobs


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    known = {info.name: info for info in other.graph.value_info}
    other.graph.output.extend(known[name] for name in names)
    return other


def declared(info: onnx.ValueInfoProto) -> tuple[str, list[int], str]:
    """Name, sizes (1 for those that are open) and type of an input or output."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    return info.name, [max(d.dim_value, 1) for d in info.type.tensor_type.shape.dim], str(kind)


def tried(runtime: str, program: str, job: Path) -> dict[str, Any]:
    """What came of a job: ``answers``, ``spikes``, ``ms``; or ``error``."""
    name = runtime.split("@", maxsplit=1)[0]
    words = [program, str(HERE / "run_in.py"), name, str(job)]
    if name == "web":
        words = ["node", str(HERE / "run_in.mjs"), program, str(job)]
    try:
        ran = subprocess.run(
            words,
            check=False,
            capture_output=True,
            text=True,
            timeout=_WAIT,
            cwd=job.parent,
            preexec_fn=_limit,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {_WAIT} s"}
    if ran.returncode == -signal.SIGXCPU:
        return {"error": f"no answer within {_SECONDS} s of CPU time"}
    if ran.returncode == 0 and ran.stdout.strip():
        found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return found
    lines = [line.strip() for line in ran.stderr.splitlines() if any(map(str.isalpha, line))]
    told = [
        line
        for line in lines
        if re.search("error|fail|unsupported|not supported|not implemented", line, re.IGNORECASE)
    ]
    return {"error": (told or lines or [f"ended with {ran.returncode}"])[-1][:300]}


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS + 5))


def verdict(found: dict[str, Any] | None) -> str:
    """As the table has it."""
    if found is None:
        return "not tried"
    if "error" in found:
        return "–"
    if found["spikes"] > 0:
        return f"{found['spikes']:.0f} spikes differ"
    return "=" if found["answers"] == 0 else f"{found['answers']:.0e}"


def table(results: dict[str, dict[str, Any]]) -> str:
    """Rows: runtimes; columns: forms of each network."""
    rows = []
    for name in ("digits", "residual", "modern"):
        rows += [f"| {name} | " + " | ".join(FORMS) + " |", "| --- |" + " --- |" * len(FORMS)]
        for runtime, found in results.items():
            rows.append(
                f"| {runtime} | " + " | ".join(verdict(found.get(f"{name}/{form}")) for form in FORMS) + " |"
            )
        rows.append("")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runtime", action="append", default=[], metavar="NAME[@VERSION]=PROGRAM")
    parser.add_argument("--folder", type=Path, help="where files go, and stay")
    parser.add_argument("--only", default="", help="a network, a form, or both")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(exist_ok=True)
        written = write_jobs(folder) if given.runtime else {}
        jobs = {name: job for name, job in written.items() if given.only in name}
        results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        for runtime, program in (entry.split("=", 1) for entry in given.runtime):
            for name, job in jobs.items():
                found = tried(runtime, program, job)
                results.setdefault(runtime, {})[name] = found
                print(runtime, name, found, flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")
    shown = table(results)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{shown}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
