"""The program in C answers what a session answers, bit for bit (``make test-everywhere`` fetches the headers)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx2snn
from onnx2snn.runtime import SpikingSession

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"
FLAGS = ("-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-O2")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    libraries = sorted((Path(spec.origin).parent / "capi").glob("libonnxruntime.so.*"))
    if "ONNXRUNTIME_HEADERS" not in os.environ or shutil.which("gcc") is None or not libraries:
        pytest.skip("no headers of onnxruntime (ONNXRUNTIME_HEADERS), no gcc, or no library in the package")
    folder = tmp_path_factory.mktemp("c")
    library = folder / "libonnxruntime.so.1"
    library.symlink_to(libraries[-1])
    made = folder / "classify"
    words = ["gcc", *FLAGS, "-I", os.environ["ONNXRUNTIME_HEADERS"], ROOT / "examples" / "c" / "classify.c"]
    subprocess.run([*words, library, f"-Wl,-rpath,{folder}", "-o", made], check=True)
    return made


@pytest.mark.parametrize("execution", ["spiking", "fused", "int8"])
def test_it_answers_as_a_session_does(program: Path, tmp_path: Path, execution: Any) -> None:
    compiled = onnx2snn.compile(onnx2snn.convert(DIGITS / "digits.onnx"), execution=execution, batch=1)
    compiled.save(tmp_path / "fast.onnx")
    with np.load(DIGITS / "digits.npz") as held:
        images = held["image"][:10].astype(np.float32)
    images.tofile(tmp_path / "frames.f32")
    ran = subprocess.run(
        [program, tmp_path / "fast.onnx", tmp_path / "frames.f32"], check=True, capture_output=True, text=True
    )
    session = SpikingSession(tmp_path / "fast.onnx", threads=1)
    expected = np.concatenate([session.run({"image": image[None]}).outputs["logits"] for image in images])
    found = np.array([line.split() for line in ran.stdout.splitlines()], np.float32)
    np.testing.assert_array_equal(found, expected)


def test_it_says_what_it_cannot_run(program: Path, tmp_path: Path) -> None:
    onnx2snn.compile(onnx2snn.convert(DIGITS / "digits.onnx")).save(tmp_path / "open.onnx")
    (tmp_path / "frames.f32").write_bytes(b"")
    for path, said in ((tmp_path / "open.onnx", "axis 0 is open"), (tmp_path / "none.onnx", "onnxruntime: ")):
        ran = subprocess.run(
            [program, path, tmp_path / "frames.f32"], check=False, capture_output=True, text=True
        )
        assert ran.returncode == 1
        assert said in ran.stderr
