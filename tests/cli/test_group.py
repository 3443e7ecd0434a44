"""The group: what a first word means, and how every way to end looks from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from onnx2snn import ConversionError, InputError, InvalidModelError, OutputError, __version__
from onnx2snn.cli import main
from onnx2snn.cli.group import PathFirstGroup

ENDINGS: dict[str, tuple[BaseException, int]] = {
    "conversion": (ConversionError("no staircase", node="act", operator="Sigmoid", remedy="quantise it"), 3),
    "model": (InvalidModelError("truncated", found="3 bytes"), 4),
    "input": (InputError("holds NaN"), 4),
    "output": (OutputError("no folder"), 4),
    "usage": (click.UsageError("give one"), 2),
    "interrupted": (KeyboardInterrupt(), 130),
    "defect": (ZeroDivisionError("1/0"), 70),
}


@click.command()
@click.argument("ending", default="none")
@click.option("--json", "as_json", is_flag=True)
@click.option("--verbose", is_flag=True)
def end(ending: str, as_json: bool, verbose: bool) -> int:
    if ending in ENDINGS:
        raise ENDINGS[ending][0]
    return 1 if ending == "different" else 0


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def echo(words: tuple[str, ...]) -> None:
    click.echo(f"convert {' '.join(words)}")


class Toy(PathFirstGroup):
    """Two commands that need no modules."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return {"convert": echo, "end": end}.get(cmd_name)


TOY = Toy("toy", summaries={"convert": "", "end": ""})


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_ending_has_its_exit_code_and_no_traceback(ending: str) -> None:
    result = CliRunner().invoke(TOY, ["end", ending])
    assert result.exit_code == ENDINGS[ending][1]
    assert result.stdout == ""
    assert result.stderr.lstrip().startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("ending", ENDINGS)
def test_json_is_one_object_even_when_it_fails(ending: str) -> None:
    result = CliRunner().invoke(TOY, ["end", ending, "--json"])
    assert json.loads(result.stdout)["exit_code"] == ENDINGS[ending][1]


def test_an_error_names_node_cause_and_remedy() -> None:
    result = CliRunner().invoke(TOY, ["end", "conversion"])
    assert result.stderr == "Error: no staircase\n  node:    act (Sigmoid)\n  remedy:  quantise it\n"


def test_a_defect_asks_for_a_report_and_shows_its_traceback_only_on_request() -> None:
    assert "please report it" in CliRunner().invoke(TOY, ["end", "defect"]).stderr
    assert "Traceback" in CliRunner().invoke(TOY, ["end", "defect", "--verbose"]).stderr


def test_a_command_may_choose_its_exit_code() -> None:
    assert CliRunner().invoke(TOY, ["end", "different"]).exit_code == 1
    assert CliRunner().invoke(TOY, ["end"]).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["in.onnx", "out.onnx"],
        ["missing/in", "out"],
        ["missing.tflite", "out.onnx"],
        ["model", "out.onnx"],
        ["end.onnx", "out.onnx"],
        ["./end", "out.onnx"],
        ["--timesteps", "4", "in.onnx"],
        ["-q", "--timesteps", "4", "in.onnx"],
        [__file__, "out"],
    ],
)
def test_a_path_or_option_first_means_convert(words: list[str]) -> None:
    assert CliRunner().invoke(TOY, words).stdout == f"convert {' '.join(words)}\n"


def test_options_of_all_commands_may_stand_in_front() -> None:
    assert (
        CliRunner().invoke(TOY, ["-q", "--json", "in.onnx", "out"]).stdout
        == "convert in.onnx -q --json out\n"
    )
    result = CliRunner().invoke(TOY, ["--json", "end", "conversion"])
    assert json.loads(result.stdout)["exit_code"] == 3
    assert "Did you mean 'end'?" in CliRunner().invoke(TOY, ["--json", "ends", "x"]).stderr


def test_a_file_that_is_called_like_nothing_is_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ends").touch()
    assert CliRunner().invoke(TOY, ["ends"]).stdout == "convert ends\n"


def test_alone_it_shows_its_help_and_no_error() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: main IN.onnx OUT.onnx [OPTIONS]\n")
    assert "Error" not in result.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["convrt", "a.onnx"], "Did you mean 'convert'?"),
        (["verfiy"], "Did you mean 'verify'?"),
        (["xyzzy"], "A model comes first"),
        (["verify", "a.onnx", "b.onnx", "--jsn"], "--json"),
        (["in.onnx"], "OUT.onnx"),
        (["in.onnx", "out.onnx", "--bias", "twice"], "per-step"),
        (["in.onnx", "out.onnx", "--timestep", "4"], "--timesteps"),
        (["in.onnx", "out.onnx", "--timesteps", "4"], "--calibrate"),
        (["in.onnx", "./in.onnx"], "overwrite"),
    ],
)
def test_wrong_usage_is_answered_with_the_nearest_right_one(words: list[str], hint: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert "--help" in result.stderr


def test_the_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"onnx2snn, version {__version__}\n"


COMMANDS = ["convert", "verify", "run", "inspect", "calibrate", "evaluate", "report", "finetune"]


def test_help_lists_the_commands() -> None:
    text = CliRunner().invoke(main, ["--help"]).stdout
    assert [word for line in text.splitlines() for word in line.split()[:1] if word in COMMANDS][
        -8:
    ] == COMMANDS
    assert "completion" in text


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_each_command_has_help_with_an_example_that_fits_the_screen(command: str) -> None:
    text = CliRunner().invoke(main, [command, "--help"], terminal_width=80).stdout
    assert max(map(len, text.splitlines())) <= 80
    examples = [line for line in text.splitlines() if line.startswith("  onnx2snn ")]
    assert examples
    assert not any(
        line.startswith("  ") and "onnx2snn" not in line for line in text.splitlines()[-len(examples) :]
    )
    for option in ("--json", "--quiet", "--verbose"):
        assert option in text


def test_help_is_quick() -> None:
    code = "import sys; sys.argv = ['onnx2snn', '--help']\n"
    code += "from onnx2snn.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    code += "print(sorted({'onnx', 'numpy', 'onnxruntime', 'sympy', 'torch'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.endswith("[]\n")


def test_the_module_is_the_command() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "onnx2snn", "--version"], check=True, capture_output=True, text=True
    )
    assert answer.stdout.startswith("onnx2snn, version")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_shells_can_complete(shell: str) -> None:
    environment = {**os.environ, "_ONNX2SNN_COMPLETE": f"{shell}_source"}
    code = "from onnx2snn.cli import main; main(prog_name='onnx2snn')"
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert "onnx2snn" in answer.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ver"], {"plain,verify", "file,ver"}),
        (["--ver"], {"plain,--version"}),
        (["verify", ""], {"file,"}),
        (["run", "s.onnx", "--data", ""], {"file,"}),
        (["verify", "--exec"], {"plain,--execution"}),
        (["in.onnx", "out.onnx", "--bias", "p"], {"plain,per-step", "plain,paper"}),
    ],
)
def test_words_and_files_are_completed(words: list[str], expected: set[str]) -> None:
    completion = BashComplete(main, {}, "onnx2snn", "_ONNX2SNN_COMPLETE")
    found = completion.get_completions(words[:-1], words[-1])
    assert {completion.format_completion(item) for item in found} == expected


@pytest.mark.parametrize(
    "command", [[], ["convert"], ["verify"], ["run"], ["inspect"], ["calibrate"], ["evaluate"], ["report"]]
)
def test_help_fits_a_terminal_of_80_columns(command: list[str]) -> None:
    shown = CliRunner().invoke(main, [*command, "--help"], terminal_width=80).output
    assert not [line for line in shown.splitlines() if len(line) > 80]


def test_ctrl_c_ends_with_130_and_no_traceback() -> None:
    """Pressed while the command works: the model is never read to its end."""
    code = """if True:
        import os, signal, sys, time
        import onnx2snn.inspection
        def interrupted(model):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
        onnx2snn.inspection.inspect_model = interrupted
        sys.argv = ["onnx2snn", "inspect", "model.onnx"]
        from onnx2snn.__main__ import main
        main()"""
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == "Error: interrupted"


def test_ctrl_c_is_quiet_even_while_the_command_is_loaded() -> None:
    code = """if True:
        import os, signal, sys
        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == "click":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Interrupt())
        from onnx2snn.__main__ import main
        main()"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_a_background_job_goes_on_where_sigint_is_ignored() -> None:
    code = """if True:
        import os, signal, sys
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == "click":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Interrupt())
        sys.argv = ["onnx2snn", "--version"]
        from onnx2snn.__main__ import main
        main()"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("onnx2snn")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "onnx2snn", "--help"]
    ended = subprocess.run(command, check=False, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")
