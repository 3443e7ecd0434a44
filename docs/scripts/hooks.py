"""What MkDocs does besides: the page of commands comes from the commands, and Sphinx roles become plain names."""

from __future__ import annotations

import re
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from onnx2snn.cli import main

ROLE = re.compile(r":(?:class|data|func|meth|mod):(?=<code>)")
WIDTH = 86


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add ``commands.md``, made of the commands' own help."""
    files.append(File.generated(config, "commands.md", content=commands_page()))
    return files


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
