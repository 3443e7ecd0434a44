"""What released versions wrote stays readable, and answers the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import onnx2snn
from onnx2snn.dialect.functions import VERSION
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.model.files import load_model
from onnx2snn.runtime import SpikingSession

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("dialect*/*.onnx"))


def held(path: Path, kind: str) -> dict[str, np.ndarray]:
    with np.load(path.with_suffix(".npz")) as arrays:
        return {key.removeprefix(f"{kind}/"): value for key, value in arrays.items() if key.startswith(kind)}


def executions(path: Path) -> tuple[str, ...]:
    """Biases by the step are divided by 2^T − 1, and rounded: there, ties are broken differently in each execution."""
    return (path.stem.split("-")[-1],) if "per-step" in path.stem else ("spiking", "fused", "streaming")


CASES = [(path, execution) for path in FILES for execution in executions(path)]


def test_there_are_files_of_every_dialect() -> None:
    assert {path.parent.name for path in FILES} == {f"dialect{number}" for number in range(1, VERSION + 1)}
    assert len(FILES) >= 20


@pytest.mark.parametrize(("path", "execution"), CASES, ids=lambda word: getattr(word, "stem", word))
def test_every_execution_answers_what_it_answered_then(path: Path, execution: str) -> None:
    session = SpikingSession(path, execution=execution)
    inputs = held(path, "input")
    result, levels = session.run(inputs), session.levels(inputs)
    for kind, found in (("output", result.outputs), ("spikes", result.spikes), ("synops", result.synops)):
        expected = held(path, kind)
        assert set(found) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{kind}/{name}")
    for name, values in held(path, "level").items():
        np.testing.assert_array_equal(levels[name], values, err_msg=name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_stock_onnxruntime_runs_the_file_as_it_is(path: Path) -> None:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for name, found in zip(names, session.run(names, held(path, "input")), strict=True):
        np.testing.assert_array_equal(found, held(path, "output")[name], err_msg=name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_layer_table_is_understood(path: Path) -> None:
    table = read_layer_table(load_model(path))
    assert table["dialect"] == int(path.parent.name.removeprefix("dialect"))
    assert {layer["name"] for layer in table["layers"]} == set(held(path, "spikes"))
    assert onnx2snn.inspect_model(path).spiking
