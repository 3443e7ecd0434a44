"""Compiled files in whatever runtimes this environment has, with equal answers and spikes (``make test-everywhere`` has more)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: By runtime: what has to be there, and the forms that it does not take.
RUNTIMES = {
    "onnxruntime": ("onnxruntime", ()),
    "reference": ("onnx", ()),
    "openvino": ("openvino", ("converted",)),
    "opencv": ("cv2", ("converted",)),
    "tract": ("tract", ("converted", "modern/fused", "modern/int8", "modern/step")),
    "c": ("emx_onnx_cgen", ("converted", "spiking", "int8")),
}
#: Further ones, in environments of their own, named by variables.
ELSEWHERE = {"onnxruntime@oldest": ("ONNXRUNTIME_OLDEST", ("converted",))}


@pytest.fixture(scope="module")
def everywhere() -> Any:
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location("everywhere", ROOT / "benchmarks" / "everywhere.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(folder)
    return module


@pytest.fixture(scope="module")
def jobs(everywhere: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    written: dict[str, Path] = everywhere.write_jobs(tmp_path_factory.mktemp("everywhere"))
    return written


def all_equal(
    everywhere: Any, runtime: str, program: str, jobs: dict[str, Path], without: tuple[str, ...]
) -> None:
    for name, job in jobs.items():
        if {name, name.split("/")[1]} & set(without) or (
            runtime == "reference" and name == "digits/step"
        ):  # takes minutes
            continue
        found = everywhere.tried(runtime, program, job)
        assert "error" not in found, (name, found)
        assert found["spikes"] == 0, (name, found)
        assert found["answers"] < 1e-4, (name, found)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_and_spikes_are_equal(everywhere: Any, jobs: dict[str, Path], runtime: str) -> None:
    package, without = RUNTIMES[runtime]
    if importlib.util.find_spec(package) is None or (runtime == "c" and shutil.which("gcc") is None):
        pytest.skip(f"no {package} here")
    all_equal(everywhere, runtime, sys.executable, jobs, without)


@pytest.mark.parametrize("runtime", ELSEWHERE)
def test_they_are_in_environments_of_their_own(everywhere: Any, jobs: dict[str, Path], runtime: str) -> None:
    variable, without = ELSEWHERE[runtime]
    if variable not in os.environ:
        pytest.skip(f"no {variable}")
    all_equal(everywhere, runtime, os.environ[variable], jobs, without)


def test_they_are_in_a_browser_s_runtime(everywhere: Any, jobs: dict[str, Path]) -> None:
    modules = ROOT / "examples" / "browser" / "node_modules"
    if not modules.is_dir() or shutil.which("node") is None:
        pytest.skip("no onnxruntime-web (npm install --prefix examples/browser)")
    all_equal(everywhere, "web", str(modules), jobs, ())
