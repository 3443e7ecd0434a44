"""One compiled file in one runtime: needs NumPy and that runtime, and nothing of onnx2snn; see everywhere.py.

    python run_in.py RUNTIME JOB.json

A job names the file, its inputs and outputs (name, shape, type), the samples, what they have to be answered with, and, of a
file of one time step, its states. What is printed: a JSON object, ``answers`` and ``spikes`` (the largest difference), ``ms``.
"""

# ruff: noqa: PLC0415 - each runtime is in an environment of its own

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def onnxruntime(job: dict[str, Any]) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, dict(inputs)), strict=True))


def reference(job: dict[str, Any]) -> Run:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(job["model"])
    return lambda inputs: dict(zip(evaluator.output_names, evaluator.run(None, dict(inputs)), strict=True))


def openvino(job: dict[str, Any]) -> Run:
    import openvino as ov

    core = ov.Core()
    model = core.read_model(job["model"])
    compiled = core.compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    )
    ports = {name: port for port in compiled.outputs for name in port.get_names()}

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = compiled(dict(inputs))
        return {name: np.array(found[port]) for name, port in ports.items()}

    return run


def opencv(job: dict[str, Any]) -> Run:
    import cv2

    net = cv2.dnn.readNetFromONNX(job["model"])
    names = [name for name, *_ in job["outputs"]]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        for name, value in inputs.items():
            net.setInput(value, name)
        return dict(zip(names, net.forward(names), strict=True))

    return run


def tract(job: dict[str, Any]) -> Run:
    import tract as library

    model = library.onnx().load(job["model"])
    order, names = [name for name, *_ in job["inputs"]], [name for name, *_ in job["outputs"]]
    runnable = model.into_model().into_runnable()
    return lambda inputs: dict(
        zip(
            names, (found.to_numpy() for found in runnable.run([inputs[name] for name in order])), strict=True
        )
    )


def iree(job: dict[str, Any]) -> Run:
    import iree.compiler.tools as tools
    import iree.runtime as runtime
    from iree.compiler.tools.import_onnx import __main__ as importer

    text = Path(job["model"]).with_suffix(".mlir")
    importer.main(importer.parse_arguments([job["model"], "-o", str(text), "--opset-version", "17"]))
    code = tools.compile_file(
        str(text),
        input_type="onnx",
        target_backends=["llvm-cpu"],
        extra_args=["--iree-llvmcpu-target-cpu=host", "--iree-input-demote-f64-to-f32=false"],
    )
    config = runtime.Config("local-sync")
    context = runtime.SystemContext(config=config)
    context.add_vm_module(runtime.VmModule.copy_buffer(config.vm_instance, code))
    [entry] = [name for name in context.modules if name != "hal"]
    module = context.modules[entry]
    [name] = [
        name for name in module.vm_module.function_names if "$" not in name and not name.startswith("__")
    ]
    function = getattr(module, name)
    order, names = [name for name, *_ in job["inputs"]], [name for name, *_ in job["outputs"]]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = function(*(inputs[name] for name in order))
        found = found if isinstance(found, (tuple, list)) else (found,)
        return dict(zip(names, (np.asarray(value) for value in found), strict=True))

    return run


def tvm(job: dict[str, Any]) -> Run:
    import onnx
    import tvm as library
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    module = from_onnx(onnx.load(job["model"]), keep_params_in_input=False)
    machine = relax.VirtualMachine(library.compile(module, "llvm"), library.cpu())
    order, names = [name for name, *_ in job["inputs"]], [name for name, *_ in job["outputs"]]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = machine["main"](*(library.runtime.tensor(inputs[name]) for name in order))
        found = found if hasattr(found, "__len__") and not hasattr(found, "numpy") else [found]
        return dict(zip(names, (value.numpy() for value in found), strict=True))

    return run


def c(job: dict[str, Any]) -> Run:
    from c_library import Model, build

    model = Path(job["model"])
    library = build(Path(sys.executable).parent / "emx-onnx-cgen", model, model.parent)
    return Model(library, job["outputs"], [name for name, *_ in job["inputs"]])


RUNTIMES = {f.__name__: f for f in (onnxruntime, reference, openvino, opencv, tract, iree, tvm, c)}


def at_once(run: Run, _: dict[str, Any], sample: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The answer to one sample."""
    return run(sample)


def step_by_step(run: Run, job: dict[str, Any], sample: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The answer of a file of one time step: the sample enters at the first step, what follows finds an empty input."""
    state = {name: np.zeros(shape, kind) for name, shape, kind in job["inputs"] if name in job["states"]}
    while True:
        entering = np.array(int(state["time"]) == 0)
        found = run({**sample, "enters": entering, **state})
        state = {
            name: np.asarray(found["next/" + name]).reshape(value.shape) for name, value in state.items()
        }
        if found["answered"]:
            return found


def compared(run: Run, job: dict[str, Any]) -> dict[str, float]:
    """What a job prints, of a runtime that is ready."""
    with np.load(job["samples"]) as held:
        samples = dict(held)
    with np.load(job["expected"]) as held:
        expected = dict(held)
    answer = step_by_step if job["states"] else at_once
    count, times, worst = len(next(iter(samples.values()))), [], {"answers": 0.0, "spikes": 0.0}
    for number in range(count):
        sample = {name: np.ascontiguousarray(value[number : number + 1]) for name, value in samples.items()}
        began = time.perf_counter()
        found = answer(run, job, sample)
        times.append(time.perf_counter() - began)
        for name, values in expected.items():
            value, wanted = np.asarray(found[name], np.float64), values[number : number + 1]
            if name in job["trains"]:
                value = np.array([value.sum()])
            kind = "spikes" if name in job["trains"] or name.startswith("spikes/") else "answers"
            worst[kind] = max(worst[kind], float(np.abs(value.reshape(-1) - wanted.reshape(-1)).max()))
    return {**worst, "ms": 1e3 * min(times)}


def main() -> None:
    runtime, path = sys.argv[1:]
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    print(json.dumps(compared(RUNTIMES[runtime](job), job)))


if __name__ == "__main__":
    main()
