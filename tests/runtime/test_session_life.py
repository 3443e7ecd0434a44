"""A session in a program that lives long: opened and closed, warmed up, sent to others, awaited; tags on their way."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_networks import NETWORKS

import onnx2snn
from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.runtime import SpikingSession

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fast(tmp_path: Path) -> Path:
    onnx2snn.compile(onnx2snn.convert(NETWORKS["residual"]().model), count="spikes").save(
        tmp_path / "fast.onnx"
    )
    return tmp_path / "fast.onnx"


def test_it_is_a_context(fast: Path) -> None:
    inputs = NETWORKS["residual"]().inputs(2)
    with SpikingSession(fast) as session:
        session.warm_up()
        assert session.run(inputs).outputs["y"].shape == (2, 3)
    with pytest.raises(InputError, match="closed"):
        session.run(inputs)
    session.close()  # once more changes nothing


def test_a_network_of_open_sizes_is_warmed_up_by_what_comes() -> None:
    network = NETWORKS["of_any_size"]()
    session = SpikingSession(onnx2snn.convert(network.model).model.SerializeToString())
    with pytest.raises(InputError, match="sizes open"):
        session.warm_up()
    session.warm_up(network.inputs(1))


def test_it_is_pickled_with_its_options(fast: Path) -> None:
    inputs = NETWORKS["residual"]().inputs(3)
    session = SpikingSession(fast, threads=1, chunk=2)
    other = pickle.loads(pickle.dumps(session))  # noqa: S301 - our own
    assert other.execution == session.execution
    np.testing.assert_array_equal(other.run(inputs).outputs["y"], session.run(inputs).outputs["y"])
    with pytest.raises(InputError, match="cannot be pickled"):
        pickle.dumps(SpikingSession(fast, session_options=ort.SessionOptions()))


def test_it_is_unpickled_in_another_folder(
    fast: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(fast.parent)
    sent = pickle.dumps(SpikingSession("fast.onnx"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(sent).timesteps == SpikingSession(fast).timesteps  # noqa: S301 - our own


def test_it_is_awaited(fast: Path) -> None:
    inputs = NETWORKS["residual"]().inputs(4)

    async def answers(session: SpikingSession) -> list[np.ndarray]:
        samples = [{name: value[i : i + 1] for name, value in inputs.items()} for i in range(4)]
        found = await asyncio.gather(*(asyncio.to_thread(session.run, sample) for sample in samples))
        return [result.outputs["y"] for result in found]

    with SpikingSession(fast) as session:
        found = np.concatenate(asyncio.run(answers(session)))
        np.testing.assert_allclose(found, session.run(inputs).outputs["y"], rtol=0, atol=1e-6)


def test_tags_leave_with_their_samples() -> None:
    network = NETWORKS["residual"]()
    inputs = network.inputs(3)
    session = SpikingSession(onnx2snn.convert(network.model).model.SerializeToString())
    expected, stream = session.run(inputs).outputs["y"], session.stream()
    frames = [0, None, 1, 2]  # a phase without a frame between them
    found: dict[object, np.ndarray] = {}
    for phase in range(len(frames) + stream.latency // stream.timesteps):
        number = frames[phase] if phase < len(frames) else None
        for step in range(stream.timesteps):
            sample = None
            if number is not None and step == 0:
                sample = {name: value[number : number + 1] for name, value in inputs.items()}
            answer = stream.step(sample, tag=None if sample is None else f"frame {number}")
            if answer is not None:
                found[stream.tag] = answer["y"][0]
    assert list(found) == ["frame 0", "frame 1", "frame 2"]
    for number, values in enumerate(found.values()):
        np.testing.assert_allclose(values, expected[number], rtol=0, atol=1e-6)


@pytest.fixture
def step(tmp_path: Path) -> Path:
    """A file that counts nothing, as `onnx2snn compile --execution step` writes it."""
    onnx2snn.compile(onnx2snn.convert(NETWORKS["residual"]().model), execution="step").save(
        tmp_path / "step.onnx"
    )
    return tmp_path / "step.onnx"


def test_a_file_that_counts_nothing_is_streamed(step: Path) -> None:
    inputs = NETWORKS["residual"]().inputs(3)
    ((name, values),) = inputs.items()
    session = SpikingSession(step)
    expected = session.run(inputs).outputs["y"]
    for samples in (
        [{name: values[:1]}, None, {name: values[1:2]}],
        [values[:1], values[1:2]],
    ):  # by name, or the array
        found = list(session.stream_run(samples))
        np.testing.assert_allclose(np.concatenate([a["y"] for a in found]), expected[:2], rtol=0, atol=1e-6)


def test_what_was_asked_for_wrongly_is_named(fast: Path) -> None:
    with SpikingSession(fast) as session:
        for ask in (lambda: session.run([[0.0]], count="all"), lambda: session.stream(count="all")):  # type: ignore[arg-type]
            with pytest.raises(InputError, match="no count 'all'"):
                ask()
        with pytest.raises(InputError, match="is no array"):
            session.run([[1.0, 2.0], [3.0]])
        with pytest.raises(InputError, match="fused execution") as caught:
            session.trace(NETWORKS["residual"]().inputs(1))
        assert "converted file" in str(caught.value.remedy)  # nobody compiles a trace


def told(path: Path, **changes: Any) -> bytes:
    """A compiled file that says something else of itself."""
    model = onnx.load(path)
    (entry,) = (e for e in model.metadata_props if e.key == "onnx2snn.compiled")
    entry.value = json.dumps({**json.loads(entry.value), **changes})
    return model.SerializeToString()


@pytest.mark.parametrize("changes", [{"execution": "quick"}, {"count": "all"}, {"count": "synops"}])
def test_metadata_that_promises_too_much(fast: Path, changes: dict[str, str], tmp_path: Path) -> None:
    bare = tmp_path / "bare.onnx"
    onnx2snn.compile(onnx2snn.convert(NETWORKS["residual"]().model), check=False).save(bare)
    with pytest.raises(InvalidModelError):
        SpikingSession(told(bare, **changes))


@pytest.mark.parametrize(
    "changes", [{"depth": 10**9}, {"depth": -1}, {"depth": 1}, {"stages": {}}, {"states": ["time"]}]
)
def test_metadata_that_does_not_describe_the_step(step: Path, changes: dict[str, Any]) -> None:
    """A depth that is not the graph's would let its driver wait for answers that never come."""
    inputs = NETWORKS["residual"]().inputs(1)
    with pytest.raises(InvalidModelError, match="no network of one time step"):
        SpikingSession(told(step, **changes)).levels(inputs)


def test_the_backend_of_the_onnx_package_is_not_there_without_it(
    fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name))
    with pytest.raises(InputError, match="onnx package"):
        SpikingSession(fast, backend="numpy")


def test_the_runtime_is_written_for_older_pythons() -> None:
    """Devices have 3.10: what `onnx2snn.runtime` loads may be no newer."""
    files = [
        *(ROOT / "runtime").glob("*.py"),
        *((ROOT / "onnx2snn" / n) for n in ("__init__.py", "__main__.py", "errors.py")),
    ]
    assert len(files) > 10
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
        names = {
            a.name
            for n in ast.walk(tree)
            if isinstance(n, ast.ImportFrom) and n.module == "typing"
            for a in n.names
        }
        assert names.isdisjoint(
            {"Self", "Never", "LiteralString", "Unpack", "override", "assert_never", "reveal_type"}
        ), path
        modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert "tomllib" not in modules, path


def test_the_command_says_what_is_missing() -> None:
    code = "import sys; sys.modules['click'] = None; from onnx2snn.__main__ import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 4
    assert "there is no click" in ran.stderr
    assert "Traceback" not in ran.stderr
    code = "import sys; sys.modules['onnx'] = None; sys.argv[1:] = ['inspect', 'x.onnx']; from onnx2snn.__main__ import main; "
    code += "main()"
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 4
    assert "needs onnx" in ran.stderr
    assert "remedy" in ran.stderr
