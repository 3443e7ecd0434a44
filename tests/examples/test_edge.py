"""The edge pipeline: every source of frames, every execution, and that it loads nothing that a device lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx2snn
from onnx2snn.runtime import SpikingSession

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "edge"))

import frames  # noqa: E402 - an example, not a package
import pipeline  # noqa: E402

DIGITS = ROOT / "examples" / "digits"


@pytest.fixture(scope="module")
def snn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("edge") / "snn.onnx"
    onnx2snn.convert(DIGITS / "digits.onnx").save(path)
    return path


@pytest.fixture(scope="module")
def fast(snn: Path) -> Path:
    path = snn.with_name("fast.onnx")
    onnx2snn.compile(snn, count="synops").save(path)
    return path


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1:-1]]


@pytest.mark.parametrize("execution", ["fused", "int8", "spiking", "step"])
def test_every_frame_is_answered_in_order(
    snn: Path, execution: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx2snn.compile(snn, execution=execution, count="synops").save(tmp_path / "fast.onnx")
    command = [str(tmp_path / "fast.onnx"), str(DIGITS / "digits.npz"), "--frames", "5"]
    assert pipeline.main(command) == 0
    printed = capsys.readouterr().out
    with np.load(DIGITS / "digits.npz") as data:
        expected = SpikingSession(snn).run({"image": data["image"][:5]})
    spikes = sum(expected.spikes.values())
    for number, row in enumerate(rows(printed)):
        assert row[0] == f"digits.npz[{number}]"
        assert int(row[1]) == np.argmax(expected.outputs["logits"][number])
        assert int(row[2].replace(",", "")) == spikes[number]
        assert float(row[3]) == pytest.approx(expected.energy.snn[number] * 1e6, abs=1e-3)
    assert "5 frames, 0 lost" in printed


def test_a_camera_shakes_and_a_slow_network_loses_frames(
    fast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(fast), str(DIGITS / "digits.npz"), "--camera", "--frames", "12", "--rate", "100000"]
    assert pipeline.main(command) == 0
    printed = capsys.readouterr().out
    words = printed.splitlines()[-1].split()
    answered, lost = int(words[0]), int(words[2])
    assert answered + lost == 12
    assert lost > 0


def test_frames_are_paced() -> None:
    clock = [0.0]
    made = [(str(n), np.zeros((1, 1, 2, 2), np.float32)) for n in range(6)]
    found = []
    for frame in frames.paced(
        made, 10, now=lambda: clock[0], wait=lambda s: clock.__setitem__(0, clock[0] + s)
    ):
        found.append(None if frame is None else frame[0])
        clock[0] += 0.25 if frame is not None and frame[0] == "1" else 0.01
    assert found == ["0", "1", None, "3", "4", "5"]


def test_frames_are_read_from_files(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    np.save(tmp_path / "a.npy", pixels)
    np.save(tmp_path / "b.npy", np.stack([pixels[None], pixels[None]]))
    (tmp_path / "c.pgm").write_bytes(b"P5\n# grey\n4 3\n255\n" + pixels.tobytes())
    colour = np.stack([pixels, pixels // 2, pixels // 4], axis=-1)
    (tmp_path / "d.ppm").write_bytes(b"P6 4 3\n255\n" + colour.tobytes())
    found = dict(frames.from_path(tmp_path))
    assert list(found) == ["a.npy", "b.npy[0]", "b.npy[1]", "c.pgm", "d.ppm"]
    for name in ("a.npy", "b.npy[1]", "c.pgm"):
        np.testing.assert_array_equal(found[name], (pixels / np.float32(255))[None, None])
    assert found["d.ppm"].shape == (1, 3, 3, 4)
    np.testing.assert_array_equal(found["d.ppm"][0, 2], (pixels // 4) / np.float32(255))


def test_what_the_user_has_to_mend_is_said(
    fast: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "small.npy", np.zeros((1, 5, 5), np.float32))
    for model, data in (
        (DIGITS / "digits.onnx", DIGITS / "digits.npz"),
        (fast, tmp_path / "small.npy"),
        (fast, tmp_path / "no"),
    ):
        assert pipeline.main([str(model), str(data)]) == 4
        assert "Traceback" not in capsys.readouterr().err


def test_it_runs_without_what_a_device_lacks(fast: Path) -> None:
    code = f"""
import sys
lacking = ("onnx", "onnx_graphsurgeon", "torch", "click", "rich", "sympy", "PIL", "google.protobuf")
sys.modules.update(dict.fromkeys(lacking))  # not there
sys.path.insert(0, {str(ROOT / "examples" / "edge")!r})
import pipeline
assert pipeline.main([{str(fast)!r}, {str(DIGITS / "digits.npz")!r}, "--frames", "1"]) == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
