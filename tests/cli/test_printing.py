"""What people see: tables that fit, numbers they can read, progress that does not fill logs."""

from __future__ import annotations

import doctest
import io
import shlex
from types import ModuleType

import pytest
from rich.console import Console, RenderableType

from onnx2snn import naming, units
from onnx2snn.cli import layers, progress
from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.cli.layers import next_commands, non_spiking_notes
from onnx2snn.cli.terminal import Terminal, make_console
from onnx2snn.dialect.layer_table import NonSpikingOperator
from onnx2snn.listings import layer_listing

LAYER = {
    "name": "/features/block3/activation/IF",
    "source_nodes": ["/features/block3/activation/Floor", "/features/block3/activation/Clip"],
    "neurons": 1234567,
    "timesteps": 8,
    "levels": 255,
    "threshold": [0.125, 0.0625],
    "rounding": "half_even",
    "fan_out": 4608.0,
}
SHORT = LAYER | {
    "name": "act1",
    "source_nodes": ["floor"],
    "neurons": 64,
    "threshold": 1 / 15,
    "rounding": "floor",
}


def shown(*parts: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("value", "text"), [(999.9996, "1.00 k"), (0.0009999, "1.00 m"), (-2500, "-2.50 k"), (1e-20, "0.00 f")]
)
def test_prefixes_at_their_edges(value: float, text: str) -> None:
    assert units.si(value) == text


def test_the_layer_table_is_readable_at_eighty_columns() -> None:
    text = shown(fitted(layer_listing([SHORT, LAYER])))
    assert max(map(len, text.splitlines())) <= 80
    header, short, long = text.splitlines()
    assert header.split() == ["Layer", "From", "Neurons", "T", "K", "Threshold", "Rounding", "Fan-out"]
    assert short.split() == ["act1", "floor", "64", "8", "255", "0.0667", "floor", "4608.0"]
    for word in ("1,234,567", "255", "0.0625…0.125", "half-even", "4608.0"):
        assert word in long


def test_a_wide_terminal_shows_whole_names() -> None:
    text = shown(fitted(layer_listing([LAYER])), width=160)
    assert LAYER["name"] in text
    assert "/features/block3/activation/Floor +1" in text


def test_square_brackets_in_names_are_not_markup() -> None:
    assert "act[/bold][0]" in shown(fitted(layer_listing([SHORT | {"name": "act[/bold][0]"}])), width=120)


def test_narrow_names_keep_what_tells_them_apart() -> None:
    layers = [
        LAYER | {"name": f"/features/{i}/act_quant/Quant/neuron", "source_nodes": [f"/features/{i}/Relu"]}
        for i in (3, 15)
    ]
    text = shown(fitted(layer_listing(layers)))
    assert max(map(len, text.splitlines())) <= 80
    assert [line.split("/")[0] for line in text.splitlines()[1:]] == ["…3", "…15"]


def test_a_cut_name_keeps_how_many_nodes_there_are() -> None:
    text = shown(fitted(layer_listing([LAYER, SHORT | {"name": "x"}])))
    assert " +1 " in text.splitlines()[1]


@pytest.mark.parametrize("module", [units, naming, layers])
def test_the_examples(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.failed == 0
    assert results.attempted > 0


@pytest.mark.parametrize("room", range(4, 40))
def test_a_name_fits_its_room(room: int) -> None:
    for name, label in naming.distinct(["/a/b/first_of_them/x/y", "/a/b/2/x/y", "/a/b/3/z/x/y"]).items():
        text = label.fit(room)
        assert len(text) <= room
        assert text in (name, label.part) or "…" in text
    assert naming.distinct(["a", "a/a"])["a"].part == "a"


def test_commands_are_quoted_as_a_shell_takes_them() -> None:
    words = ["run", "my nets/it's.onnx", "--data", "DATA.npz"]
    assert shlex.split(layers.command_line(*words)) == ["onnx2snn", *words]


def test_what_goes_into_a_pipe_is_neither_cut_nor_wrapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    terminal = Terminal(as_json=False, quiet=False, verbose=False)
    terminal.show(fitted(layer_listing([LAYER])), "word " * 100)
    lines = capsys.readouterr().out.splitlines()
    assert LAYER["name"] in lines[1]
    assert lines[2] == "word " * 100


def test_what_does_not_spike_is_said() -> None:
    kept = [NonSpikingOperator("gate", "Sigmoid", "no staircase")]
    text = shown(*non_spiking_notes(kept, {"ann": 1000, "analog": 500, "non_spiking": 250}), width=120)
    assert text.splitlines() == [
        "not spiking: gate (Sigmoid): no staircase",
        "25.0% of the multiply-accumulates are not spiking (250 of 1,000)",
    ]
    assert not non_spiking_notes([], {"ann": 1000, "non_spiking": 250})


def test_next_commands_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    command = "onnx2snn verify " + " ".join("x" * 100)
    Terminal(as_json=False, quiet=False, verbose=False).show(next_commands(command))
    assert capsys.readouterr().out.splitlines()[-1] == f"  {command}"


@pytest.mark.parametrize("variable", ["NO_COLOR", None])
def test_no_colours_without_a_terminal_or_with_no_color(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str | None
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
        monkeypatch.setenv("FORCE_COLOR", "1")
    make_console().print("[red]text[/red]")
    assert "31m" not in capsys.readouterr().out


def test_progress_in_a_log_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 6.0, 7.0, 12.0, 13.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.track(Terminal(as_json=False, quiet=False, verbose=False), "running", 1000) as advance:
        for _ in range(5):
            advance(100)
    out, err = capsys.readouterr()
    assert out == ""
    assert (
        err
        == "running: 200/1,000 samples, 20/s, 40.0 s left\nrunning: 400/1,000 samples, 27/s, 22.0 s left\n"
    )


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=False, quiet=True, verbose=False)
    with progress.track(terminal, "running", 10) as advance:
        advance(10)
    terminal.show("words", fitted(layer_listing([LAYER])))
    assert capsys.readouterr() == ("", "")


def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(as_json=True, quiet=False, verbose=False)
    terminal.show("words")
    terminal.result({"a": 1, "µ": [1.5]})
    assert capsys.readouterr().out == '{\n  "a": 1,\n  "µ": [\n    1.5\n  ]\n}\n'
