"""Whatever interrupts a write: the old file is whole, and nothing is left behind after the next one."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example, small_network
from helpers_graphs import make_model, node, samples
from onnx import numpy_helper

import onnx2snn
from onnx2snn.atomic_files import check_target, whole_file
from onnx2snn.errors import OutputError
from onnx2snn.model import files as model_file
from onnx2snn.model.files import load_model, save_model
from onnx2snn.runtime import SpikingSession

#: A process that stands still in the middle of a write, and says so.
_STUCK = """
import sys, time
from onnx2snn.runtime import SpikingSession
from onnx2snn.atomic_files import whole_file
with whole_file(sys.argv[1]) as stream:
    stream.write(b"half")
    stream.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def network(width: int = 64) -> onnx.ModelProto:
    constants = {"w": samples(width, width), "b": samples(width)}
    nodes = [node("MatMul", ["x", "w"], ["z"]), node("Add", ["z", "b"], ["y"])]
    return make_model(nodes, constants, {"x": ["N", width]}, {"y": ["N", width]})


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def stuck(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", _STUCK, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_kill_leaves_the_old_file_and_the_next_run_clears_up(tmp_path: Path, kill: signal.Signals) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"old")
    with stuck(path) as process:
        process.send_signal(kill)
        process.wait(10)
        assert path.read_bytes() == b"old"
    with whole_file(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["result"]


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "result"
    with stuck(path) as process:
        try:
            with whole_file(path) as stream:
                stream.write(b"new")
            assert len(names(tmp_path)) == 2
        finally:
            process.kill()


def test_an_error_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"old")

    def fail() -> None:
        with whole_file(path) as stream:
            stream.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result"]


def test_a_full_disk(tmp_path: Path) -> None:
    """No file may grow beyond 1,000 bytes: the system's answer is that of a full disk."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="too large") as caught:
            save_model(network(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit_code == 4
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["model.onnx"]


def test_permissions_are_the_users(tmp_path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    save_model(network(), tmp_path / "model.onnx")
    assert stat.S_IMODE((tmp_path / "model.onnx").stat().st_mode) == 0o666 & ~mask


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.onnx").symlink_to("elsewhere/real.onnx")
    save_model(network(), tmp_path / "link.onnx")
    assert (tmp_path / "link.onnx").is_symlink()
    assert load_model(tmp_path / "elsewhere" / "real.onnx").graph.node
    assert names(tmp_path / "elsewhere") == ["real.onnx"]


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (("pipe", "no file"), (".", "folder"), ("missing/model.onnx", "mkdir")):
        with pytest.raises(OutputError, match=words):
            check_target(tmp_path / path)
    with pytest.raises(OutputError, match="no file"):
        check_target(os.devnull)


def test_the_longest_names_there_are(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 125 + ".onnx")
    save_model(network(), path)
    assert load_model(path).graph.node


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    path = tmp_path / "[a]*?.onnx"
    save_model(network(), path)
    save_model(network(), path)
    assert names(tmp_path) == ["[a]*?.onnx"]


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = network()
    model.metadata_props.add(key="who", value="me")
    model.graph.doc_string = "kept"
    save_model(model, tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == model


@pytest.fixture
def two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of a few kilobytes are written as those of gigabytes are."""
    monkeypatch.setattr(model_file, "LARGEST", 16_000)
    monkeypatch.setattr("onnx2snn.model.weights.MAPPED", 4000)


@pytest.mark.usefixtures("two_files")
def test_large_models_keep_their_weights_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    save_model(network(), path)
    first = set(names(tmp_path)) - {"model.onnx"}
    assert len(first) == 1
    loaded = load_model(path)
    assert all(t.name != "w" or not t.raw_data for t in loaded.graph.initializer)
    np.testing.assert_array_equal(
        numpy_helper.to_array(onnx.load(path).graph.initializer[0]), samples(64, 64)
    )
    save_model(loaded, path)  # the file that is read from may be replaced: the weights are mapped
    assert set(names(tmp_path)) - {"model.onnx"} == first
    changed = network()
    changed.graph.initializer[0].raw_data = b"\0" * (64 * 64 * 4)
    save_model(changed, path)
    assert not first & set(names(tmp_path))
    assert len(names(tmp_path)) == 2
    save_model(network(8), path)
    assert names(tmp_path) == ["model.onnx"]


@pytest.mark.usefixtures("two_files")
def test_every_command_reads_weights_beside_the_model(tmp_path: Path, example: Example) -> None:
    """Source and spiking network with their weights in files of their own: converted, verified, run, evaluated, inspected."""
    ann, snn = tmp_path / "ann.onnx", tmp_path / "snn.onnx"
    wide = small_network(width=400)
    save_model(wide, ann)
    onnx2snn.convert(ann).save(snn)
    assert len(names(tmp_path)) == 4
    assert onnx2snn.verify(ann, snn, example.data).lossless
    with np.load(example.data) as data:
        inputs = {"image": data["image"]}
    expected = onnx2snn.convert(wide).model.SerializeToString()
    for execution in ("spiking", "fused", "streaming"):
        found = SpikingSession(snn, execution=execution).run(inputs)
        for name, values in SpikingSession(expected, execution=execution).run(inputs).outputs.items():
            np.testing.assert_allclose(found.outputs[name], values, rtol=0, atol=1e-5)
    assert onnx2snn.evaluate(snn, example.data).samples == example.samples
    assert onnx2snn.inspect_model(snn).spiking


@pytest.mark.usefixtures("two_files")
@pytest.mark.parametrize("step", range(4))
def test_a_model_and_its_weights_belong_together_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The power goes before, between and after the two renames, and before what is old is removed."""
    path = tmp_path / "model.onnx"
    save_model(network(), path)
    changed = network()
    changed.graph.initializer[0].raw_data = b"\0" * (64 * 64 * 4)
    calls = 0

    def counted(function: Callable[..., None]) -> Callable[..., None]:
        def call(*words: object) -> None:
            nonlocal calls
            if calls == step:
                raise KeyboardInterrupt
            calls += 1
            function(*words)

        return call

    monkeypatch.setattr(model_file, "place", counted(model_file.place))
    monkeypatch.setattr(model_file, "_remove_old_weights", counted(model_file._remove_old_weights))
    if step < 3:
        with pytest.raises(KeyboardInterrupt):
            save_model(changed, path)
    else:
        save_model(changed, path)
    found = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    assert np.array_equal(found, samples(64, 64)) or (step > 1 and not found.any())
    monkeypatch.undo()
    save_model(network(8), path)
    assert names(tmp_path) == ["model.onnx"]
