"""Weights are never copied without need: bounds on what conversion and sessions hold."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_corpus import EXACT, Example
from helpers_graphs import make_model, node

import onnx2snn

WIDTH, LAYERS = 2048, 3
#: Bytes of the weights.
SIZE = 4 * LAYERS * WIDTH * WIDTH


def deep(*, offset: bool = False, integers: bool = False) -> onnx.ModelProto:
    """Square layers of float32 weights, 50 MB, with a quantised activation each.

    Args:
        offset: Activations have a zero point: a constant reaches the next neuron through all weights.
        integers: Weights are whole numbers times a scale.
    """
    random = np.random.default_rng(0)
    constants: dict[str, np.ndarray] = {
        "step": np.float32(0.25),
        "low": np.float32(0),
        "high": np.float32(15),
    }
    constants["origin"] = np.float32(-1.5)
    nodes, value = [], "x"
    for layer in range(LAYERS):
        weights = random.standard_normal((WIDTH, WIDTH), np.float32)
        if integers:
            weights = np.rint(weights * 20).clip(-127, 127).astype(np.float32) * np.float32(0.25)
        constants[f"w{layer}"] = weights * np.float32(1 / 64)
        constants[f"b{layer}"] = random.standard_normal(WIDTH, np.float32)
        nodes.append(node("Gemm", [value, f"w{layer}", f"b{layer}"], [f"z{layer}"], f"dense{layer}"))
        value = f"z{layer}"
        if layer < LAYERS - 1:
            for operator, read in (
                ("Div", ["step"]),
                ("Floor", []),
                ("Clip", ["low", "high"]),
                ("Mul", ["step"]),
            ):
                out = f"{operator.lower()}{layer}"
                nodes.append(node(operator, [value, *read], [out], out))
                value = out
            if offset:
                nodes.append(node("Add", [value, "origin"], [f"a{layer}"], f"add{layer}"))
                value = f"a{layer}"
    return make_model(nodes, constants, {"x": ["N", WIDTH]}, {value: ["N", WIDTH]})


@pytest.mark.parametrize(
    "kind", [{}, {"offset": True}, {"integers": True}], ids=["plain", "offset", "integers"]
)
def test_a_conversion_holds_new_weights_and_no_more(tmp_path: Path, kind: dict[str, bool]) -> None:
    """What NumPy and Python allocate; those weights that change are new, the others are mapped from the file.

    Of the 50 MB of weights all but the first layer's take in a scale; one layer, 17 MB, may be held twice for a while.
    """
    path = tmp_path / "ann.onnx"
    path.write_bytes(deep(**kind).SerializeToString())
    onnx2snn.convert(Example("torchts13__mlp-lsq2-dyn").path)  # what is imported, and kept, at first use
    tracemalloc.start()
    onnx2snn.convert(path).save(tmp_path / "snn.onnx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "snn.onnx").stat().st_size > SIZE
    assert peak < 1.6 * SIZE


@pytest.mark.parametrize("name", EXACT[::3])
def test_weights_left_in_the_file_convert_to_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnx2snn.model.files.IN_PLACE", 1)
    monkeypatch.setattr("onnx2snn.model.weights.MAPPED", 1)
    example = Example(name)
    linked = tmp_path / "linked.onnx"
    linked.symlink_to(example.path)
    saved = []
    for model in (onnx.load(example.path), example.path, linked):
        onnx2snn.convert(model).save(tmp_path / "snn.onnx")
        saved.append((tmp_path / "snn.onnx").read_bytes())
    assert saved[0] == saved[1] == saved[2]


def test_a_model_may_be_written_in_place_of_the_one_it_is_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnx2snn.model.files.IN_PLACE", 1)
    monkeypatch.setattr("onnx2snn.model.weights.MAPPED", 1)
    example = Example(EXACT[0])
    path = tmp_path / "model.onnx"
    path.write_bytes(example.path.read_bytes())
    onnx2snn.convert(path).save(path)
    onnx2snn.convert(example.path).save(tmp_path / "other.onnx")
    assert path.read_bytes() == (tmp_path / "other.onnx").read_bytes()


def test_a_model_left_in_its_file_is_calibrated(monkeypatch: pytest.MonkeyPatch, relu_network: Path) -> None:
    data = {"image": np.random.default_rng(0).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)}
    expected = onnx2snn.convert(relu_network, calibrate=data, timesteps=4)
    monkeypatch.setattr("onnx2snn.model.files.IN_PLACE", 1)
    monkeypatch.setattr("onnx2snn.model.weights.MAPPED", 1)
    found = onnx2snn.convert(relu_network, calibrate=data, timesteps=4)
    assert found.model.SerializeToString(deterministic=True) == expected.model.SerializeToString(
        deterministic=True
    )


_SESSION = """
import json, sys
from pathlib import Path
import numpy as np, onnxruntime
from onnx2snn.compile import in_memory  # libraries
from onnx2snn.runtime import SpikingSession
def held(key):
    return 1024 * int(Path("/proc/self/status").read_text().split(key)[1].split()[0])
before = held("VmRSS:")
session = SpikingSession(sys.argv[1], execution=sys.argv[2], threads=1, chunk=8)
for _ in range(3):
    session.run({"x": np.ones((8, %d), np.float32)})
print(json.dumps(held("VmHWM:") - before))
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the system does not say what a process holds"
)
@pytest.mark.parametrize("execution", ["spiking", "fused"])
def test_a_session_that_counts_stays_below_three_times_its_model(tmp_path: Path, execution: str) -> None:
    """The weights as the file has them, mapped, and packed; measured: 2.1 times."""
    path = tmp_path / "snn.onnx"
    onnx2snn.convert(deep()).save(path)
    command = [sys.executable, "-c", _SESSION % WIDTH, str(path), execution]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) < 3 * SIZE
