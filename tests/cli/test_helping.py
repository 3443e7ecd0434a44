"""What help says: the columns of tables, and the same options for data in every command that reads some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import Example

from onnx2snn import listings
from onnx2snn.cli import main
from onnx2snn.data import Batch, DataSet, open_data

READING = ("convert", "verify", "run", "evaluate", "report", "calibrate", "snap")
TABLES = ("convert", "verify", "run", "evaluate", "inspect", "calibrate")


def options(name: str) -> set[str]:
    assert isinstance(main, click.Group)
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return {word for param in command.params for word in param.opts}


@pytest.mark.parametrize("name", READING)
def test_whatever_reads_data_takes_some_of_it_at_a_time(name: str) -> None:
    assert {"--limit", "--batch", "--image-size"} <= options(name)


@pytest.mark.parametrize("name", ["run", "evaluate", "verify", "report"])
def test_whatever_runs_a_spiking_network_lets_a_provider_do_it(name: str) -> None:
    assert "--provider" in options(name)


@pytest.mark.parametrize("name", ["calibrate", "snap", "convert"])
def test_a_bound_on_batches_reaches_what_reads_data(
    name: str, example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    handed_out = DataSet.batches

    def watched(self: DataSet, *args: Any, **options: Any) -> Iterator[Batch]:
        for batch in handed_out(self, *args, **options):
            sizes.append(len(batch))
            yield batch

    monkeypatch.setattr(DataSet, "batches", watched)
    source = Path(__file__).parents[2] / "examples" / "digits" / "digits_relu.onnx"
    words = {
        "calibrate": [source, "out.onnx", "--data", "few.npz", "--timesteps", 2, "--no-exact"],
        "snap": [example.ann, "out.onnx", "--data", example.data],
        "convert": [source, "out.onnx", "--calibrate", "few.npz", "--timesteps", 2, "--no-exact"],
    }[name]
    monkeypatch.chdir(tmp_path)
    np.savez("few.npz", image=np.random.default_rng(1).random((9, 1, 28, 28), np.float32))
    found = CliRunner().invoke(main, [name, *map(str, words), "--batch", "4"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert max(sizes) == 4


@pytest.mark.parametrize("name", TABLES)
def test_help_explains_the_columns(name: str) -> None:
    text = CliRunner().invoke(main, [name, "--help"], env={"COLUMNS": "80"}).output
    assert "Columns:" in text
    assert max(map(len, text.splitlines())) <= 80


def test_every_column_has_a_meaning() -> None:
    tables = [value for name, value in vars(listings).items() if name.endswith("_COLUMNS")]
    assert len(tables) == 5
    assert {head for heads in tables for head in heads} == set(listings.MEANINGS)


def test_a_batch_may_be_bounded(example: Example) -> None:
    data = open_data(example.data)
    sizes = [len(batch) for batch in data.at_most(40).batches(64)]
    assert sizes == [40, 40, 10]
    assert [len(batch) for batch in data.first(50).at_most(40).batches(20)] == [20, 20, 10]
    whole = np.concatenate([batch.inputs["image"] for batch in data.at_most(7).batches(90)])
    np.testing.assert_array_equal(whole, np.load(example.data)["image"])
