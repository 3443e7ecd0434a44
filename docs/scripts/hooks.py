"""What MkDocs does besides: pages of commands, passes and notebooks are made, and Sphinx roles become plain names."""

from __future__ import annotations

import re
from typing import Any

import click
import notebook_pages  # beside this file
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from onnx2snn.cli import main
from onnx2snn.graph.core import Pass
from onnx2snn.passes import PREPARE, RECOGNISE, REWRITE
from onnx2snn.passes.rewrite.spike import spike

ROLE = re.compile(r":(?:class|data|func|meth|mod):(?=<code>)")
STAGES: dict[str, tuple[Pass, ...]] = {
    "Prepare: one spelling of what exporters write in many": PREPARE,
    "Recognise: activations become staircases": RECOGNISE,
    "Rewrite: staircases become neurons": (*REWRITE, spike),
}
WIDTH = 86


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add ``commands.md``, made of the commands' own help, ``passes.md``, of the passes' docstrings, and the notebooks."""
    for name, content in (("commands.md", commands_page()), ("passes.md", passes_page())):
        files.append(File.generated(config, name, content=content))
    for notebook in notebook_pages.notebooks():
        page = notebook_pages.page(notebook)
        files.append(File.generated(config, f"{notebook.stem}.md", content=page))
        files.append(File.generated(config, notebook.name, abs_src_path=str(notebook)))
    return files


def passes_page() -> str:
    """The pipeline in order, each pass with the first line of its docstring."""
    page = [
        "# Passes",
        "",
        "The conversion, in the order in which it happens. After each pass the graph is a valid ONNX model that",
    ]
    page += [
        "computes the same function; `--check DATA` compares. How to add one is in [Architecture](architecture.md).",
        "",
    ]
    for stage, passes in STAGES.items():
        page += [f"## {stage}", "", "| pass | |", "| --- | --- |"]
        page += [f"| `{each.__name__}` | {_first_line(each.__doc__)} |" for each in dict.fromkeys(passes)]
        page.append("")
    return "\n".join(page)


def _first_line(docstring: str | None) -> str:
    line = (docstring or "").strip().splitlines()[0]
    return re.sub(r"``([^`]+)``", r"`\1`", line).replace("|", r"\|")


def commands_page() -> str:
    """Every command's ``--help``, in the order in which ``onnx2snn --help`` lists them."""
    program = click.Context(main, info_name="onnx2snn", terminal_width=WIDTH, max_content_width=WIDTH)
    page = ["# Commands", "", "What `--help` says of each.", "", *_help("onnx2snn", program)]
    for name in main.list_commands(program):
        command = main.get_command(program, name)
        if command is not None and not command.hidden:
            page += _help(f"onnx2snn {name}", click.Context(command, info_name=name, parent=program))
    return "\n".join(page)


def _help(title: str, context: click.Context) -> list[str]:
    return [f"## {title}", "", "```text", context.get_help(), "```", ""]


def on_page_content(html: str, **_: Any) -> str:
    """Show :func:`name` of a docstring as the name alone."""
    return ROLE.sub("", html)
