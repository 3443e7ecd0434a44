"""Control flow, sequences and selections by data convert, are kept on request, or are refused by name; never anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers_control_flow import KINDS, network
from helpers_operators import dyadic

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.errors import ConversionError
from onnx2snn.model.reference import run_reference

DATA = {"x": dyadic(3, 6, seed=9)}


@pytest.mark.parametrize("place", ["between", "potential", "end"])
@pytest.mark.parametrize("name", KINDS)
def test_kept_or_refused(name: str, place: str) -> None:
    model = network(KINDS[name], place)
    try:
        made = onnx2snn.convert(model)
    except ConversionError as refused:
        assert "--hybrid" in (refused.remedy or "")  # noqa: PT017 - whether it is refused is open
        made = onnx2snn.convert(model, hybrid=True)
    assert made.layers
    data = (
        {"x": DATA["x"][:1]} if "suppressed" in name and "loop" not in name else DATA
    )  # boxes of one sample
    expected, found = run_reference(model, data), run_reference(made.model, data)
    np.testing.assert_array_equal(found["y"], expected["y"])


@pytest.mark.parametrize(
    "name", ["loop_reads_its_start_again", "boxes_suppressed_in_a_loop", "slice_by_data"]
)
def test_every_command_runs(name: str, tmp_path: Path) -> None:
    source, target, data = tmp_path / "ann.onnx", tmp_path / "snn.onnx", tmp_path / "data.npz"
    onnx.save(network(KINDS[name], "between"), source)
    np.savez(data, **DATA)
    for words in (
        ["inspect", source],
        [source, target, "--hybrid"],
        ["inspect", target],
        ["verify", source, target],
        ["verify", source, target, "--data", data],
        ["run", target, "--data", data],
        ["run", target, "--data", data, "--execution", "fused"],
        ["compile", target, tmp_path / "fast.onnx"],
        ["run", source, "--data", data],
    ):
        result = CliRunner().invoke(main, list(map(str, words)))
        assert result.exit_code == 0, (words, result.output)
    refused = CliRunner().invoke(
        main, ["calibrate", str(source), str(target), "--data", str(data), "--timesteps", "3"]
    )
    assert refused.exit_code in (0, 3), refused.output
