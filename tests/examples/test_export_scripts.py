"""examples/export: every script exports, converts and verifies, where its framework is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "examples" / "export"
#: What each script imports, and how many networks it exports.
NEEDS = {
    "from_brevitas": (["torch", "brevitas", "onnxoptimizer"], 2),
    "from_jax": (["jax", "jax2onnx"], 1),
    "from_keras": (["keras", "tensorflow", "tf2onnx"], 1),
    "from_onnxruntime": ([], 2),
    "from_pytorch": (["torch", "onnxscript"], 2),
    "from_sklearn": (["sklearn", "skl2onnx"], 1),
}
VERDICT = re.compile(
    r"^\w+\.onnx: (\d+) layers of neurons, T = \d+ time steps\n  lossless: (\w+) ", re.MULTILINE
)


def test_every_script_is_tested() -> None:
    assert {path.stem for path in SCRIPTS.glob("from_*.py")} == set(NEEDS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.train) if "torch" in NEEDS[n][0] else n for n in NEEDS],
)
def test_it_converts_without_loss(name: str, tmp_path: Path) -> None:
    modules, networks = NEEDS[name]
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    run = subprocess.run(
        [sys.executable, SCRIPTS / f"{name}.py", tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    verdicts = VERDICT.findall(run.stdout)
    assert len(verdicts) == networks
    assert all(int(layers) >= 2 and lossless == "True" for layers, lossless in verdicts)
    assert len(list(tmp_path.glob("*_snn.onnx"))) == networks
