"""How a command that failed says why: node, cause, remedy, and an exit code."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError
from rich.text import Text

from onnx2snn import Onnx2SnnError, __version__
from onnx2snn.cli.terminal import make_console

_USAGE, _FILE, _DEFECT, _INTERRUPTED = 2, 4, 70, 130
_SMALLER = "check the sizes that the model declares, or use a smaller --batch"
#: Modules that commands load, and a device that only runs compiled files may lack.
_REQUIRED = ("onnx", "onnx_graphsurgeon", "onnxruntime", "numpy", "click", "rich")
_CONTINUE = {"remedy": "the same command continues where this one stopped"}


def explain(error: BaseException, words: Sequence[str]) -> int:
    """Say on stderr what went wrong (with ``--json`` also as the object on stdout); return the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return int(error.exit_code)
    if isinstance(error, NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)
        return _USAGE
    code, facts = _facts(error, words)
    if "--json" in words:
        print(json.dumps({"error": {"kind": type(error).__name__, **facts}, "exit_code": code}))
    console = make_console(stderr=True)
    if {"--verbose", "-v"} & set(words) and code == _DEFECT:
        console.print_exception(word_wrap=True) if console.is_terminal else _plain_traceback(error)
    for name, value in facts.items():
        label, style = ("Error:", "bold red") if name == "message" else (f"  {name + ':':<8}", "bold")
        console.print(Text.assemble((label, style), " ", str(value)), soft_wrap=not console.is_terminal)
    return code


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from, one after the other."""
    while error is not None:
        yield error
        error = error.__cause__


def _facts(error: BaseException, words: Sequence[str]) -> tuple[int, dict[str, Any]]:
    if any(isinstance(cause, MemoryError) for cause in _causes(error)):
        return _FILE, {"message": "this needs more memory than there is", "remedy": _SMALLER}
    if isinstance(error, Onnx2SnnError):
        node = error.node and (f"{error.node} ({error.operator})" if error.operator else error.node)
        facts = {"message": error.message, "node": node or error.operator, "found": error.found}
        return error.exit_code, {
            k: str(v) for k, v in (facts | {"remedy": error.remedy}).items() if v is not None
        }
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "onnx2snn"
        return _USAGE, {"message": error.format_message(), "remedy": f"{path} --help shows how it is used"}
    if isinstance(error, click.ClickException):
        return _USAGE, {"message": error.format_message()}
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _INTERRUPTED, {"message": "interrupted"} | (_CONTINUE if "--resume" in words else {})
    if isinstance(error, ModuleNotFoundError) and error.name in _REQUIRED:
        remedy = "pip install onnx2snn, with all that it requires"
        return _FILE, {
            "message": f"this command needs {error.name}, which is not installed",
            "remedy": remedy,
        }
    machine = f"{platform.system()} {platform.machine()}"
    versions = f"onnx2snn {__version__}, Python {platform.python_version()}, {machine}"
    return _DEFECT, {
        "message": f"this is a defect of onnx2snn, not of your model: {type(error).__name__}: {error}",
        "found": versions,
        "remedy": "please report it with the model and the output of the same command with --verbose",
    }


def _plain_traceback(error: BaseException) -> None:
    import traceback  # noqa: PLC0415 - needed only when something is broken

    traceback.print_exception(error, file=sys.stderr)
