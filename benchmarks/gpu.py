"""Converted and compiled files on a GPU: equal answers, equal spikes, what falls back to the CPU, and how fast.

    pip install onnxruntime-gpu          # in place of onnxruntime
    python benchmarks/gpu.py             # --provider CPUExecutionProvider tries the script itself

The files of everywhere.py, one sample after the other, are held against what the CPU answers, with the options that a
session gives CUDA and with CUDA's own (TF32, the fastest convolutions). What falls back is read from onnxruntime's profile
of a run. ResNet-18 of networks.py is timed on either processor, as files in stock onnxruntime and in sessions. Results:
benchmarks/results/gpu.json.
"""

from __future__ import annotations

import argparse
import collections
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).parent))

from everywhere import FORMS, write_jobs
from networks import NETWORKS
from run_in import compared

import onnx2snn
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.providers import EXACT

RESULTS = Path(__file__).parent / "results" / "gpu.json"
BATCHES = (1, 16, 128)
_ROUNDS = 7
_CPU = ("CPUExecutionProvider", {})
#: Ways of CUDA to convolve.
CONVOLVED = {
    "exact": EXACT["CUDAExecutionProvider"],
    "heuristic": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    "fastest": {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"},
    "TF32": {"use_tf32": "1", "cudnn_conv_algo_search": "EXHAUSTIVE"},
}


def providers_of(provider: str, *, exact: bool = True) -> list[tuple[str, dict[str, str]]]:
    """The provider and the CPU; ``exact``: with the options of a session."""
    return [(provider, EXACT.get(provider, {}) if exact else {}), _CPU]


def opened(model: str | bytes, providers: Any, profile: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile / "ort")
    return ort.InferenceSession(model, options, providers=providers)


def answering(session: ort.InferenceSession) -> Callable[[Any], dict[str, Any]]:
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, dict(inputs)), strict=True))


def by_provider(profile: str) -> dict[str, dict[str, int]]:
    """How many nodes each provider executed, by operator."""
    events = json.loads(Path(profile).read_text(encoding="utf-8"))
    ran = {
        (event["args"]["provider"], event["args"]["op_name"], event["name"])
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    }
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for provider, operator, _ in ran:
        counts[provider][operator] += 1
    return {provider: dict(found.most_common()) for provider, found in counts.items()}


def same_answers(folder: Path, provider: str) -> dict[str, Any]:
    """Each form of each network against the CPU."""
    found: dict[str, Any] = {}
    for name, path in write_jobs(folder).items():
        job = json.loads(path.read_text(encoding="utf-8"))
        row: dict[str, Any] = {}
        try:
            for exact in (True, False):
                providers = providers_of(provider, exact=exact)
                session = opened(job["model"], providers, folder if exact else None)
                row["exact" if exact else "default"] = compared(answering(session), job)
                if exact:
                    row["executed"] = by_provider(session.end_profiling())
        except Exception as error:  # noqa: BLE001 - whatever stops a file is its row
            row["error"] = str(error).splitlines()[0][:300]
        found[name] = row
        print(name, row, flush=True)
    return found


def timed(answer: Callable[[Any], Any], shape: tuple[int, ...]) -> dict[str, float]:
    """Milliseconds by batch, from arrays to arrays: the fastest of some runs."""
    found = {}
    for batch in BATCHES:
        image = np.random.default_rng(0).normal(0, 1, (batch, *shape)).astype(np.float32)
        answer({"image": image})
        taken = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            answer({"image": image})
            taken.append(1e3 * (time.perf_counter() - began))
        found[str(batch)] = min(taken)
    return found


def levels(provider: str) -> dict[str, Any]:
    """How many levels of ResNet-18 differ from the CPU's, 16 images: float32 sums, and sums that are exact (``snap``)."""
    image = np.random.default_rng(1).integers(-128, 128, (16, 3, 32, 32)).astype(np.float32) / 64
    make, _ = NETWORKS["resnet18"]
    found: dict[str, Any] = {}
    for name, source in (("as quantised", make("qdq")), ("snapped", onnx2snn.snap(make("qcfs")).model)):
        conversion = onnx2snn.convert(source)
        wanted = SpikingSession(conversion, execution="fused").levels({"image": image})
        row = found[name] = {"levels": sum(value.size for value in wanted.values())}
        for kind, options in CONVOLVED.items():
            chosen = [(provider, options if provider in EXACT else {}), _CPU]
            for execution in ("fused", "spiking"):
                session = SpikingSession(conversion, execution=execution, providers=chosen)
                told = session.levels({"image": image})
                row[f"{execution}, {kind}"] = sum(int((wanted[k] != v).sum()) for k, v in told.items())
        print(name, row, flush=True)
    return found


def resnet(provider: str, folder: Path) -> dict[str, Any]:
    """ResNet-18 for 32 x 32 pixels, integer weights, T = 4: times, and what ran on the CPU."""
    make, shape = NETWORKS["resnet18"]
    source = make("qdq")
    conversion = onnx2snn.convert(source)
    places = {"device": providers_of(provider), "cpu": [_CPU]}
    found: dict[str, Any] = {}
    files = {"source": source.SerializeToString()}
    for execution in ("fused", "int8", "spiking"):
        compiled = onnx2snn.compile(conversion, execution=execution)
        files[execution] = compiled.model.SerializeToString()
    for name, content in files.items():
        row = found[name] = {
            place: timed(answering(opened(content, providers)), shape) for place, providers in places.items()
        }
        profiled = opened(content, places["device"], folder)
        profiled.run(None, {"image": np.zeros((16, *shape), np.float32)})
        row["executed"] = by_provider(profiled.end_profiling())
        if name != "source":
            for place, providers in places.items():
                session = SpikingSession(
                    conversion, execution=name, providers=providers, count="nothing", chunk=max(BATCHES)
                )
                row[f"session, {place}"] = timed(session.run, shape)
        print(name, row, flush=True)
    return found


def device() -> str:
    """The card, as its driver calls it."""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--provider", default="CUDAExecutionProvider")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.provider not in ort.get_available_providers():
        parser.error(f"this onnxruntime has not {given.provider}; it has {ort.get_available_providers()}")
    ort.set_default_logger_severity(3)
    ort.preload_dlls()  # CUDA and cuDNN, where pip installed them
    found: dict[str, Any] = {"device": device(), "onnxruntime": ort.__version__, "forms": list(FORMS)}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in (
            ("files", lambda: same_answers(Path(folder), given.provider)),
            ("levels", lambda: levels(given.provider)),
            ("resnet18", lambda: resnet(given.provider, Path(folder))),
        ):
            found[name] = work()
            given.results.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
